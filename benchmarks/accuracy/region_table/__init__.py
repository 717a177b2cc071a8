"""Fields of several particles, scanned as an overview and in zooms, where the truth is known."""
