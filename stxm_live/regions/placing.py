"""The best places for boxes on a map of interest, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.regions.grid import Interval, Side

Rectangle = tuple[Interval, Interval]
"""From edge to edge in x and in y, in um."""


class Box(NamedTuple):
    """A place: first map pixel in x and y, and what lies in it."""

    x_start: int
    y_start: int
    window: tuple[slice, slice]
    interest: float


class Places:
    """Where boxes of one size may lie: within limits, and not on what is taken.

    Parameters
    ----------
    x, y : Side
    limits_um : (Interval or None, Interval or None)
        Of the motors; None: the field of the map alone bounds them.
    taken : iterable of Rectangle
        What is scanned already.
    max_overlap : float
        Share of a box that may be taken.
    """

    def __init__(
        self,
        x: Side,
        y: Side,
        *,
        limits_um: tuple[Interval | None, Interval | None] = (None, None),
        taken: Iterable[Rectangle] = (),
        max_overlap: float = 0.1,
    ) -> None:
        self.x, self.y = x, y
        self.reachable = np.outer(y.within(limits_um[1]), x.within(limits_um[0]))
        self.free = self.reachable.copy()
        self._most_px = max_overlap * x.n_map_px * y.n_map_px
        for rectangle in taken:
            self.take(rectangle)

    def take(self, rectangle: Rectangle) -> None:
        """From now on no box lies on this, but for a little."""
        shared = np.outer(self.y.overlap_px(rectangle[1]), self.x.overlap_px(rectangle[0]))
        self.free &= shared <= self._most_px

    def window(self, x_start: int, y_start: int) -> tuple[slice, slice]:
        """Rows and columns of the map."""
        return (
            slice(y_start, y_start + self.y.n_map_px),
            slice(x_start, x_start + self.x.n_map_px),
        )

    def best(self, interest: NDArray[np.floating]) -> Box | None:
        """The free place with the largest sum of a map (ny, nx); None if it is not positive."""
        sums = np.where(self.free, self._sums(interest), -np.inf)
        if not sums.size:
            return None
        y_start, x_start = np.unravel_index(int(sums.argmax()), sums.shape)
        found = float(sums[y_start, x_start])
        if not found > 0:
            return None
        return Box(int(x_start), int(y_start), self.window(int(x_start), int(y_start)), found)

    def _sums(self, interest: NDArray[np.floating]) -> NDArray[np.float64]:
        """Of the map over each place; rounding of differences is not taken for interest."""
        total = np.zeros((interest.shape[0] + 1, interest.shape[1] + 1))
        np.cumsum(np.cumsum(interest, axis=0, dtype=np.float64), axis=1, out=total[1:, 1:])
        high, wide = self.y.n_map_px, self.x.n_map_px
        sums = total[high:, wide:] - total[:-high, wide:] - total[high:, :-wide]
        sums += total[:-high, :-wide]
        sums[sums < 1e-9 * max(float(total[-1, -1]), 1e-300)] = 0
        return sums


def best_boxes(interest: NDArray[np.floating], places: Places, n: int) -> Iterator[Box]:
    """At most ``n`` boxes, the best first; what one has seen counts for no other."""
    left = interest.copy()
    for _ in range(n):
        box = places.best(left)
        if box is None:
            return
        left[box.window] = 0
        places.take(rectangle(places, box))
        yield box


def rectangle(places: Places, box: Box) -> Rectangle:
    """From edge to edge of what a box covers."""
    spans = []
    for side, start in ((places.x, box.x_start), (places.y, box.y_start)):
        extent = side.extent_um(start)
        spans.append((min(extent) - side.step_um / 2, max(extent) + side.step_um / 2))
    return spans[0], spans[1]
