"""Positions of the stages that events carry, compared with the raster that is announced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.scan import StackScan
from stxm_live.io.documents.counts import Counts
from stxm_live.io.documents.slot import Piece
from stxm_live.io.units import unit_in_um, unit_of

LEAST_AGREEMENT = 0.8
"""Least correlation of the measured positions of an image with those of its columns or rows. A
mirrored image has -1; exchanged axes, and lines that snake without saying so, have 0."""

SPAN_TOLERANCE = 0.1
"""Largest relative difference between the announced extent and that of the positions."""

MAX_PARTS = 2**18
"""Most events whose positions are kept at a time."""

READBACK_SUFFIXES = ("", "_readback", "_user_readback", "_rbv", "-readback", "-user_readback")
"""Endings of the data key of a motor's position."""

_Part = tuple[int, NDArray[np.int64], NDArray[np.float64]]
"""Row, columns, and the positions there."""


class Positions:
    """The positions of the image that is being scanned.

    Parameters
    ----------
    scan : StackScan
    data_keys : mapping
        Data keys of the events; positions are those of the scan's x and y motors.

    Attributes
    ----------
    keys : list of str or None
        Data keys of the y and the x position.
    """

    def __init__(self, scan: StackScan, data_keys: Mapping[str, Any]) -> None:
        self._extents_um = scan.y_extent_um, scan.x_extent_um
        self._image_shape = scan.image_shape
        self.keys = [_key(motor, data_keys) for motor in (scan.y_motor, scan.x_motor)]
        self._units = [unit_of(data_keys[key]) if key else "" for key in self.keys]
        self._parts: tuple[list[_Part], list[_Part]] = ([], [])

    def add(self, piece: Piece, counts: Counts, data: Mapping[str, Any]) -> str:
        """Take the positions of a piece; return a contradiction when an image ends, or ""."""
        if counts.kind == "image" or not any(self.keys):
            return ""
        row, columns = piece.where[0].start, np.arange(self._image_shape[1])[piece.where[1]]
        for key, parts in zip(self.keys, self._parts, strict=True):
            values = _values(data.get(key or ""))
            if values.size == 1 and (counts.kind == "pixel" or key == self.keys[0]):
                parts.append((row, columns[:1], values))
            elif counts.kind == "line" and values.size == columns.size:
                parts.append((row, columns, values[::-1] if piece.is_backwards else values))
        is_full = max(map(len, self._parts)) >= MAX_PARTS
        return self.contradiction() if piece.is_last or is_full else ""

    def contradiction(self) -> str:
        """Return how the positions since the last call contradict the raster, or ""."""
        found = [self._of_axis(axis) for axis in (0, 1)]
        for parts in self._parts:
            parts.clear()
        return next(filter(None, found), "")

    def _of_axis(self, axis: int) -> str:
        if not self._parts[axis]:
            return ""
        rows = np.concatenate([np.full(len(at), row) for row, at, _ in self._parts[axis]])
        columns = np.concatenate([at for _, at, _ in self._parts[axis]])
        measured = np.concatenate([values for _, _, values in self._parts[axis]])
        known = _without_strays(measured)
        rows, columns, measured = rows[known], columns[known], measured[known]
        own, n = (rows, columns)[axis], self._image_shape[axis]
        (first_um, last_um), key = self._extents_um[axis], self.keys[axis]
        if not own.size or np.ptp(own) == 0 or first_um == last_um:
            return ""
        step_um = (last_um - first_um) / (n - 1)
        unit_um = unit_in_um(self._units[axis])
        span_um, announced_um = np.ptp(measured) * (unit_um or 1.0), np.ptp(own) * abs(step_um)
        snaked = np.where(rows % 2, -columns, columns)
        structure = max(abs(_correlation(p, measured)) for p in (rows, columns, snaked))
        if structure < LEAST_AGREEMENT and span_um < announced_um / 2:
            return ""  # the motor stands still
        agreement = _correlation(own * step_um, measured)
        if agreement < LEAST_AGREEMENT:
            return (
                f"the positions of {key!r} contradict the announced order of the "
                f"{('rows', 'columns')[axis]} (correlation {agreement:.2f}); correct motors, "
                "extents, shape or snaking in the start document"
            )
        if unit_um is not None and abs(span_um - announced_um) > max(
            SPAN_TOLERANCE * announced_um, abs(step_um)
        ):
            return (
                f"the positions of {key!r} extend over {span_um:.4g} um, announced are "
                f"{announced_um:.4g} um; correct the extent in the start document"
            )
        return ""


def _key(motor: str, data_keys: Mapping[str, Any]) -> str | None:
    names = (motor + suffix for suffix in READBACK_SUFFIXES)
    return next((name for name in names if name in data_keys), None)


def _values(value: Any) -> NDArray[np.float64]:
    try:
        return np.asarray(value, dtype=np.float64).ravel()
    except (TypeError, ValueError):
        return np.empty(0)


def _without_strays(measured: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return True for numbers that are not far beyond nearly all others."""
    known = np.isfinite(measured)
    low, high = np.percentile(measured[known], (5, 95)) if known.any() else (0.0, 0.0)
    reach = high - low
    return known & (measured >= low - reach) & (measured <= high + reach)


def _correlation(one: NDArray[Any], other: NDArray[np.float64]) -> float:
    a, b = one - one.mean(), other - other.mean()
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / norm if norm > 0 else 0.0
