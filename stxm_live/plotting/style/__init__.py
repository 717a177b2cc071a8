"""Colors, text and layout that all pictures share."""
