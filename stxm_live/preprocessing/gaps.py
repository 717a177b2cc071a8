"""Values that single images lack inside the common field: lost lines, unfinished images."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.file_arrays import bands, empty_like, in_bands, of_pixels
from stxm_live.core.products import sum_over

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
    some = sum(np.isfinite(image).astype(np.int16) for image in log_intensity) >= 2
    pixels = of_pixels(log_intensity, some)
    base, course, place = _fitted(pixels)
    filled = empty_like(log_intensity)
    for image, before in zip(filled, log_intensity, strict=True):
        image[...] = before
    (rows, columns), wanted = np.nonzero(gaps), np.flatnonzero(gaps[some])
    for part in bands(len(wanted)):
        values, known = _known(pixels[:, wanted[part]])
        usual = base + course * place[:, wanted[part]]
        filled[:, rows[part], columns[part]] = np.where(known, values, usual)
    return filled


def _fitted(pixels: NDArray[np.float32]) -> tuple[NDArray[np.float64], ...]:
    """Return a constant spectrum, a second one (both (n_energies, 1)), and how much each pixel has.

    Of so many pixels' spectra, (n_energies, n_pixels), some are taken after the others.
    """
    n_energies, n_pixels = pixels.shape

    def over_pixels(
        of_part: Callable[[slice], NDArray[np.float64]],
    ) -> NDArray[np.float64]:
        return sum_over(of_part, n_energies, n_pixels)[:, None]

    def placed(part: slice) -> NDArray[np.float64]:
        return _amount(*_known(pixels[:, part]), base, course)

    def away(part: slice) -> NDArray[np.float64]:
        values, known = _known(pixels[:, part])
        return np.where(known, values - course * place[:, part], 0.0)

    def along(part: slice) -> NDArray[np.float64]:
        values, known = _known(pixels[:, part])
        return np.where(known, (values - base) * place[:, part], 0.0)

    def square(part: slice) -> NDArray[np.float64]:
        return np.where(_known(pixels[:, part])[1], place[:, part] ** 2, 0.0)

    count = over_pixels(lambda part: _known(pixels[:, part])[1].astype(np.float64))
    count = np.maximum(count, 1)
    base = over_pixels(lambda part: _known(pixels[:, part])[0]) / count
    course, place = np.ones_like(base), np.empty((1, n_pixels))
    for _ in range(_ROUNDS):
        in_bands(placed, place)
        place -= place.mean()
        base = over_pixels(away) / count
        course = over_pixels(along) / np.maximum(over_pixels(square), 1e-12)
    return base, course, place


def _known(values: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return values with 0 where they are not known, and where they are."""
    found = values.astype(np.float64)
    known = np.isfinite(found)
    found[~known] = 0.0
    return found, known


def _amount(
    values: NDArray[np.float64],
    known: NDArray[np.bool_],
    base: NDArray[np.float64],
    course: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return how much of a course the known values of each pixel hold, (1, n_pixels)."""
    product = np.where(known, (values - base) * course, 0.0).sum(axis=0, keepdims=True)
    square = np.where(known, course**2, 0.0).sum(axis=0, keepdims=True)
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
