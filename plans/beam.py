"""Shutter of a scan, and the positions that are restored afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator, RunEngineControlException


def with_open_shutter(plan: MsgGenerator[Any], shutter: Movable | None) -> MsgGenerator[Any]:
    """Open the shutter for a plan, and close it however the plan ends."""
    if shutter is None:
        return (yield from plan)

    def opened() -> MsgGenerator[Any]:
        yield from bps.mv(shutter, "open")
        return (yield from plan)

    return (yield from bpp.finalize_wrapper(opened(), bps.mv(shutter, "close")))


def with_closed_shutter(plan: MsgGenerator[Any], shutter: Movable | None) -> MsgGenerator[Any]:
    """Keep the shutter closed for a plan in the middle of a scan, and open it again."""
    if shutter is None:
        return (yield from plan)
    yield from bps.mv(shutter, "close")
    result = yield from plan
    yield from bps.mv(shutter, "open")
    return result


def as_run(
    images: Callable[[str], MsgGenerator[Any]],
    devices: Sequence[Readable | Movable],
    *,
    shutter: Movable | None,
    restored: Sequence[Movable],
    md: dict[str, Any],
) -> MsgGenerator[str]:
    """Record images in one run and return its uid.

    The steps are: stage, open, scan, close, unstage, move back. ``images`` receives the uid.
    However the scan ends, the shutter is closed first, and the axes in ``restored`` go back last.
    """

    def scan(uid: str) -> MsgGenerator[Any]:
        return with_open_shutter(images(uid), shutter)

    staged = bpp.stage_wrapper(_run(scan, md), devices)
    return (yield from bpp.reset_positions_wrapper(staged, restored))


def _run(scan: Callable[[str], MsgGenerator[Any]], md: dict[str, Any]) -> MsgGenerator[str]:
    """Make a run whose plan receives its uid; it ends like those of bluesky's ``run_wrapper``."""
    uid: str = yield from bps.open_run(md)

    def failed(error: BaseException) -> MsgGenerator[None]:
        if isinstance(error, RunEngineControlException):
            yield from bps.close_run(exit_status=error.exit_status)
        else:
            yield from bps.close_run(exit_status="fail", reason=str(error))

    ended = bpp.contingency_wrapper(scan(uid), except_plan=failed, else_plan=bps.close_run)
    yield from ended
    return uid
