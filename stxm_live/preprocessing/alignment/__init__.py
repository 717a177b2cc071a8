"""Alignment of the images of a stack."""
