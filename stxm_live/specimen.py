"""Where the specimen is, and where the beam passes beside it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NOISE_FACTOR = 3.0
"""Standard deviations of the empty support above which a pixel is specimen."""

MIN_OD_STEP = 0.05
"""Smallest mean OD above the support that counts as specimen, however quiet the image."""

MIN_EMPTY_SHARE = 0.01
"""Share of the field that must be empty for I0 to be taken from it."""

MIN_SPECIMEN_PX = 12
"""Smaller specks are noise or dust."""


class Field(NamedTuple):
    """Specimen and empty support, both of shape (ny, nx)."""

    specimen: NDArray[np.bool_]
    empty: NDArray[np.bool_]


def find_specimen(mean_log: NDArray[np.floating]) -> Field:
    """Specimen and empty support from the energy-averaged -ln I.

    The empty support is the brightest population of pixels: its level is where they are densest,
    its noise their spread on the bright side, where no specimen is. All is relative to that
    level, so that a constant, such as the factor between two counters, changes nothing.

    Parameters
    ----------
    mean_log : ndarray of shape (ny, nx)
        Mean over energies of -ln(I), or of the optical density; NaN where unknown.

    Returns
    -------
    Field
        ``empty`` keeps two pixels away from the specimen, for the blurred edge.

    Raises
    ------
    ValueError
        If nothing in the field looks empty: the specimen fills it.
    """
    from scipy.ndimage import binary_dilation, gaussian_filter

    known = np.isfinite(mean_log)
    if not known.any():
        raise ValueError("no pixel has a usable value at every energy")
    filled = np.where(known, mean_log, np.median(mean_log[known])).astype(np.float32)
    level, noise = _support_level(filled, known)
    step = max(NOISE_FACTOR * noise, MIN_OD_STEP)
    specimen = _without_specks((gaussian_filter(filled, 0.7) > level + step) & known)
    near = binary_dilation(specimen, iterations=2)
    empty = known & ~near & (np.abs(filled - level) <= max(4 * noise, MIN_OD_STEP))
    scattered = noise > max(4 * _pixel_noise(filled), MIN_OD_STEP)
    if scattered or empty.sum() < max(MIN_EMPTY_SHARE * known.sum(), MIN_SPECIMEN_PX):
        raise ValueError(
            "nothing in the field looks empty, so I0 cannot be taken from it; give a box "
            '([i0] source = "region", region = [x0, x1, y0, y1] in um) or a measured spectrum '
            '([i0] source = "spectrum", spectrum = "i0.csv")'
        )
    return Field(specimen, empty)


def _support_level(image: NDArray[np.float32], known: NDArray[np.bool_]) -> tuple[float, float]:
    """Level and noise of the first dense population of -ln I, from the bright side."""
    from scipy.ndimage import gaussian_filter1d

    values = image[known]
    pixel_noise = _pixel_noise(image)
    low, high = np.percentile(values, [0.2, 99.8])
    width = max(pixel_noise / 2, (high - low) / 2000, 1e-6)
    edges = np.arange(low - 5 * width, high + 6 * width, width)
    density = gaussian_filter1d(np.histogram(values, edges)[0].astype(np.float64), 2.0)
    peaks = (density[1:-1] >= density[:-2]) & (density[1:-1] > density[2:])
    peaks &= density[1:-1] > 0.15 * density.max()
    first = int(np.flatnonzero(peaks)[0]) + 1
    level = float(edges[first] + width / 2)
    brighter = values[values < level] - level
    spread = float(np.sqrt(np.mean(np.square(brighter, dtype=np.float64)))) if brighter.size else 0
    return level, max(spread, pixel_noise)


def _pixel_noise(image: NDArray[np.float32]) -> float:
    """Standard deviation from pixel to pixel, by the median difference of neighbours."""
    steps = np.abs(np.diff(image, axis=1))
    return float(np.median(steps) / (0.6745 * np.sqrt(2))) if steps.size else 0.0


def _without_specks(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask without connected parts of fewer than `MIN_SPECIMEN_PX` pixels."""
    from scipy.ndimage import label

    parts, _ = label(mask)
    large = np.bincount(parts.ravel()) >= MIN_SPECIMEN_PX
    large[0] = False
    return np.asarray(large[parts])
