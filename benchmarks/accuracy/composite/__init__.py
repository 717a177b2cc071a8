"""Worlds with several faults at once, made by code that shares nothing with the package."""
