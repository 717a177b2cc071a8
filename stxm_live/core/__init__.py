"""Data types shared by all packages: stacks, recipes, references, regions and maps."""
