"""Ways to choose where to zoom."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from benchmarks.accuracy.region_table.session import STEP_UM, Session, Window
from stxm_live import Region, suggest_regions
from stxm_live.adaptive.regions.box_placement import Interest, Places, best_boxes, boxes_around
from stxm_live.adaptive.regions.grid import Raster, Side
from stxm_live.adaptive.regions.od_rule import MIN_AREA_UM2, od_centres

Strategy = Callable[[Session], list[Window]]


def randomly(session: Session) -> list[Window]:
    """Boxes around random pixels of the specimen, none on another."""
    return _filled_up(session, [])


def by_od(session: Session, energy_ev: float, min_area_um2: float = MIN_AREA_UM2) -> list[Window]:
    """The rule of 2018: the largest regions of OD 0.5 to 1.5 in an image of the overview.

    Its boxes may lie anywhere in the field; they do not lie on one another.
    """
    coarse = session.conditions.coarse
    image = session.overview.od[session.energies.index(energy_ev)]
    found = od_centres(image, (coarse * STEP_UM) ** 2, min_area_um2)
    centres = [((row + 0.5) * coarse - 0.5, (col + 0.5) * coarse - 0.5) for row, col, _ in found]
    places = _places(session)
    boxes = boxes_around(centres, places, session.conditions.n_zooms)
    return _filled_up(session, [places.window(box) for box in boxes])


def suggested(session: Session, criterion: str | Mapping[str, float] = "doubt") -> list[Window]:
    """What the package suggests from the overview; random places for those it has no word on."""
    regions = regions_of(session, criterion)
    return _filled_up(session, [session.window(region) for region in regions])


def regions_of(session: Session, criterion: str | Mapping[str, float] = "doubt") -> list[Region]:
    """What the package suggests from the overview."""
    c = session.conditions
    return suggest_regions(
        session.overview,
        c.n_zooms,
        size_um=c.zoom_px * STEP_UM,
        criterion=criterion,
        step_um=STEP_UM,
        dwell_ms=c.zoom_photons / c.overview_photons,
        map_dwell_ms=1.0,
    )


def oracle(session: Session) -> list[Window]:
    """The greedy choice of one who knows the truth, and the labels of every zoom."""
    c = session.conditions
    whole = (slice(0, c.side), slice(0, c.side))
    after = session.errors(session.zoomed(whole, c.zoom_photons))
    gain = session.errors(session.first_labels).astype(np.float64) - after
    places = _places(session)
    boxes = best_boxes([Interest(gain)], places, c.n_zooms)
    return _filled_up(session, [places.window(box) for box in boxes])


STRATEGIES: Mapping[str, Strategy] = {
    "random": randomly,
    "OD 2018": partial(by_od, energy_ev=517.5),
    "OD 2018, any area": partial(by_od, energy_ev=518.3, min_area_um2=0.05),
    "doubt": suggested,
    "oracle": oracle,
}
"""What is compared; the others of the package are in `OTHERS`."""

OTHERS: Mapping[str, Strategy] = {
    "boundaries": partial(suggested, criterion="boundaries"),
    "rare": partial(suggested, criterion="rare"),
    "particles": partial(suggested, criterion="particles"),
}


def _places(session: Session) -> Places:
    """Of zooms on the finest grid."""
    c = session.conditions
    last = (c.side - 1) * STEP_UM
    raster = Raster.of((0.0, last, 0.0, last), (c.side, c.side))
    x, y = (Side.of(axis, c.zoom_px * STEP_UM, STEP_UM) for axis in raster)
    return Places(raster, x, y, limits_um=(raster.x.span_um, raster.y.span_um))


def _filled_up(session: Session, windows: list[Window]) -> list[Window]:
    """With boxes around random pixels of the specimen where there are too few."""
    c = session.conditions
    rng = np.random.default_rng([session.seed, 2])
    specimen = np.kron(session.overview.specimen, np.ones((c.coarse, c.coarse), dtype=bool))
    pixels = np.argwhere(specimen)
    for row, column in rng.permutation(pixels):
        if len(windows) == c.n_zooms:
            break
        starts = (int(np.clip(at - c.zoom_px // 2, 0, c.side - c.zoom_px)) for at in (row, column))
        one = tuple(slice(start, start + c.zoom_px) for start in starts)
        if all(_shared(one, other) <= 0.1 * c.zoom_px**2 for other in windows):
            windows = [*windows, (one[0], one[1])]
    return windows


def _shared(one: tuple[slice, ...], other: tuple[slice, ...]) -> int:
    """Pixels of both."""
    each = (
        max(0, min(a.stop, b.stop) - max(a.start, b.start)) for a, b in zip(one, other, strict=True)
    )
    return int(np.prod(list(each)))
