"""Image faults: lines without beam, and pixels with implausible counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.even_selection import at_least

LOST_LEVEL = 0.08
"""A line this much darker than in the other images, relative to its own image, had no beam."""

_FEWEST_IMAGES = 3
"""With fewer images a dark line cannot be distinguished from a dark specimen."""

HOT_FACTOR = 3.0
"""A pixel this many times brighter than its image and neighbors is a fault."""

CLIPPED_SHARE = 0.02
"""Largest share of an image's pixels that may have its highest value."""

_BRIGHT = 90
"""Percentile of a line that represents its brightest part."""

_DRIFT_SHARE = 0.1
"""Largest motion of the specimen between images, as a share of the lines."""

_SAMPLES, _SAMPLES_PER_LINE = 4096, 64
"""Pixels that are examined, evenly spread."""


def is_blank(intensity: NDArray[np.float32]) -> bool:
    """Return True if nine in ten of the usable pixels of an image have the same value.

    Real counts scatter; equal values mean a detector that did not count, or one at its limit.
    """
    low, high = np.nanpercentile(_sample(intensity), [5, 95])
    return bool(low == high)


def _sample(intensity: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the pixels that are examined."""
    return np.asarray(intensity.ravel()[at_least(_SAMPLES, intensity.size)])


def hot_pixels(intensity: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return rows and columns (n, 2) of pixels far brighter than the image around them.

    No specimen is brighter than the beam. Interpolation would spread such a pixel.
    """
    sample = _sample(intensity)
    bright = HOT_FACTOR * float(np.nanpercentile(sample, 99)) if np.isfinite(sample).any() else 0.0
    found = [
        (y, x)
        for y, x in np.argwhere(intensity > bright)[: intensity.size // 100]
        if intensity[y, x] > HOT_FACTOR * np.nanmedian(_around(intensity, y, x))
    ]
    return np.array(found, dtype=np.intp).reshape(-1, 2)


def _around(intensity: NDArray[np.float32], y: int, x: int) -> NDArray[np.float32]:
    """Return the pixel and its up to 24 neighbors."""
    return intensity[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]


def clipped_share(intensity: NDArray[np.float32]) -> float:
    """Return the share of the usable pixels that have the highest value of the image.

    Counts scatter about their mean; only a detector at its limit gives many the same value.
    """
    highest = np.nanmax(intensity, initial=-np.inf)
    return float((intensity == highest).sum() / max(np.isfinite(intensity).sum(), 1))


def line_levels(intensity: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the brightness of each line at its brightest part, relative to the image.

    Parameters
    ----------
    intensity : ndarray of shape (ny, nx)
        Counts; NaN is treated as dark, since it means no counts.

    Returns
    -------
    ndarray of shape (ny,)
        About 1 where a line crosses empty support.
    """
    chosen = at_least(_SAMPLES_PER_LINE, intensity.shape[1])
    counts = np.nan_to_num(intensity[:, chosen], nan=0.0)
    bright = np.percentile(counts, _BRIGHT, axis=1)
    whole = float(np.percentile(bright, _BRIGHT))
    return np.asarray(bright / whole if whole > 0 else np.zeros_like(bright), dtype=np.float64)


def lost_lines(levels: Sequence[NDArray[np.float64]]) -> NDArray[np.bool_]:
    """Return True for each line of each image that had no beam.

    A line is lost if it is bright in most other images but dark in this one, for any possible
    drift. Its neighbors are lost as well, because the beam is lost in the middle of a line.

    Parameters
    ----------
    levels : sequence of ndarray of shape (ny,)
        `line_levels` of every image of a stack; NaN for lines that were not recorded. They are not
        lost, and neither are their neighbors.

    Returns
    -------
    ndarray of bool, shape (n_images, ny)
    """
    from scipy.ndimage import binary_dilation, minimum_filter1d

    of_image = np.array(levels)
    if len(of_image) < _FEWEST_IMAGES:
        return np.zeros(of_image.shape, dtype=bool)
    reach = 2 * round(_DRIFT_SHARE * of_image.shape[1]) + 1
    middle, recorded = np.full(of_image.shape[1], np.inf), np.isfinite(of_image).any(axis=0)
    middle[recorded] = np.nanmedian(of_image[:, recorded], axis=0)
    usual = minimum_filter1d(middle, reach, mode="nearest")
    lost = of_image < LOST_LEVEL * usual
    return np.asarray(binary_dilation(lost, np.ones((1, 3), dtype=bool)))
