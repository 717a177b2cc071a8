"""Values that single images lack inside the common field: lost lines, unfinished images."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 5
"""Of fitting the usual course over the energies, and each pixel's place on it."""


def common_window(shape: tuple[int, ...], shifts_px: NDArray[np.float64]) -> tuple[slice, slice]:
    """Return the rows and columns that every image shows after it was moved.

    Parameters
    ----------
    shape : (ny, nx)
    shifts_px : ndarray of shape (n_images, 2)
        (y, x) applied.

    Examples
    --------
    >>> common_window((10, 20), np.array([[0.0, 0.0], [1.5, -3.0]]))
    (slice(2, 10, None), slice(0, 17, None))
    """
    first = np.maximum(np.ceil(shifts_px).max(axis=0), 0).astype(int)
    last = np.array(shape) + np.minimum(np.floor(shifts_px).min(axis=0), 0).astype(int)
    rows, columns = (slice(int(a), int(max(a, b))) for a, b in zip(first, last, strict=True))
    return rows, columns


def gaps_of(values: NDArray[np.floating], shifts_px: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return the pixels of the common field that lack some of the energies, but have two.

    Parameters
    ----------
    values : ndarray of shape (n_energies, ny, nx)
        NaN where not measured.
    shifts_px : ndarray of shape (n_energies, 2)

    Returns
    -------
    ndarray of bool, shape (ny, nx)
    """
    found = np.zeros(values.shape[1:], dtype=np.bool_)
    window = common_window(found.shape, shifts_px)
    known = _n_known(values[:, *window])
    if known is not None:
        found[window] = (known >= 2) & (known < len(values))
    return found


def n_hardly_measured(
    images: Iterable[NDArray[np.floating]], shifts_px: NDArray[np.float64]
) -> int:
    """Return how many pixels of the common field have fewer than two energies.

    Parameters
    ----------
    images : iterable of ndarray of shape (ny, nx)
        NaN where not measured.
    shifts_px : ndarray of shape (n_energies, 2)
    """
    known = sum(
        np.isfinite(image[common_window(image.shape, shifts_px)]).astype(np.int16)
        for image in images
    )
    return int(np.sum(known < 2))


def _n_known(values: NDArray[np.floating]) -> NDArray[np.intp] | None:
    """Return how many energies each pixel has, (ny, nx); None if all have all."""
    if np.isfinite(values.sum(axis=0)).all():  # quicker than to look at every value
        return None
    return np.asarray(np.isfinite(values).sum(axis=0))


def filled_for_specimen(
    log_intensity: NDArray[np.float32], shifts_px: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return ln(I) with the gaps filled, so that specimen is found where images lack a line.

    Parameters
    ----------
    log_intensity : ndarray of shape (n_energies, ny, nx)
        NaN where not measured. The same array is returned where nothing is missing.
    shifts_px : ndarray of shape (n_energies, 2)

    Notes
    -----
    Every spectrum is taken to be a constant spectrum and a multiple of a second one. Both are
    fitted to all pixels, and the missing values follow from those that the pixel has.
    """
    gaps = gaps_of(log_intensity, shifts_px)
    if not gaps.any():
        return log_intensity
    some = np.isfinite(log_intensity).sum(axis=0) >= 2
    values = log_intensity[:, some].astype(np.float64)
    known = np.isfinite(values)
    values[~known] = 0.0
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    base = values.sum(axis=1, keepdims=True) / count
    course = np.ones_like(base)
    for _ in range(_ROUNDS):
        place = _amount(values - base, known, course, axis=0)
        place -= place.mean()
        away = np.where(known, values - course * place, 0.0)
        base = away.sum(axis=1, keepdims=True) / count
        course = _amount(values - base, known, place, axis=1)
    filled = log_intensity.copy()
    wanted = gaps[some]
    filled[:, gaps] = np.where(known, values, base + course * place)[:, wanted]
    return filled


def _amount(
    values: NDArray[np.float64],
    known: NDArray[np.bool_],
    along: NDArray[np.float64],
    axis: int,
) -> NDArray[np.float64]:
    """Return how much of a course the known values hold, summed over an axis that stays."""
    product = np.where(known, values * along, 0.0).sum(axis=axis, keepdims=True)
    square = np.where(known, along**2, 0.0).sum(axis=axis, keepdims=True)
    return np.asarray(product / np.maximum(square, 1e-12))


def measured_range(
    images: Iterable[NDArray[np.float32]], shifts_px: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the least and the largest value of each pixel, (ny, nx).

    Parameters
    ----------
    images : iterable of ndarray of shape (ny, nx)
    shifts_px : ndarray of shape (n_energies, 2)
        In the common field two values are enough; elsewhere a missing one makes both NaN.
    """
    each = iter(images)
    low = next(each).copy()
    high, known = low.copy(), np.isfinite(low).astype(np.int16)
    least, most = low.copy(), low.copy()
    for image in each:
        np.minimum(low, image, out=low)
        np.maximum(high, image, out=high)
        np.fmin(least, image, out=least)
        np.fmax(most, image, out=most)
        known += np.isfinite(image)
    gaps = np.zeros(low.shape, dtype=np.bool_)
    window = common_window(low.shape, shifts_px)
    gaps[window] = (known[window] >= 2) & (known[window] < len(shifts_px))
    low[gaps], high[gaps] = least[gaps], most[gaps]
    return low, high
