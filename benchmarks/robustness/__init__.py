"""What a scan suffers from what stands beside it, and from what goes wrong."""
