"""Steps from counts to optical density: image faults, alignment, specimen, I0."""
