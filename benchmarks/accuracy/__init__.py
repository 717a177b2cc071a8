"""How right the maps are, on worlds whose truth is known."""
