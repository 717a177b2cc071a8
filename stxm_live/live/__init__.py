"""Maps while a scan runs, and the same maps of past runs."""
