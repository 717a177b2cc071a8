"""Positions of the pixels of a map, and possible positions of a box of a given size."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Interval = tuple[float, float]
"""Two motor positions in um, from low to high."""

_FEW_PX = 256
"""Maps with more pixels have boxes moved by whole pixels, smaller maps by half a pixel."""


class Axis(NamedTuple):
    """Pixel centres along one motor: ``first_um + k step_um``, the step negative if descending."""

    first_um: float
    step_um: float
    n: int

    @classmethod
    def of(cls, extent_um: Interval, n: int) -> Axis:
        """Make an axis from the first and last pixel center.

        Examples
        --------
        >>> Axis.of((5.0, 3.0), 3).footprint_um
        (2.5, 5.5)
        """
        first, last = extent_um
        return cls(float(first), (last - first) / max(n - 1, 1), n)

    @property
    def span_um(self) -> Interval:
        """Return the lowest and highest pixel center, the range where the motor has been."""
        ends = self.first_um, self.first_um + (self.n - 1) * self.step_um
        return min(ends), max(ends)

    @property
    def footprint_um(self) -> Interval:
        """Return the outer edges of the outermost pixels."""
        low, high = self.span_um
        return low - abs(self.step_um) / 2, high + abs(self.step_um) / 2

    def edges_px(self, span_um: Interval) -> Interval:
        """Return the edges of a span in pixels, counted from the edge of the first pixel."""
        a, b = ((at - self.first_um) / self.step_um + 0.5 for at in span_um)
        return min(a, b), max(a, b)

    def centres_within(self, span_um: Interval) -> slice:
        """Return the pixels whose centers are in a span."""
        low, high = self.edges_px(span_um)
        return slice(max(0, int(np.ceil(low - 0.5))), max(0, int(np.floor(high - 0.5)) + 1))


class Raster(NamedTuple):
    """Axes x and y of a map or of a scan."""

    x: Axis
    y: Axis

    @classmethod
    def of(cls, extent_um: tuple[float, float, float, float], shape: tuple[int, int]) -> Raster:
        """Make a raster from the first and last pixel center in x, then in y, and (ny, nx)."""
        x0, x1, y0, y1 = extent_um
        return cls(Axis.of((x0, x1), shape[1]), Axis.of((y0, y1), shape[0]))

    @property
    def pixel_um2(self) -> float:
        """Return the area of a pixel."""
        return abs(self.x.step_um * self.y.step_um)

    @property
    def footprint_um(self) -> Rectangle:
        """Return the outer edges in x and in y."""
        return self.x.footprint_um, self.y.footprint_um

    def window(self, rectangle_um: Rectangle) -> PixelWindow:
        """Return rows and columns whose centers are in a rectangle."""
        x_um, y_um = rectangle_um
        return self.y.centres_within(y_um), self.x.centres_within(x_um)


Rectangle = tuple[Interval, Interval]
"""Edges in x and in y, in um."""

PixelWindow = tuple[slice, slice]
"""Rows and columns of a map."""


class Side(NamedTuple):
    """One side of a box, and its possible places along an axis of the map.

    ``starts_px`` are its lower edges in pixels of the map, counted from the edge of the first
    pixel; the side is ``width_px`` of them wide.
    """

    axis: Axis
    n_px: int
    step_um: float
    starts_px: NDArray[np.float64]

    @classmethod
    def of(cls, axis: Axis, size_um: float, step_um: float) -> Side:
        """Make a side of about ``size_um`` from edge to edge, in whole steps, within the map."""
        n_px = max(1, round(size_um / step_um))
        room = axis.n - n_px * step_um / abs(axis.step_um)
        if room < -1e-6:
            return cls(axis, n_px, step_um, np.empty(0))
        whole = np.arange(0, room, 0.5 if axis.n <= _FEW_PX else 1.0)
        return cls(axis, n_px, step_um, np.append(whole, max(room, 0.0)))

    @property
    def width_px(self) -> float:
        """Return the width in pixels of the map."""
        return self.n_px * self.step_um / abs(self.axis.step_um)

    def extent_um(self, place: int) -> Interval:
        """Return the first and last pixel center of the scan, in the map's scan direction."""
        first, last = self._ends_um(self.starts_px[place])
        return round(float(first), 6), round(float(last), 6)

    def footprint_um(self, place: int) -> Interval:
        """Return the outer edges."""
        ends = self.extent_um(place)
        return min(ends) - self.step_um / 2, max(ends) + self.step_um / 2

    def within(self, limits_um: Interval) -> NDArray[np.bool_]:
        """Return True for each place where the motor stays within limits."""
        low, high = limits_um
        ends = np.round(self._ends_um(self.starts_px), 6)
        return np.asarray((ends.min(axis=0) >= low) & (ends.max(axis=0) <= high))

    def overlap_px(self, span_um: Interval) -> NDArray[np.float64]:
        """Return the map pixels that each place has in common with a span of positions."""
        low, high = self.axis.edges_px(span_um)
        shared = np.minimum(self.starts_px + self.width_px, high) - np.maximum(self.starts_px, low)
        return np.asarray(np.clip(shared, 0, None))

    def nearest(self, middle_px: float, allowed: NDArray[np.bool_]) -> int:
        """Return the allowed place whose center is nearest to one, counted as ``starts_px``."""
        away = np.abs(self.starts_px + self.width_px / 2 - middle_px)
        return int(np.where(allowed, away, np.inf).argmin())

    def sums(self, image: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return sums of an image over each place, along its first axis, with parts of pixels."""
        total = np.zeros((len(image) + 1, *image.shape[1:]))
        np.cumsum(image, axis=0, dtype=np.float64, out=total[1:])
        return _at(total, self.starts_px + self.width_px) - _at(total, self.starts_px)

    def _ends_um(self, starts_px: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Return the first and last pixel center of the scan."""
        middle = self.axis.first_um + self.axis.step_um * (starts_px + self.width_px / 2 - 0.5)
        half = np.copysign((self.n_px - 1) / 2 * self.step_um, self.axis.step_um)
        return np.stack([middle - half, middle + half])


def _at(total: NDArray[np.float64], edges_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rows of a running sum, with linear interpolation between them."""
    edges = np.clip(edges_px, 0, len(total) - 1)
    below = np.minimum(edges.astype(np.intp), len(total) - 2)
    part = (edges - below).reshape(-1, *[1] * (total.ndim - 1))
    return np.asarray(total[below] * (1 - part) + total[below + 1] * part)
