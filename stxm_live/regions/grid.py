"""Where the pixels of a map lie, and where a box of a given size may be scanned."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Interval = tuple[float, float]
"""Lowest and highest position in um."""

_ROUNDING_UM = 1e-6
"""Positions this close to a limit are at it."""


class Axis(NamedTuple):
    """Pixel centres along one motor: ``first_um + k step_um``, the step negative if descending."""

    first_um: float
    step_um: float
    n: int

    @classmethod
    def of(cls, extent_um: Interval, n: int) -> Axis:
        """From first and last pixel centre.

        Examples
        --------
        >>> Axis.of((5.0, 3.0), 3).footprint
        (2.5, 5.5)
        """
        first, last = extent_um
        return cls(float(first), (last - first) / max(n - 1, 1), n)

    @property
    def footprint(self) -> Interval:
        """From edge to edge of the outermost pixels, in um."""
        edges = (
            self.first_um - self.step_um / 2,
            self.first_um + (self.n - 0.5) * self.step_um,
        )
        return min(edges), max(edges)


class Raster(NamedTuple):
    """Axes x and y of a map or of a scan."""

    x: Axis
    y: Axis

    @classmethod
    def of(cls, extent_um: tuple[float, float, float, float], shape: tuple[int, int]) -> Raster:
        """From first and last pixel centre in x, then in y, and (ny, nx)."""
        x0, x1, y0, y1 = extent_um
        return cls(Axis.of((x0, x1), shape[1]), Axis.of((y0, y1), shape[0]))

    @property
    def pixel_um2(self) -> float:
        """Area of a pixel."""
        return abs(self.x.step_um * self.y.step_um)


class Side(NamedTuple):
    """One side of a box: how many pixels of the map it covers, and how it would be scanned."""

    axis: Axis
    n_map_px: int
    n_px: int
    step_um: float

    @classmethod
    def of(cls, axis: Axis, size_um: float, step_um: float) -> Side:
        """A side of about ``size_um`` from edge to edge, in whole steps."""
        n_map_px = min(max(1, round(size_um / abs(axis.step_um))), axis.n)
        return cls(axis, n_map_px, max(2, round(size_um / step_um)), step_um)

    @property
    def starts(self) -> NDArray[np.intp]:
        """First map pixel of every place on the map."""
        return np.arange(self.axis.n - self.n_map_px + 1)

    def extent_um(self, start: int) -> Interval:
        """First and last pixel centre of the scan, in the direction of the map's scan."""
        middle = self.axis.first_um + self.axis.step_um * (start + (self.n_map_px - 1) / 2)
        half = np.copysign((self.n_px - 1) / 2 * self.step_um, self.axis.step_um)
        return round(float(middle - half), 6), round(float(middle + half), 6)

    def within(self, limits_um: Interval | None) -> NDArray[np.bool_]:
        """Whether the motor stays within its limits, for each of `starts`; all True without."""
        if limits_um is None:
            return np.ones(len(self.starts), dtype=bool)
        low, high = limits_um
        ends = np.array([self.extent_um(start) for start in self.starts])
        return np.asarray((ends.min(axis=1) >= low) & (ends.max(axis=1) <= high))

    def overlap_px(self, span_um: Interval) -> NDArray[np.float64]:
        """Map pixels that each place has in common with a span of motor positions."""
        edges = (np.array(span_um) - self.axis.first_um) / self.axis.step_um + 0.5
        low, high = edges.min(), edges.max()
        starts = self.starts
        shared = np.minimum(starts + self.n_map_px, high) - np.maximum(starts, low)
        return np.asarray(np.clip(shared, 0, None))

    def covered(self, span_um: Interval) -> slice:
        """Map pixels whose centres lie within a span of motor positions."""
        at = (np.array(span_um) - self.axis.first_um) / self.axis.step_um
        low, high = np.ceil(at.min() - _ROUNDING_UM), np.floor(at.max() + _ROUNDING_UM)
        return slice(int(max(low, 0)), int(max(high + 1, 0)))
