"""Expected error: probability that one phase is taken for another after more photons.

Regions and energies to measure next are rated by it, so that their gains can be compared.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_Float = TypeVar("_Float", np.float32, np.float64)

_LEAST = 1e-9
"""Squared distance that counts as zero."""

_NEIGHBORS = 8
"""Number of neighbors whose noise is averaged in their part of the log-odds."""


def squared_distance(
    own: NDArray[_Float], product: NDArray[_Float], square: NDArray[_Float]
) -> NDArray[_Float]:
    """Return the squared distance of a reference from the nearest multiple of another.

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
    """Return the probability that a further spectrum gives the wrong one of two phases.

    Parameters
    ----------
    log_odds : ndarray
        ln(p/q) of the true phase against the rival before.
    squared_distance : ndarray
        Distance of the two for the further spectrum, d^2, in standard deviations squared.
    surer : ndarray or float
        Factor on the log-odds' mean from neighbors that the same images make more certain.

    Notes
    -----
    The further spectrum adds a normal number to the log-odds, of mean d^2/2 and variance d^2.

    Examples
    --------
    >>> mistaken(np.zeros(2), np.array([0.0, 4.0])).round(4)  # 1/2, and Phi(-1)
    array([0.5   , 0.1587])
    """
    from scipy.special import ndtr

    variance = np.maximum(squared_distance, _LEAST) * (1 + np.square(surer - 1) / _NEIGHBORS)
    return np.asarray(ndtr(-(log_odds + surer * squared_distance / 2) / np.sqrt(variance)))
