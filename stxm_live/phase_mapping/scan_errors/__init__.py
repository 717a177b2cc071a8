"""Errors that all spectra of a scan share, compared by how probable they make the scan."""
