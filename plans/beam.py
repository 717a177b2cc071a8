"""What a scan does with the shutter, and what it puts back where it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator


def with_open_shutter(plan: MsgGenerator[Any], shutter: Movable | None) -> MsgGenerator[Any]:
    """Open the shutter for a plan, and close it however the plan ends."""
    if shutter is None:
        return (yield from plan)

    def opened() -> MsgGenerator[Any]:
        yield from bps.mv(shutter, "open")
        return (yield from plan)

    return (yield from bpp.finalize_wrapper(opened(), bps.mv(shutter, "close")))


def as_run(
    images: MsgGenerator[Any],
    devices: Sequence[Readable | Movable],
    *,
    shutter: Movable | None,
    restored: Sequence[Movable],
    md: dict[str, Any],
) -> MsgGenerator[str]:
    """Record images in one run: stage, open, scan, close, unstage, put back; returns the uid.

    However the scan ends, the shutter is closed first of all, and the axes in ``restored`` go
    back last.
    """
    run = bpp.run_wrapper(with_open_shutter(images, shutter), md=md)
    staged = bpp.stage_wrapper(run, devices)
    return (yield from bpp.reset_positions_wrapper(staged, restored))
