"""A plan stub that waits for a person to choose a region, or goes on without."""

from __future__ import annotations

import logging

from bluesky.utils import MsgGenerator

from stxm_live.adaptive.chooser import RegionChooser
from stxm_live.core.region import Region
from stxm_live.plans.waiting import Asked, until

logger = logging.getLogger("stxm_live")

_LATE_S = 1.0
"""For a choice that is being claimed when the time is over."""


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
    time of a pause does not count. The chooser is asked on a thread of its own: whatever it does,
    the wait ends after its time, and Ctrl-C is heard.

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
    chooser.question = question

    def say_left(left_s: float) -> None:
        chooser.question_left_s = left_s

    claims, suggestions = Asked(chooser.claim), Asked(lambda: chooser.suggestions)
    try:
        if timeout_s > 0 and claims.answer() is None:
            logger.warning(
                "%s: choose a region within %g s, with chooser.take(k), chooser.choose_box(...) or "
                "in the dashboard; at the prompt press Ctrl-C to pause, choose, then RE.resume()",
                *(question, timeout_s),
            )
        if (yield from until(lambda: claims.answer() is not None, timeout_s, say_left)):
            return claims.answer()
        if (yield from until(lambda: not claims.is_waiting, _LATE_S)) and claims.answer():
            return claims.answer()
        if not isinstance(default, int):
            return default
        yield from until(lambda: suggestions.answer() is not None, _LATE_S)
        made = suggestions.answer() or []
        return made[default - 1] if 1 <= default <= len(made) else None
    finally:
        chooser.question = ""
        claims.close()
        suggestions.close()
