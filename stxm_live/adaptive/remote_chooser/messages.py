"""Regions and stacks in messages, checked when read because anyone may send them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from stxm_live.core.region import Region
from stxm_live.core.stack import StackKey

MAX_TEXT = 500
"""Most characters of a name or a reason; longer ones are cut."""


def region_of(values: object) -> Region:
    """Return the region that another process describes.

    Raises
    ------
    ValueError
        If something is missing, of the wrong type, or not a region.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"expected a region, got {type(values).__name__}")
    missing = [f.name for f in fields(Region) if f.name not in values]
    if missing:
        raise ValueError(f"the region lacks {', '.join(missing)}")
    return Region(
        x_extent_um=pair_of(values["x_extent_um"]),
        y_extent_um=pair_of(values["y_extent_um"]),
        nx=int(_number(values["nx"])),
        ny=int(_number(values["ny"])),
        dwell_ms=_number(values["dwell_ms"]),
        name=str(values["name"])[:MAX_TEXT],
        criterion=str(values["criterion"])[:MAX_TEXT],
        reason=str(values["reason"])[:MAX_TEXT],
        expected_gain=number_or_none(values["expected_gain"]),
        dose_mgy=number_or_none(values["dose_mgy"]),
        minutes=number_or_none(values["minutes"]),
    )


def pair_of(ends: object) -> tuple[float, float]:
    """Return two numbers; raises ValueError if there are not two."""
    if not isinstance(ends, list | tuple) or len(ends) != 2:
        raise ValueError("a box has two numbers in um for each axis")
    return _number(ends[0]), _number(ends[1])


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected a number, got {type(value).__name__}")
    return float(value)


def number_or_none(value: object) -> float | None:
    """Return a number or None; raises ValueError for anything else."""
    return None if value is None else _number(value)


def stack_of(values: object) -> StackKey | None:
    """Return the stack that a list names; raises ValueError if it names none."""
    if values is None:
        return None
    if not isinstance(values, list | tuple) or len(values) != 3 or not isinstance(values[0], list):
        raise ValueError("stack must be [run uids, region, polarization]")
    return StackKey(tuple(map(str, values[0])), str(values[1]), str(values[2]))
