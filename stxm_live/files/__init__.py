"""Files of other programs, in and out of stacks and documents."""
