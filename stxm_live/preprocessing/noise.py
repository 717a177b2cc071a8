"""Noise of the counts, estimated on the empty support."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.even_selection import at_most
from stxm_live.core.od_uncertainty import smoothing
from stxm_live.core.products import least_squares, product

_PIXELS = 20_000
"""Pixels of the empty support for the estimate of the dispersion, evenly spread."""

MIN_PIXELS, MIN_IMAGES = 25, 3
"""Fewest pixels and images of empty support that separate its scatter from its shape."""

_OUTLIERS = 5.0
"""Deviations of more than this many standard deviations are spikes, not noise."""


def normal_std(deviations: NDArray[np.floating]) -> float:
    """Return the standard deviation of normal deviations from zero, whatever a few of them are.

    Examples
    --------
    >>> round(normal_std(np.array([-1.0, 0.5, 2.0, 900.0, -1.5])), 2)
    2.22
    """
    return float(np.median(np.abs(deviations))) / 0.6745


def dispersion(
    intensity: NDArray[np.floating],
    empty: NDArray[np.bool_],
    shifts_px: NDArray[np.float64] | None = None,
) -> float | None:
    """Return the variance over mean of the counts of one pixel, from the empty support.

    This is the counts per photon (gain) times the Fano factor: 1 for a counter of single
    photons.

    Parameters
    ----------
    intensity : ndarray of shape (n_energies, ny, nx)
        Counts; NaN where unusable.
    empty : ndarray of bool, shape (ny, nx)
        True for pixels with support only.
    shifts_px : ndarray of shape (n_energies, 2), optional
        Shifts of the images by ``stxm_live.preprocessing.alignment.spline_shift.shifted``, whose
        interpolation smooths the noise; None if they were not shifted.

    Returns
    -------
    float or None
        Median over the images, at least that of rounding counts to float32; None with fewer than
        `MIN_IMAGES` images or `MIN_PIXELS` pixels.

    Notes
    -----
    Two parts are not noise: the part that all images have in common, such as the grain of a
    support film, and a second-degree surface in each, such as slow changes of the beam.
    """
    rows, columns = np.nonzero(empty)
    chosen = at_most(_PIXELS, len(rows))
    rows, columns = rows[chosen], columns[chosen]
    counts = intensity[:, rows, columns].astype(np.float64)
    known = np.isfinite(counts).all(axis=0)
    counts, rows, columns = counts[:, known], rows[known], columns[known]
    n_images, n_pixels = counts.shape
    if n_images < MIN_IMAGES or n_pixels < MIN_PIXELS:
        return None
    mean = counts.mean(axis=1, keepdims=True)
    surface = _second_degree(rows / empty.shape[0], columns / empty.shape[1])
    relative = (counts / mean).T
    relative -= product(surface, least_squares(surface, relative))
    relative -= relative.mean(axis=1, keepdims=True)
    freedom = (1 - surface.shape[1] / n_pixels) * (1 - 1 / n_images)
    smoothed = 1.0 if shifts_px is None else smoothing(shifts_px)
    found = _variance(relative) / freedom * mean[:, 0] / smoothed
    rounding = np.finfo(np.float32).eps ** 2 / 12 * mean[:, 0]  # float32 counts show no less
    return float(np.median(np.maximum(found, rounding)))


def _second_degree(y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    y, x = y - y.mean(), x - x.mean()
    return np.stack([np.ones_like(y), y, x, y * y, x * y, x * x], axis=1)


def _variance(relative: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the variance of each column (n_pixels, n_images) without its spikes."""
    limit = _OUTLIERS * np.median(np.abs(relative), axis=0) / 0.6745
    inside = np.abs(relative) <= limit
    return np.asarray(np.mean(relative**2, axis=0, where=inside))
