"""From counts to optical density: faulty images, alignment, specimen, I0."""
