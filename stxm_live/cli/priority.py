"""Where scan and analysis share a machine, the scan goes first."""

from __future__ import annotations

import os

NICENESS = 5
"""How far a process that only looks on steps back; it waits only where processors are short."""


def let_the_scan_go_first() -> None:
    """Lower the priority of this process, where the system knows such a thing."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
