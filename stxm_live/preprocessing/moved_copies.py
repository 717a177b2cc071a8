"""Images that are another image moved by whole pixels: a detector that is out of step.

A row of pixels with noise of its own occurs in one exposure only, at whatever place. A few rows of
each image are kept, which are chosen by their counts and not by their place.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_WIDTH, _LEAST_VALUES = 12, 4
"""Pixels of a row that are compared, and different counts among them."""

_MOST_KEPT, _LEAST_COMMON = 256, 8
"""Rows that are kept of an image, and those that two images must have in common."""

_MOST_CHOSEN = 4096
"""Rows, about, of which those that are kept are taken."""

_SHARE = 0.5
"""Share of the rows that are in both images, all of them moved by the same distance."""

_FACTOR = np.uint64(0x9E3779B97F4A7C15)


class RowMarks(NamedTuple):
    """Numbers that are equal for equal rows of pixels, and the place of the first pixel of each."""

    marks: NDArray[np.uint64]
    places: NDArray[np.int64]


def row_marks(intensity: NDArray[np.float32]) -> RowMarks:
    """Return marks of some rows of pixels of an image.

    Parameters
    ----------
    intensity : ndarray of shape (ny, nx)
    """
    nx = intensity.shape[1]
    if nx < _WIDTH:
        return RowMarks(np.empty(0, np.uint64), np.empty(0, np.int64))
    bits = np.ascontiguousarray(intensity).view(np.uint32).ravel()
    places = _chosen(bits)
    places = places[places % nx <= nx - _WIDTH]
    rows = bits[places[:, np.newaxis] + np.arange(_WIDTH)]
    counts = rows.view(np.float32)
    n_values = 1 + (np.diff(np.sort(rows, axis=1), axis=1) != 0).sum(axis=1)
    says = np.isfinite(counts).all(axis=1) & (n_values >= _LEAST_VALUES)
    marks = np.zeros(len(rows), np.uint64)
    for column in rows.T:
        marks = _mixed(marks ^ column)
    marks, first = np.unique(marks[says], return_index=True)
    return RowMarks(marks[:_MOST_KEPT], places[says][first[:_MOST_KEPT]])


def moved_by(one: RowMarks, other: RowMarks, nx: int) -> tuple[int, int] | None:
    """Return by how many rows and columns the other image is one moved; None if it is not.

    Parameters
    ----------
    one, other : RowMarks
    nx : int
        Pixels in a line.
    """
    _, of_one, of_other = np.intersect1d(one.marks, other.marks, True, return_indices=True)
    needed = max(_LEAST_COMMON, _SHARE * min(len(one.marks), len(other.marks)))
    if len(of_one) < needed:
        return None
    distances, n = np.unique(other.places[of_other] - one.places[of_one], return_counts=True)
    distance = int(distances[n.argmax()])
    if distance == 0 or n.max() < needed:
        return None
    n_rows = round(distance / nx)
    return n_rows, distance - n_rows * nx


def _chosen(bits: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Return the places of about `_MOST_CHOSEN` pixels, chosen by their counts and the next."""
    every = 1 << max(0, (bits.size // _MOST_CHOSEN).bit_length() - 1)
    mixed = bits[:-1] * np.uint32(0x9E3779B1)
    mixed += bits[1:] * np.uint32(0x85EBCA77)
    mixed ^= mixed >> np.uint32(15)
    mixed *= np.uint32(0xC2B2AE3D)
    mixed ^= mixed >> np.uint32(13)
    mixed &= np.uint32(every - 1)
    return np.flatnonzero(mixed == 0)


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return numbers of which all bits depend on all bits of the given ones."""
    product = numbers * _FACTOR
    product = (product ^ (product >> np.uint64(32))) * _FACTOR
    return np.asarray(product ^ (product >> np.uint64(29)))
