"""Images with lines of another image: a buffer that was refilled while it was read.

Counts of two images scatter independently. Where several whole lines on end agree in every pixel,
they are of one exposure. Only whole counts are compared: in ratios to the ring current, say, lines
of one exposure would have different factors.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LEAST_LINES = 3
"""Equal lines on end that are no chance."""

_LEAST_PIXELS, _LEAST_VALUES = 16, 4
"""Pixels of a line with counts that are not saturated, and different values among them."""


def line_marks(intensity: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return a number for each line of an image; 0 for those that nothing can be said of.

    Parameters
    ----------
    intensity : ndarray of shape (ny, nx)

    Returns
    -------
    ndarray of shape (ny,)
        Equal for equal lines.
    """
    marks = np.zeros(len(intensity), np.int64)
    finite = np.isfinite(intensity)
    if not finite.any() or (intensity[finite] != np.round(intensity[finite])).any():
        return marks
    usable = finite & (intensity > 0) & (intensity < intensity[finite].max())
    for k in np.flatnonzero(usable.sum(axis=1) >= _LEAST_PIXELS):
        if np.unique(intensity[k, usable[k]]).size >= _LEAST_VALUES:
            marks[k] = hash(intensity[k].tobytes()) or 1
    return marks


def same_lines(one: NDArray[np.int64], other: NDArray[np.int64]) -> slice | None:
    """Return the longest run of equal lines of two images, from their marks; None for a few."""
    if one.shape != other.shape:
        return None
    equal = np.concatenate([[False], (one == other) & (one != 0), [False]])
    ends = np.flatnonzero(equal[1:] != equal[:-1]).reshape(-1, 2)
    if not len(ends):
        return None
    begin, end = max(ends.tolist(), key=lambda run: run[1] - run[0])
    return slice(begin, end) if end - begin >= _LEAST_LINES else None
