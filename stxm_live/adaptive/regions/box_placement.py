"""The best places for boxes on a map, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.adaptive.regions.grid import Interval, PixelWindow, Raster, Rectangle, Side
from stxm_live.core.region import Region

_SEEN = 0.25
"""Share of a group, or of a smaller box, that a scan must show to make the group known."""


class BoxPlace(NamedTuple):
    """A place on the map: its number in x and in y, and its edges in um."""

    x_place: int
    y_place: int
    rectangle_um: Rectangle


@dataclass(frozen=True, eq=False)
class Interest:
    """Value of a scan for each pixel of a map.

    Parameters
    ----------
    field : ndarray of shape (ny, nx)
        Not negative.
    groups : ndarray of int, shape (ny, nx), optional
        Pixels with the same number, from 1 on, become known together: a scan of part of a
        particle makes all of it known.
    """

    field: NDArray[np.floating]
    groups: NDArray[np.integer] | None = None

    def without(self, window: PixelWindow) -> Interest:
        """Return the interest that is left once these pixels have been scanned."""
        left = self.field.copy()
        left[window] = 0
        if self.groups is not None:
            shown = np.bincount(self.groups[window].ravel(), minlength=int(self.groups.max()) + 1)
            size = np.bincount(self.groups.ravel(), minlength=len(shown))
            known = shown >= _SEEN * np.minimum(size, max(self.groups[window].size, 1))
            left[known[self.groups] & (self.groups > 0)] = 0
        return replace(self, field=left)


class Places:
    """Places where boxes of one size may be: within limits, and not on scanned areas.

    Parameters
    ----------
    raster : Raster
        Raster of the map.
    x, y : Side
    limits_um : (Interval, Interval)
        Limits of the motors x and y.
    taken : iterable of Rectangle
        Areas that are already scanned.
    max_overlap : float
        Largest share of a box that may overlap with any one taken area.
    """

    def __init__(
        self,
        raster: Raster,
        x: Side,
        y: Side,
        *,
        limits_um: tuple[Interval, Interval],
        taken: Iterable[Rectangle] = (),
        max_overlap: float = 0.1,
    ) -> None:
        self.raster, self.x, self.y = raster, x, y
        self._in_x, self._in_y = x.within(limits_um[0]), y.within(limits_um[1])
        self.reachable = np.outer(self._in_y, self._in_x)
        self._free = self.reachable.copy()
        self._most_px = max_overlap * x.width_px * y.width_px
        for rectangle in taken:
            self.take(rectangle)

    @property
    def any_free(self) -> bool:
        """Return True if a place for a box is left."""
        return bool(self._free.any())

    def take(self, rectangle_um: Rectangle) -> None:
        """Allow no further box on this area, except for a small overlap."""
        x_um, y_um = rectangle_um
        self._free &= np.outer(self.y.overlap_px(y_um), self.x.overlap_px(x_um)) <= self._most_px

    def best(self, interest: NDArray[np.floating]) -> BoxPlace | None:
        """Return the free place with the largest positive sum of a map (ny, nx), or None."""
        if not self.any_free:
            return None
        sums = self.x.sums(self.y.sums(interest).T).T
        least = 1e-9 * float(interest.sum(dtype=np.float64))  # differences of sums are rounded
        sums = np.where(self._free, sums, -np.inf)
        y_place, x_place = (int(k) for k in np.unravel_index(int(sums.argmax()), sums.shape))
        return self._box(x_place, y_place) if sums[y_place, x_place] > least else None

    def around(self, row: float, column: float) -> BoxPlace | None:
        """Return the reachable place centered nearest to a pixel; None if it is not free."""
        if not self.reachable.any():
            return None
        x_place = self.x.nearest(column + 0.5, self._in_x)
        y_place = self.y.nearest(row + 0.5, self._in_y)
        return self._box(x_place, y_place) if self._free[y_place, x_place] else None

    def sum_over(self, field: NDArray[np.floating], box: BoxPlace) -> float:
        """Return the sum of a map over a box; parts of pixels count in proportion."""
        x, y = (
            side._replace(starts_px=side.starts_px[[place]])
            for side, place in ((self.x, box.x_place), (self.y, box.y_place))
        )
        return float(x.sums(y.sums(field).T)[0, 0])

    def window(self, box: BoxPlace) -> PixelWindow:
        """Return the pixels of the map whose centers are in a box."""
        return self.raster.window(box.rectangle_um)

    def region(self, box: BoxPlace) -> Region:
        """Return the raster that scans a box."""
        x, y = self.x.extent_um(box.x_place), self.y.extent_um(box.y_place)
        return Region(x, y, self.x.n_px, self.y.n_px)

    def _box(self, x_place: int, y_place: int) -> BoxPlace:
        footprint = self.x.footprint_um(x_place), self.y.footprint_um(y_place)
        return BoxPlace(x_place, y_place, footprint)


def best_boxes(interests: Sequence[Interest], places: Places, n: int) -> Iterator[BoxPlace]:
    """Yield at most ``n`` boxes, the best first; an area counts only once."""
    left = list(interests)
    for _ in range(n):
        box = places.best(np.sum([interest.field for interest in left], axis=0))
        if box is None:
            return
        yield box
        left = [interest.without(places.window(box)) for interest in left]
        places.take(box.rectangle_um)


def boxes_around(
    centres: Iterable[tuple[float, float]], places: Places, n: int
) -> Iterator[BoxPlace]:
    """Yield at most ``n`` free boxes around rows and columns of the map, in their order."""
    found = 0
    for row, column in centres:
        box = places.around(row, column)
        if box is not None and found < n:
            yield box
            places.take(box.rectangle_um)
            found += 1
