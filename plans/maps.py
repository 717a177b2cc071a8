"""Plan stubs that wait for an analysis without blocking the RunEngine."""

from __future__ import annotations

import time

import bluesky.plan_stubs as bps
from bluesky.utils import MsgGenerator

from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.live.mapper import LivePhaseMapper

_POLL_S = 0.05


def wait_for_maps(
    live: LivePhaseMapper, uid: str, *, timeout_s: float = 30.0
) -> MsgGenerator[PhaseMaps]:
    """Wait for the maps of a run inside a plan; the RunEngine stays responsive.

    Parameters
    ----------
    live : LivePhaseMapper
        Mapper subscribed to the RunEngine before the run began.
    uid : str
        As returned by `stxm_stack`.
    timeout_s : float
        Longest wait, from now on.

    Returns
    -------
    PhaseMaps

    Raises
    ------
    TimeoutError
        If the maps are not there in time.
    KeyError, ValueError
        As `LivePhaseMapper.wait`.
    """
    deadline = time.monotonic() + timeout_s
    while not live.status(uid).is_done:
        if time.monotonic() > deadline:
            raise TimeoutError(f"run {uid[:8]}: no maps after {timeout_s:g} s")
        yield from bps.sleep(_POLL_S)
    return live.wait(uid, timeout_s=timeout_s)
