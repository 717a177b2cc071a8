"""Checks that every position is within its limits, before anything moves."""

from __future__ import annotations

from collections.abc import Iterable
from inspect import isawaitable
from typing import Any, Protocol, runtime_checkable

import bluesky.plan_stubs as bps
from bluesky.protocols import Checkable, Movable, Preparable, Readable
from bluesky.utils import MsgGenerator

from stxm_live.core.scan import StackScan


@runtime_checkable
class RegionChecker(Protocol):
    """A detector that moves stages itself and knows their limits."""

    def check_region(self, scan: StackScan) -> None:
        """Raise ValueError, naming the axis and its limit, if the region is out of reach."""
        ...


def check_limits(axis: Movable, positions: Iterable[float]) -> MsgGenerator[None]:
    """Ask the axis for every position, without moving.

    Raises
    ------
    ValueError
        If a position is out of reach, or if the axis does not know its limits.
    """
    if not isinstance(axis, Checkable):
        raise ValueError(
            f"{axis.name} does not know its limits (it has no check_value), so nothing was moved; "
            "use a device that knows them"
        )
    for position in positions:
        try:
            yield from _asked(axis, position)
        except ValueError as error:
            if axis.name in str(error):
                raise
            raise ValueError(f"{axis.name} cannot go to {position:g}: {error}") from error


def check_reach(detector: Readable, scan: StackScan) -> None:
    """Ask a detector that takes a region whether it can scan it.

    Raises
    ------
    ValueError
        If it cannot, or has no way to check.
    """
    if isinstance(detector, RegionChecker):
        detector.check_region(scan)
    elif isinstance(detector, Preparable):
        raise ValueError(
            f"{detector.name} receives the region but does not know its limits (it has no "
            "check_region), so nothing was moved"
        )


def _asked(axis: Checkable[Any], position: float) -> MsgGenerator[None]:
    answer = axis.check_value(position)
    if isawaitable(answer):  # an ophyd-async device

        async def answered() -> None:
            await answer

        (task,) = yield from bps.wait_for([answered])
        task.result()
