"""Scans with known truth, ways to resolve them, and what is counted; for ``truth.py``."""
