"""Plan stubs that wait for an analysis without blocking the RunEngine."""

from __future__ import annotations

import time
from typing import Any, Protocol

import bluesky.plan_stubs as bps
from bluesky.utils import MsgGenerator

_POLL_S = 0.05


class Live(Protocol):
    """What is needed of a `LivePhaseMapper`."""

    def status(self, uid: str) -> Any:
        """An object with ``is_done``."""
        ...

    def wait(self, uid: str, *, timeout_s: float) -> Any:
        """The maps of a run, or an error that says what went wrong."""
        ...


def wait_for_maps(live: Live, uid: str, *, timeout_s: float = 30.0) -> MsgGenerator[Any]:
    """Wait for the maps of a run inside a plan; the RunEngine stays responsive.

    Parameters
    ----------
    live : LivePhaseMapper
        Subscribed to the RunEngine before the run began.
    uid : str
        As returned by `stxm_stack`.
    timeout_s : float
        From now on.

    Returns
    -------
    PhaseMaps

    Raises
    ------
    TimeoutError
        If the maps are not there in time.
    """
    deadline = time.monotonic() + timeout_s
    while not live.status(uid).is_done:
        if time.monotonic() > deadline:
            raise TimeoutError(f"run {uid[:8]}: no maps after {timeout_s:g} s")
        yield from bps.sleep(_POLL_S)
    return live.wait(uid, timeout_s=timeout_s)
