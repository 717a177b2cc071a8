"""A plan stub that waits for a person to choose a region, or goes on without."""

from __future__ import annotations

import logging

from bluesky.utils import MsgGenerator

from stxm_live.adaptive.chooser import RegionChooser
from stxm_live.core.region import Region
from stxm_live.plans.waiting import until

logger = logging.getLogger("stxm_live")


def wait_for_region(
    chooser: RegionChooser,
    *,
    timeout_s: float,
    default: Region | int | None = None,
    question: str = "the next region",
) -> MsgGenerator[Region | None]:
    """Wait for a choice inside a plan; the RunEngine stays responsive.

    An existing choice is taken at once; otherwise a warning in the log asks for one. It appears
    at the prompt without any configuration. Pausing is allowed at any moment, and the
    time of a pause does not count.

    Parameters
    ----------
    chooser : RegionChooser
    timeout_s : float
    default : Region, int or None
        Used after the time: a region, suggestion ``k`` (the best is 1), or nothing.
    question : str
        Text of `RegionChooser.question` meanwhile.

    Returns
    -------
    Region or None
        None if no region was chosen and there is no default, or no such suggestion.
    """
    claimed: list[Region | None] = []

    def is_chosen() -> bool:
        claimed.append(chooser.claim())
        return claimed[-1] is not None

    chooser.question = question
    if timeout_s > 0 and chooser.latest() is None:
        logger.warning(
            "%s: choose a region within %g s, with chooser.take(k), chooser.choose_box(...) or in "
            "the dashboard; at the prompt press Ctrl-C to pause, choose, then RE.resume()",
            *(question, timeout_s),
        )
    try:
        if (yield from until(is_chosen, timeout_s)):
            return claimed[-1]
    finally:
        chooser.question = ""
    if not isinstance(default, int):
        return default
    suggestions = chooser.suggestions
    return suggestions[default - 1] if 1 <= default <= len(suggestions) else None
