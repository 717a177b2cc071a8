"""Colours, letters and places that all pictures share."""
