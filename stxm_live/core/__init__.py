"""What every part of the package speaks of: stacks, recipes, references, regions and maps."""
