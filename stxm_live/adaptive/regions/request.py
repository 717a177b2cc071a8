"""Arguments of `suggest_regions`, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from stxm_live.adaptive.regions.expected_gain import Improvement
from stxm_live.adaptive.regions.grid import Interval, Raster, Rectangle, Side
from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.region import Region
from stxm_live.core.scan import StackScan

MotorLimits = tuple[Interval, Interval] | Mapping[str, Interval]
"""Limits of the motors: ((x_low, x_high), (y_low, y_high)) in um, or by the names "x" and "y"."""

Scanned = StackScan | Region | PhaseMaps | tuple[float, float, float, float]
"""Area of a scan; a tuple is first and last pixel center in x, then in y."""

_SMALLEST_UM = 1e-9
"""A pixel below this has no size."""

FINER = 2.0
"""Ratio of the map's step to that of a region, unless it is given."""


class Overhead(NamedTuple):
    """Time of a scan besides the exposure: the turn after each line, and each energy."""

    line_s: float = 0.1
    energy_s: float = 2.0


@dataclass(frozen=True, eq=False)
class Request:
    """A checked request: rasters in um, and known limits.

    ``improvement`` compares a region with the map; ``dwell_ms`` is None if unknown.
    """

    raster: Raster
    x: Side
    y: Side
    limits_um: tuple[Interval, Interval]
    taken: tuple[Rectangle, ...]
    improvement: Improvement
    dwell_ms: float | None

    @classmethod
    def of(
        cls,
        maps: PhaseMaps,
        *,
        size_um: float | tuple[float, float],
        step_um: float | None,
        dwell_ms: float | None,
        map_dwell_ms: float | None,
        limits: MotorLimits | None,
        scanned: Iterable[Scanned],
    ) -> Request:
        """Make a request from the arguments of `suggest_regions`; raises the same errors."""
        ny, nx = maps.specimen.shape
        if min(ny, nx) < 2:
            raise ValueError(f"maps of {ny} x {nx} pixels are a line, which has no regions")
        if not (maps.phase_index >= 0).any():
            raise ValueError(f"no specimen in the field of {maps.key}: no region to suggest")
        raster = Raster.of(maps.extent_um, (ny, nx))
        for name, value in (
            ("step_um", step_um),
            ("dwell_ms", dwell_ms),
            ("map_dwell_ms", map_dwell_ms),
        ):
            if value is not None and not 0 < value < np.inf:
                raise ValueError(f"{name} is {value:g}; it must be positive")
        map_step = float(np.sqrt(raster.pixel_um2))
        if not _SMALLEST_UM < map_step < np.inf:
            raise ValueError(f"pixels of {map_step:g} um have no size; correct the scan's extents")
        step = step_um or map_step / FINER
        x, y = _sides(raster, size_um, step)
        map_dwell_ms = map_dwell_ms or maps.dwell_ms
        dwell_ms = dwell_ms or map_dwell_ms
        photons = dwell_ms / map_dwell_ms if dwell_ms and map_dwell_ms else 1.0
        return cls(
            raster,
            x,
            y,
            _limits(limits, raster),
            tuple(_rectangles(scanned, raster)),
            Improvement(photons, step / map_step),
            dwell_ms,
        )


def _sides(
    raster: Raster, size_um: float | tuple[float, float], step_um: float
) -> tuple[Side, Side]:
    """Return the sides of the box, no longer than the field."""
    size = (size_um, size_um) if isinstance(size_um, (int, float)) else tuple(size_um)
    if len(size) != 2 or not all(0 < length < np.inf for length in size):
        raise ValueError(f"size_um is {size_um}; expected a length in um, or one in x and one in y")
    sides = []
    for name, axis, length in zip("xy", raster, size, strict=True):
        low, high = axis.footprint_um
        side = Side.of(axis, length, step_um)
        if not side.starts_px.size:
            raise ValueError(
                f"regions of {length:g} um are larger than the field of the maps, which is "
                f"{high - low:.4g} um in {name}; ask for smaller ones"
            )
        if side.n_px < 2:
            raise ValueError(
                f"a region of {length:g} um has no second pixel in {name} at steps of "
                f"{step_um:g} um; ask for a larger one or a smaller step_um"
            )
        sides.append(side)
    return sides[0], sides[1]


def _limits(limits: MotorLimits | None, raster: Raster) -> tuple[Interval, Interval]:
    """Return the limits of both motors; by default the range of the map's scan."""
    if limits is None:
        return raster.x.span_um, raster.y.span_um
    pairs = (limits.get("x"), limits.get("y")) if isinstance(limits, Mapping) else limits
    if len(pairs) != 2:
        raise ValueError(f"limits {limits} must be (low, high) of x, then of y, in um")
    return _checked("x", pairs[0]), _checked("y", pairs[1])


def _checked(axis: str, pair: Interval | None) -> Interval:
    """Return a range that can be trusted; a motor without limits has none."""
    try:
        low, high = (float(value) for value in pair or ())
    except (TypeError, ValueError):
        low = high = np.nan
    if not low < high or not np.isfinite([low, high]).all():
        raise ValueError(
            f"limits of {axis} are {pair}, which is no range in um, so nothing is suggested; "
            "EPICS motors without limits say 0 and 0: set them, or leave limits out to stay "
            "where the map was scanned"
        )
    return low, high


def _rectangles(scanned: Iterable[Scanned], raster: Raster) -> Iterable[Rectangle]:
    """Yield areas of earlier scans, except overviews: the whole field at no finer step."""
    for scan in scanned:
        if isinstance(scan, PhaseMaps):
            where = Raster.of(scan.extent_um, scan.specimen.shape)
        elif isinstance(scan, StackScan):
            where = Raster.of(scan.extent_um, scan.image_shape)
        elif isinstance(scan, Region):
            where = Raster.of((*scan.x_extent_um, *scan.y_extent_um), (scan.ny, scan.nx))
        else:
            x0, x1, y0, y1 = scan
            yield (min(x0, x1), max(x0, x1)), (min(y0, y1), max(y0, y1))
            continue
        covers = all(
            own.span_um[0] <= axis.span_um[0] + 1e-6 and own.span_um[1] >= axis.span_um[1] - 1e-6
            for own, axis in zip(where, raster, strict=True)
        )
        if not (covers and where.pixel_um2 >= 0.999 * raster.pixel_um2):
            yield where.footprint_um
