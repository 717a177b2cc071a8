"""Colours, text and layout that all pictures share."""
