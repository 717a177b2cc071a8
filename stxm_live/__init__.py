"""Phase and ambiguity maps of an X-ray microscope stack, live in Bluesky."""
