"""How often one phase is taken for another once more photons have come: the expected error.

Regions and energies to measure next are judged by it, so that their promises can be compared.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_Float = TypeVar("_Float", np.float32, np.float64)

_LEAST = 1e-9
"""Squared distance that stands for none."""

_NEIGHBOURS = 8
"""Whose noise is averaged in what they add to the log-odds."""


def squared_distance(
    own: NDArray[_Float], product: NDArray[_Float], square: NDArray[_Float]
) -> NDArray[_Float]:
    """How far a reference is from the nearest multiple of another, squared.

    Parameters
    ----------
    own, square : ndarray
        Weighted sums of squares of the reference and of the other one over the energies; the
        weights are one over the variance of the optical density.
    product : ndarray
        Weighted sum of their product.

    Returns
    -------
    ndarray
        In standard deviations squared, for a thickness of 1; not negative.
    """
    least = square.dtype.type(1e-12)
    return np.maximum(own - product**2 / np.maximum(square, least), 0)


def mistaken(
    log_odds: NDArray[_Float], squared_distance: NDArray[_Float], surer: NDArray[_Float] | float = 1
) -> NDArray[_Float]:
    """Chance that a further spectrum ends on the wrong side of two phases.

    Parameters
    ----------
    log_odds : ndarray
        ln(p/q) of the true phase against the rival before.
    squared_distance : ndarray
        Of the two for the further spectrum, d^2, in standard deviations squared.
    surer : ndarray or float
        Factor on the log-odds' mean by neighbours that the same images make surer.

    Notes
    -----
    The further spectrum adds a normal number to the log-odds, of mean d^2/2 and variance d^2.

    Examples
    --------
    >>> mistaken(np.zeros(2), np.array([0.0, 4.0])).round(4)  # 1/2, and Phi(-1)
    array([0.5   , 0.1587])
    """
    from scipy.special import ndtr

    variance = np.maximum(squared_distance, _LEAST) * (1 + np.square(surer - 1) / _NEIGHBOURS)
    return np.asarray(ndtr(-(log_odds + surer * squared_distance / 2) / np.sqrt(variance)))
