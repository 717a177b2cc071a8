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
    """Return a number for each line of an image, (ny,), equal for equal lines.

    Parameters
    ----------
    intensity : ndarray of shape (ny, nx)
    """
    return np.array([hash(line.tobytes()) for line in intensity], np.int64)


def same_lines(
    one: NDArray[np.float32],
    other: NDArray[np.float32],
    marks: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> slice | None:
    """Return the longest run of equal lines of two images; None for a few.

    Parameters
    ----------
    one, other : ndarray of shape (ny, nx)
    marks : tuple of ndarray of shape (ny,)
        Those of the two, from `line_marks`.
    """
    if one.shape != other.shape:
        return None
    equal = marks[0] == marks[1]
    for image in (one, other):
        if np.count_nonzero(equal) < _LEAST_LINES:
            return None
        equal &= _says_something(image, equal)
    padded = np.concatenate([[False], equal, [False]])
    ends = np.flatnonzero(padded[1:] != padded[:-1]).reshape(-1, 2)
    if not len(ends):
        return None
    begin, end = max(ends.tolist(), key=lambda run: run[1] - run[0])
    return slice(begin, end) if end - begin >= _LEAST_LINES else None


def _says_something(
    intensity: NDArray[np.float32], looked_at: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return True for those lines of an image that would not be equal by chance."""
    found = np.zeros(len(intensity), np.bool_)
    finite = np.isfinite(intensity)
    if not finite.any() or (intensity[finite] != np.round(intensity[finite])).any():
        return found
    usable = finite & (intensity > 0) & (intensity < intensity[finite].max())
    for k in np.flatnonzero(looked_at & (usable.sum(axis=1) >= _LEAST_PIXELS)):
        found[k] = np.unique(intensity[k, usable[k]]).size >= _LEAST_VALUES
    return found
