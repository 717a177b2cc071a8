"""The figure that follows a scan."""
