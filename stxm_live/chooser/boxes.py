"""Boxes that somebody drew: made into regions, and refused if they cannot be scanned."""

from __future__ import annotations

import numpy as np

from stxm_live.region import Region
from stxm_live.scan import MAX_IMAGE_PIXELS

LimitsUm = tuple[tuple[float, float], tuple[float, float]]
"""Lowest and highest position in x, then in y."""


def box_region(
    x_um: tuple[float, float],
    y_um: tuple[float, float],
    *,
    step_um: float | tuple[float, float],
    dwell_ms: float = 1.0,
    name: str = "1",
) -> Region:
    """The region of a drawn box: its edges are the outermost pixel centres.

    Parameters
    ----------
    x_um, y_um : (float, float)
        Edges in any order; the region ascends.
    step_um : float or (float, float)
        Wanted distance of pixel centres, in x and y; the nearest that fits the box is taken.
    dwell_ms : float
    name : str

    Raises
    ------
    ValueError
        If the box has no size, is not finite, or has fewer than two or too many pixels.

    Examples
    --------
    >>> region = box_region((2, 0), (1, 2), step_um=0.3)
    >>> region.x_extent_um, region.nx, region.ny
    ((0.0, 2.0), 8, 4)
    """
    steps = step_um if isinstance(step_um, tuple) else (step_um, step_um)
    edges, numbers = [], []
    for axis, ends, step in zip("xy", (x_um, y_um), steps, strict=True):
        low, high = sorted(float(end) for end in ends)
        if not np.isfinite([low, high]).all():
            raise ValueError(f"{axis} from {ends[0]} to {ends[1]} um is no box")
        if low == high:
            raise ValueError(f"the box has no size in {axis}: both edges are at {low:g} um")
        if not step > 0:
            raise ValueError(f"the step in {axis} is {step:g} um; it must be positive")
        edges.append((low, high))
        numbers.append((high - low) / step)
    if (numbers[0] + 1) * (numbers[1] + 1) > MAX_IMAGE_PIXELS:
        raise ValueError(
            f"the box has more than {MAX_IMAGE_PIXELS} pixels of {steps[0]:g} x {steps[1]:g} um; "
            "draw a smaller one or choose a larger step"
        )
    nx, ny = (max(round(n), 1) + 1 for n in numbers)
    return Region(edges[0], edges[1], nx, ny, dwell_ms, name)


def check_region(region: Region, limits_um: LimitsUm | None) -> None:
    """Refuse what has no size or lies beyond the limits.

    Raises
    ------
    ValueError
        Naming the axis and both its ends.
    """
    extents = (region.x_extent_um, region.y_extent_um)
    for k, (axis, extent) in enumerate(zip("xy", extents, strict=True)):
        if extent[0] == extent[1]:
            raise ValueError(f"the region has no size in {axis}: it is a line at {extent[0]:g} um")
        if limits_um is None:
            continue
        low, high = limits_um[k]
        if not (low <= min(extent) and max(extent) <= high):
            raise ValueError(
                f"{axis} from {min(extent):g} to {max(extent):g} um is beyond the limits, "
                f"{low:g} to {high:g} um; draw a box within them"
            )
    if region.nx * region.ny > MAX_IMAGE_PIXELS:
        raise ValueError(
            f"{region.nx} x {region.ny} pixels; an image has at most {MAX_IMAGE_PIXELS}"
        )
