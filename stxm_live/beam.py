"""Where the beam was gone while an image was taken."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LOST_LEVEL = 0.08
"""A line this much darker than in the other images, beside the rest of its image, had no beam."""

MIN_IMAGES = 3
"""With fewer images there is no telling a dark line from a dark specimen."""

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
