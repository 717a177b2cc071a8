"""The images of a stack laid on one another."""
