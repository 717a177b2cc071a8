"""`suggest_regions`: where to scan next, best first."""

from __future__ import annotations

import numpy as np

from stxm_live.phase_maps import PhaseMaps
from stxm_live.region import Region
from stxm_live.regions import words
from stxm_live.regions.doubt import Improvement, doubt_removed
from stxm_live.regions.grid import Interval, Raster, Side
from stxm_live.regions.placing import Places, best_boxes


def suggest_regions(
    maps: PhaseMaps,
    n: int,
    *,
    size_um: float | tuple[float, float],
    criterion: str = "doubt",
    step_um: float | None = None,
    dwell_ms: float | None = None,
    map_dwell_ms: float | None = None,
    limits: tuple[Interval, Interval] | None = None,
) -> list[Region]:
    """Up to ``n`` regions worth scanning, best first."""
    raster = Raster.of(maps.extent_um, maps.specimen.shape)
    size = (size_um, size_um) if isinstance(size_um, (int, float)) else size_um
    step = step_um or min(abs(raster.x.step_um), abs(raster.y.step_um)) / 2
    sides = [Side.of(axis, length, step) for axis, length in zip(raster, size, strict=True)]
    photons = dwell_ms / map_dwell_ms if dwell_ms and map_dwell_ms else 1.0
    map_step = float(np.sqrt(raster.pixel_um2))
    interest = doubt_removed(maps, Improvement(photons, step / map_step))
    places = Places(sides[0], sides[1], limits_um=limits or (None, None))
    found = []
    for k, box in enumerate(best_boxes(interest, places, n), start=1):
        found.append(
            Region(
                sides[0].extent_um(box.x_start),
                sides[1].extent_um(box.y_start),
                sides[0].n_px,
                sides[1].n_px,
                dwell_ms=dwell_ms or 1.0,
                name=f"{maps.key.region}-{k}",
                criterion=criterion,
                reason=words.boundary(maps, box.window),
                expected_gain=float(interest[box.window].sum()),
            )
        )
    return found
