"""A result as one HTML page that works without a server."""
