"""Quantities that the numbers of a stack may be, and their recognition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Quantity = Literal["counts", "rate", "transmission", "od", "yield"]
"""Counts of a counter; an intensity on another scale (counts per second, current); I/I0; the
optical density ln(I0/I); a fluorescence or electron yield, which grows with the absorption."""

QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)

LARGEST_OD = 20.0
"""Larger numbers are no optical density: nothing is left of the beam."""

SMALLEST_OD = 0.02
"""Optical densities that nowhere reach this are none, but currents or yields in other units."""

NEGATIVE_SHARE = 0.05
"""Share of negative numbers that counts without their dark counts do not reach."""

EMPTY_SHARE = 0.02
"""Share of negative numbers that optical densities with an empty support have."""

_SAMPLES = 200_000
"""Numbers that are looked at, evenly spread over the images."""


def recognized(images: Sequence[NDArray[np.floating]]) -> tuple[Quantity | None, str]:
    """Return the quantity that the numbers of some images show, and the numbers in words.

    Parameters
    ----------
    images : sequence of ndarray of shape (ny, nx)
        NaN where not measured.

    Returns
    -------
    quantity : Quantity or None
        None if the numbers may be several of them.
    words : str
        The range of the numbers and the share of negative ones.

    Examples
    --------
    >>> recognized([np.array([[0.0, 3.0], [812.0, 790.0]])])
    ('counts', 'the numbers run from 0 to 812')
    >>> recognized([np.array([[-0.01, 0.02], [0.9, 1.2]])])
    ('od', 'the numbers run from -0.01 to 1.2, and 25 % are negative')
    >>> recognized([np.array([[0.01, 0.02], [0.9, 1.2]])])
    (None, 'the numbers run from 0.01 to 1.2 and are no integers')
    """
    values = _sample(images)
    if not values.size:
        return "counts", "there are no numbers"
    low, high = float(values.min()), float(values.max())
    negative = float(np.mean(values < 0))
    words = f"the numbers run from {low:.3g} to {high:.3g}"
    if low < 0:
        words += f", and {100 * negative:.2g} % are negative"
    is_small = high <= LARGEST_OD and not np.array_equal(values, np.rint(values))
    if low < 0 and is_small:
        # most of a transmission is as bright as the support, most of an OD image as dark
        is_dark = negative >= EMPTY_SHARE and float(np.median(values)) < 0.5 * high
        return ("od" if is_dark and high >= SMALLEST_OD and low > -LARGEST_OD else None), words
    if negative > NEGATIVE_SHARE:
        return None, words
    if is_small:
        return None, f"{words} and are no integers"
    return "counts", words


def _sample(images: Sequence[NDArray[np.floating]]) -> NDArray[np.floating]:
    """Return finite numbers of the images, evenly spread."""
    every = max(sum(image.size for image in images) // _SAMPLES, 1)
    values = np.concatenate([np.ravel(image)[::every] for image in images] or [np.empty(0)])
    return np.asarray(values[np.isfinite(values)])
