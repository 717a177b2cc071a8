"""The offset and the extra width of the energy axis, from the scan itself."""
