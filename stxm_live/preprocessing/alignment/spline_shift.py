"""Shift of an image by a fraction of a pixel, by cubic B-splines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.od_uncertainty import spline_weights


def shifted(image: NDArray[np.floating], shift_px: tuple[float, float]) -> NDArray[np.float32]:
    """Return an image shifted by (y, x) pixels; NaN where it comes from outside or from NaN.

    The interpolation is by cubic B-splines, because Fourier shifts ring at edges.

    Parameters
    ----------
    image : ndarray of shape (ny, nx)
    shift_px : (float, float)
        Positive values move the picture to higher row and column numbers.
    """
    from scipy.ndimage import maximum_filter

    image = np.asarray(image, dtype=np.float32)
    if shift_px == (0.0, 0.0):
        return image
    unknown = ~np.isfinite(image)
    filled = np.where(unknown, np.nanmedian(image), image) if unknown.any() else image
    moved = _off_grid(spline_coefficients(filled), shift_px)
    if unknown.any():
        # beyond two pixels a filled value weighs less than 4 % in the spline
        moved[maximum_filter(unknown, size=5)] = np.nan
    return _placed(moved, shift_px)


def spline_coefficients(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return coefficients (ny, nx) of the cubic B-spline through an image without NaN."""
    from scipy.ndimage import spline_filter

    return np.asarray(spline_filter(image, order=3, output=np.float32, mode="mirror"))


def spline_moved(
    coefficients: NDArray[np.float32], shift_px: tuple[float, float]
) -> NDArray[np.float32]:
    """Return the image of these coefficients shifted by (y, x) pixels; see `shifted`."""
    return _placed(_off_grid(coefficients, shift_px), shift_px)


def _off_grid(
    coefficients: NDArray[np.float32], shift_px: tuple[float, float]
) -> NDArray[np.float32]:
    """Return the image shifted by the fractional part of a shift."""
    from scipy.ndimage import correlate1d

    moved = coefficients
    for axis, shift in enumerate(shift_px):
        weights = spline_weights(np.array(shift - np.floor(shift)))
        moved = correlate1d(moved, weights, axis=axis, mode="mirror")
    return moved


def _placed(moved: NDArray[np.float32], shift_px: tuple[float, float]) -> NDArray[np.float32]:
    """Return the image shifted by the whole pixels of a shift; NaN beyond the image."""
    out = np.full_like(moved, np.nan)
    target, source = [], []
    for length, shift in zip(moved.shape, shift_px, strict=True):
        whole = int(np.floor(shift))
        first = max(int(np.ceil(shift)), 0)
        last = min(length + whole, length)
        if last <= first:
            return out
        target.append(slice(first, last))
        source.append(slice(first - whole, last - whole))
    out[tuple(target)] = moved[tuple(source)]
    return out
