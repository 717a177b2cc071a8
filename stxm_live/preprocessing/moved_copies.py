"""Images that are another image, moved by whole pixels or turned: a detector that is out of step.

A row of pixels with noise of its own occurs in one exposure only, at whatever place. A few rows of
each image are kept, which are chosen by their counts and not by their place.
"""

from __future__ import annotations

from collections.abc import Callable
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

_MOST_SIDE = 512
"""Pixels along a side of the middle of an image that is compared with turned ones."""

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
    distance = _distance(one, other)
    if not distance:
        return None
    n_rows = round(distance / nx)
    return n_rows, distance - n_rows * nx


def _distance(one: RowMarks, other: RowMarks) -> int | None:
    """Return the pixels from rows of one image to the same in the other; None without these."""
    _, of_one, of_other = np.intersect1d(one.marks, other.marks, True, return_indices=True)
    needed = max(_LEAST_COMMON, _SHARE * min(len(one.marks), len(other.marks)))
    if len(of_one) < needed:
        return None
    distances, n = np.unique(other.places[of_other] - one.places[of_one], return_counts=True)
    return int(distances[n.argmax()]) if n.max() >= needed else None


class TurnedMarks(NamedTuple):
    """Marks of the middle of an image, as it would be after each turn, and all of them."""

    each: dict[str, RowMarks]
    every: NDArray[np.uint64]


def middle_marks(intensity: NDArray[np.float32]) -> RowMarks:
    """Return marks of the middle of an image, which stays there when the image is turned."""
    return row_marks(_middle(intensity))


def turned_marks(intensity: NDArray[np.float32]) -> TurnedMarks:
    """Return marks of an image (ny, nx) that is mirrored and rotated in all ways."""
    middle, is_square = _middle(intensity), len(set(intensity.shape)) == 1
    ways = _TURNS | (_TURNS_OF_SQUARES if is_square else {})
    each = {name: row_marks(np.ascontiguousarray(turn(middle))) for name, turn in ways.items()}
    return TurnedMarks(each, np.concatenate([marks.marks for marks in each.values()]))


def how_turned(one: RowMarks, turned: TurnedMarks) -> str:
    """Return how the image of ``turned`` was made from one, in words; empty if it was not.

    Parameters
    ----------
    one : RowMarks
        Of the middle of the image.
    turned : TurnedMarks
    """
    if np.isin(one.marks, turned.every).sum() < _LEAST_COMMON:
        return ""
    return next(
        (name for name, marks in turned.each.items() if _distance(one, marks) is not None), ""
    )


_TURNS: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "mirrored left to right": lambda image: image[:, ::-1],
    "mirrored upside down": lambda image: image[::-1],
    "rotated by 180 degrees": lambda image: image[::-1, ::-1],
}

_TURNS_OF_SQUARES: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "transposed": lambda image: image.T,
    "rotated by 90 degrees": lambda image: np.rot90(image),
    "rotated by 270 degrees": lambda image: np.rot90(image, -1),
    "transposed and rotated": lambda image: image[::-1, ::-1].T,
}


def _middle(intensity: NDArray[np.float32]) -> NDArray[np.float32]:
    ny, nx = (min(n, _MOST_SIDE - n % 2) for n in intensity.shape)
    y, x = (intensity.shape[0] - ny) // 2, (intensity.shape[1] - nx) // 2
    return intensity[y : y + ny, x : x + nx]


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
