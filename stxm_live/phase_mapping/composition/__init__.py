"""Composition that changes continuously between references, and what a scan shows of it."""
