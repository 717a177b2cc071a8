"""Waiting inside a plan."""

from __future__ import annotations

import math
from collections.abc import Callable

import bluesky.plan_stubs as bps
from bluesky.utils import MsgGenerator

_POLL_S = 0.1


def until(is_so: Callable[[], bool], timeout_s: float) -> MsgGenerator[bool]:
    """Wait until a condition is met, or for the time; return True if it is met.

    Pausing is allowed at any moment. The time of a pause does not count, and a resumed plan does
    not start its wait again.
    """
    for _ in range(math.ceil(timeout_s / _POLL_S)):
        if is_so():
            return True
        yield from bps.checkpoint()
        yield from bps.sleep(_POLL_S)
    return is_so()
