"""Maps while a scan runs, and the same maps of runs that are over."""
