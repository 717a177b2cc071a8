"""The standard uncertainty of an optical density, and how moving an image changes it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_POLE = np.sqrt(3.0) - 2.0
"""Pole of the filter that turns values into coefficients of a cubic B-spline."""


def od_std(
    counts: NDArray[np.floating],
    i0: NDArray[np.float64],
    i0_std: NDArray[np.float64],
    dispersion: float | NDArray[np.float64],
) -> NDArray[np.float32]:
    """Return the standard uncertainty of OD = ln(I0/I), to first order.

    Parameters
    ----------
    counts : ndarray of shape (n_energies, ...)
        Counts behind each value, I0 exp(-OD).
    i0, i0_std : ndarray of shape (n_energies,)
        The error of I0 is common to all pixels of an image.
    dispersion : float or ndarray of shape (n_energies,)
        Variance over mean of the counts; for shifted images, times `smoothing`.

    Returns
    -------
    ndarray of the shape of counts, float32
        Dimensionless; NaN where counts are NaN.
    """
    per_image = (-1, *[1] * (counts.ndim - 1))
    common = np.square(np.asarray(i0_std) / i0).reshape(per_image)
    scale = np.broadcast_to(np.asarray(dispersion, dtype=np.float64), len(counts))
    variance = scale.reshape(per_image) / counts + common
    return np.asarray(np.sqrt(variance), dtype=np.float32)


def smoothing(shifts_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the factor on a pixel's variance from cubic-spline interpolation at a shift.

    Parameters
    ----------
    shifts_px : ndarray of shape (n_images, 2)
        (y, x) in pixels.

    Returns
    -------
    ndarray of shape (n_images,)
        1 for whole pixels, 0.57 for half a pixel in y and in x.

    Notes
    -----
    The variance of white noise is multiplied by the sum of the squared interpolation weights. Along
    one axis these are the B-spline's four weights at the fraction of the shift, convolved with the
    filter sqrt(3) z^abs(n), z = sqrt(3) - 2, that makes coefficients of values; the filter's
    autocorrelation is 3 z^m (m + (1 + z^2)/(1 - z^2)). The factors of y and x multiply.

    Examples
    --------
    >>> smoothing(np.array([[0.0, -3.0], [0.0, 0.5], [0.5, 0.5]])).round(2)
    array([1.  , 0.76, 0.57])
    """
    fraction = np.asarray(shifts_px, dtype=np.float64) % 1
    weights = spline_weights(fraction)
    lags = np.arange(weights.shape[-1])
    z2 = _POLE**2
    filtered = 3 * _POLE**lags * (lags + (1 + z2) / (1 - z2))
    overlap = [(weights[..., m:] * weights[..., : len(lags) - m]).sum(axis=-1) for m in lags]
    along = np.stack(overlap, axis=-1) @ np.where(lags > 0, 2 * filtered, filtered)
    return np.asarray(np.where(fraction == 0, 1.0, along).prod(axis=-1))


def spline_weights(fraction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weights of the cubic B-spline for a shift by 0 <= fraction < 1.

    Parameters
    ----------
    fraction : ndarray of shape (...)

    Returns
    -------
    ndarray of shape (..., 5)
        Weights of the pixels from two before to two after; they add up to 1.
    """
    distance = np.abs(np.array([2.0, 1.0, 0.0, -1.0, -2.0]) - np.asarray(fraction)[..., None])
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.clip(2 - distance, 0, None) ** 3 / 6
    return np.asarray(np.where(distance < 1, near, far))
