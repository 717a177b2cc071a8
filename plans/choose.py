"""A plan stub that waits for somebody to choose a region, and goes on without."""

from __future__ import annotations

import math

import bluesky.plan_stubs as bps
from bluesky.utils import MsgGenerator

from stxm_live.chooser import RegionChooser
from stxm_live.region import Region

_POLL_S = 0.1


def wait_for_region(
    chooser: RegionChooser,
    *,
    timeout_s: float,
    default: Region | int | None = None,
    question: str = "the next region",
) -> MsgGenerator[Region | None]:
    """Wait for a choice inside a plan; the RunEngine stays responsive.

    A choice that is there already is taken at once. Pausing is allowed at any moment, and the
    time of a pause does not count.

    Parameters
    ----------
    chooser : RegionChooser
    timeout_s : float
    default : Region, int or None
        After the time: a region, suggestion ``k`` (the best is 1), or nothing.
    question : str
        What `RegionChooser.question` says meanwhile.

    Returns
    -------
    Region or None
        None if nobody chose and there is no default, or no such suggestion.
    """
    chooser.question = question
    try:
        for _ in range(math.ceil(timeout_s / _POLL_S)):
            if (region := chooser.claim()) is not None:
                return region
            yield from bps.checkpoint()  # a resumed plan does not wait all over again
            yield from bps.sleep(_POLL_S)
        region = chooser.claim()
    finally:
        chooser.question = ""
    if region is not None or not isinstance(default, int):
        return default if region is None else region
    suggestions = chooser.suggestions
    return suggestions[default - 1] if 1 <= default <= len(suggestions) else None
