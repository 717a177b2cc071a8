"""Boxes drawn by a person, which become regions or are refused."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from stxm_live.core.region import Region

MAX_REGION_PIXELS = 2**22
"""Default limit for a region: 2048 x 2048, far more than stacks usually have."""

MAX_POSITION_UM = 1e9
"""A kilometre, so that arithmetic cannot overflow; stages have limits of their own."""

MIN_STEP_UM = 1e-9
"""Smallest step, and smallest side of a box."""

DWELL_MS = (1e-6, 3.6e6)
"""Shortest and longest dwell: a nanosecond, an hour."""

LimitsUm = tuple[tuple[float, float], tuple[float, float]]
"""Lowest and highest position in x, then in y."""


def box_region(
    x_um: tuple[float, float],
    y_um: tuple[float, float],
    *,
    step_um: float | tuple[float, float],
    dwell_ms: float = 1.0,
    name: str = "1",
    limits_um: LimitsUm | None = None,
    most_pixels: int = MAX_REGION_PIXELS,
) -> Region:
    """Return the region of a drawn box, whose edges are the outermost pixel centers.

    Parameters
    ----------
    x_um, y_um : (float, float)
        Edges in any order; the region ascends.
    step_um : float or (float, float)
        Wanted distance of pixel centers, in x and y; the nearest that fits the box is used.
    dwell_ms : float
    name : str
    limits_um : ((float, float), (float, float)), optional
        Lowest and highest position in x and in y.
    most_pixels : int

    Raises
    ------
    ValueError
        If the box has no size, is not finite, is beyond the limits or what a microscope can do,
        or has too many pixels; for the last, the message names a step that works.

    Examples
    --------
    >>> region = box_region((2, 0), (1, 2), step_um=0.3)
    >>> region.x_extent_um, region.nx, region.ny
    ((0.0, 2.0), 8, 4)
    """
    steps = step_um if isinstance(step_um, tuple) else (step_um, step_um)
    edges = []
    for axis, ends, step in zip("xy", (x_um, y_um), steps, strict=True):
        low, high = sorted(float(end) for end in ends)
        if not np.isfinite([low, high]).all():
            raise ValueError(f"{axis} from {ends[0]} to {ends[1]} um is not a box")
        if low == high:
            raise ValueError(f"the box has no size in {axis}: both edges are at {low:g} um")
        if not step >= MIN_STEP_UM:
            raise ValueError(
                f"the step in {axis} is {step:g} um; it must be positive, at least {MIN_STEP_UM:g}"
            )
        edges.append((low, high))
    _check_extents(edges[0], edges[1], limits_um)
    _check_dwell(dwell_ms)
    sizes = [high - low for low, high in edges]
    numbers = [size / step for size, step in zip(sizes, steps, strict=True)]
    if (numbers[0] + 1) * (numbers[1] + 1) > most_pixels:
        raise ValueError(
            f"the box has more than {most_pixels} pixels of {steps[0]:g} x {steps[1]:g} um; "
            f"draw a smaller one or give step_um={_coarser_um(sizes, max(steps), most_pixels):g}"
        )
    nx, ny = (max(round(n), 1) + 1 for n in numbers)
    return Region(edges[0], edges[1], nx, ny, dwell_ms, name)


def check_region(
    region: Region, limits_um: LimitsUm | None, most_pixels: int = MAX_REGION_PIXELS
) -> None:
    """Raise an error if a region has no size, is beyond the limits or cannot be scanned.

    Raises
    ------
    ValueError
        If it is; the message names the axis and both its ends, or a step that works.
    """
    extents = (region.x_extent_um, region.y_extent_um)
    for axis, extent in zip("xy", extents, strict=True):
        if extent[0] == extent[1]:
            raise ValueError(f"the region has no size in {axis}: it is a line at {extent[0]:g} um")
    _check_extents(*extents, limits_um)
    _check_dwell(region.dwell_ms)
    if not region.nx * region.ny <= most_pixels:
        sizes = [abs(end - begin) for begin, end in extents]
        step_um = _coarser_um(sizes, max(region.step_um), most_pixels)
        raise ValueError(
            f"{region.nx} x {region.ny} pixels are more than {most_pixels}; choose a smaller "
            f"region or a step of {step_um:g} um"
        )


def _check_extents(
    x_um: tuple[float, float], y_um: tuple[float, float], limits_um: LimitsUm | None
) -> None:
    widest = (-MAX_POSITION_UM, MAX_POSITION_UM)
    for axis, extent, own in zip("xy", (x_um, y_um), limits_um or (widest, widest), strict=True):
        low, high = max(own[0], widest[0]), min(own[1], widest[1])
        if not (low <= min(extent) and max(extent) <= high):
            raise ValueError(
                f"{axis} from {min(extent):g} to {max(extent):g} um is beyond the limits, "
                f"{low:g} to {high:g} um; draw a box within them"
            )
        if abs(extent[1] - extent[0]) < MIN_STEP_UM:
            raise ValueError(
                f"the region has no size in {axis}: {abs(extent[1] - extent[0]):g} um is less "
                f"than {MIN_STEP_UM:g} um"
            )


def _check_dwell(dwell_ms: float) -> None:
    shortest, longest = DWELL_MS
    if not shortest <= dwell_ms <= longest:
        raise ValueError(
            f"dwell_ms is {dwell_ms:g}; expected {shortest:g} to {longest:g} ms for a pixel"
        )


def _coarser_um(sizes_um: Sequence[float], step_um: float, most_pixels: int) -> float:
    """Return a step of two figures, in x and y, for which a box has few enough pixels.

    It solves (width / step + 2) (height / step + 2) = most_pixels.
    """
    width, height = sizes_um
    half, n = width + height, max(most_pixels - 4, 1)
    step = (half + math.sqrt(half**2 + n * width * height)) / n
    return float(f"{1.05 * max(step_um, step):.2g}")
