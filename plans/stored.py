"""A plan stub that waits until raw runs are in the catalogue."""

from __future__ import annotations

import logging

from bluesky.utils import MsgGenerator

from stxm_live.io.catalog import RawWriter
from stxm_live.plans.waiting import until

logger = logging.getLogger("stxm_live")


def wait_until_stored(writer: RawWriter, *, timeout_s: float = 30.0) -> MsgGenerator[None]:
    """Wait until every document so far is stored; the RunEngine stays responsive.

    It does not wait until the last run has been read back, which the writer does beside the next
    one; its backup file stays until then.

    Use it at the end of every plan, so that a session may end as soon as the prompt is back::

        RE.preprocessors.append(
            partial(bpp.finalize_wrapper, final_plan=partial(wait_until_stored, writer))
        )

    Parameters
    ----------
    writer : RawWriter
    timeout_s : float
        After this the plan goes on, with a warning; the writer goes on storing.
    """
    if not (yield from until(lambda: writer.is_stored, timeout_s)):
        logger.warning("runs are still being stored after %g s", timeout_s)
