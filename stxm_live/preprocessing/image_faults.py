"""Where the beam was gone while an image was taken, and where the detector told too much."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LOST_LEVEL = 0.08
"""A line this much darker than in the other images, beside the rest of its image, had no beam."""

MIN_IMAGES = 3
"""With fewer images there is no telling a dark line from a dark specimen."""

HOT_FACTOR = 3.0
"""A pixel so many times brighter than image and neighbours is none of the specimen."""

CLIPPED_SHARE = 0.02
"""Share of an image that may have its highest value."""

_BRIGHT = 90
"""Percentile of a line that stands for its brightest part."""

_DRIFT_SHARE = 0.1
"""Share of the lines by which the specimen may have moved from image to image."""

_SAMPLES, _SAMPLES_PER_LINE = 4096, 64
"""Pixels that are looked at, evenly spread."""


def is_blank(intensity: NDArray[np.float32]) -> bool:
    """Whether nine in ten of the usable pixels of an image have one and the same value.

    Counts scatter; what does not is a detector that did not count, or one at its limit.
    """
    low, high = np.nanpercentile(intensity.ravel()[:: max(1, intensity.size // _SAMPLES)], [5, 95])
    return bool(low == high)


def hot_pixels(intensity: NDArray[np.float32]) -> NDArray[np.intp]:
    """Rows and columns (n, 2) of pixels far brighter than the image and all around them.

    No specimen is brighter than the beam. Interpolated, such a pixel would spoil its neighbours.
    """
    every = max(1, intensity.size // _SAMPLES)
    sample = intensity.ravel()[::every]
    bright = HOT_FACTOR * float(np.nanpercentile(sample, 99)) if np.isfinite(sample).any() else 0.0
    found = [
        (y, x)
        for y, x in np.argwhere(intensity > bright)[: intensity.size // 100]
        if intensity[y, x] > HOT_FACTOR * np.nanmedian(_around(intensity, y, x))
    ]
    return np.array(found, dtype=np.intp).reshape(-1, 2)


def _around(intensity: NDArray[np.float32], y: int, x: int) -> NDArray[np.float32]:
    """The pixel and its up to 24 neighbours."""
    return intensity[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]


def clipped_share(intensity: NDArray[np.float32]) -> float:
    """Share of the usable pixels that have the highest value of the image.

    Counts scatter about their mean, and only a detector at its limit gives one value to many.
    """
    highest = np.nanmax(intensity, initial=-np.inf)
    return float((intensity == highest).sum() / max(np.isfinite(intensity).sum(), 1))


def line_levels(intensity: NDArray[np.float32]) -> NDArray[np.float64]:
    """How bright each line of an image is at its brightest, beside the whole image.

    Parameters
    ----------
    intensity : ndarray of shape (ny, nx)
        Counts; NaN counts as dark, as it stands for no counts at all.

    Returns
    -------
    ndarray of shape (ny,)
        About 1 where a line crosses empty support.
    """
    every = max(1, intensity.shape[1] // _SAMPLES_PER_LINE)
    counts = np.nan_to_num(intensity[:, ::every], nan=0.0)
    bright = np.percentile(counts, _BRIGHT, axis=1)
    whole = float(np.percentile(bright, _BRIGHT))
    return np.asarray(bright / whole if whole > 0 else np.zeros_like(bright), dtype=np.float64)


def lost_lines(levels: Sequence[NDArray[np.float64]]) -> NDArray[np.bool_]:
    """Which lines of which image had no beam.

    A line is lost that is bright in most other images but dark in this one, however the
    specimen may have drifted; its neighbours are lost as well, for the beam goes within a line.

    Parameters
    ----------
    levels : sequence of ndarray of shape (ny,)
        `line_levels` of every image of a stack.

    Returns
    -------
    ndarray of bool, shape (n_images, ny)
    """
    from scipy.ndimage import binary_dilation, minimum_filter1d

    of_image = np.array(levels)
    if len(of_image) < MIN_IMAGES:
        return np.zeros(of_image.shape, dtype=bool)
    reach = 2 * round(_DRIFT_SHARE * of_image.shape[1]) + 1
    usual = minimum_filter1d(np.median(of_image, axis=0), reach, mode="nearest")
    lost = of_image < LOST_LEVEL * usual
    return np.asarray(binary_dilation(lost, np.ones((1, 3), dtype=bool)))
