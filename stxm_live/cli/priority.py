"""Priority of this process on a machine shared with a scan: the scan goes first."""

from __future__ import annotations

import os

NICENESS = 5
"""Niceness of a process that only watches a scan; it waits only if processors are busy."""


def let_the_scan_go_first() -> None:
    """Lower the priority of this process, if the operating system can."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
