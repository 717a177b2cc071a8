"""Mixtures of references at which spectra are compared: along a series, or of two phases."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.phase_mapping.weighted_products import Baseline, Products

PER_GAP, _FINEST = 8, 32
"""Steps between two neighboring references: as a rule, and at most."""

_LEAST_LOG = -600.0
"""Logarithm of a likelihood that is none, as a number that can still be divided by."""

_PER_STD = 0.6
"""Steps in a standard deviation of a share, at least, so that likelihoods are smooth over nodes."""


class Nodes(NamedTuple):
    """Mixtures in the order of a number that belongs to each.

    ``shares`` has shape (n_nodes, n_phases); ``x`` and ``weight`` have (n_nodes,). The weights
    are the widths that the nodes stand for, their sum is 1.
    """

    shares: NDArray[np.float64]
    x: NDArray[np.float64]
    weight: NDArray[np.float64]


def nodes_along(
    order: NDArray[np.intp], values: NDArray[np.float64], *, per_gap: int = PER_GAP
) -> Nodes:
    """Return mixtures of neighbors in a series.

    Parameters
    ----------
    order : ndarray of shape (n,)
        References of the series, one after the other.
    values : ndarray of shape (n_phases,)
        Number of each reference, ascending or descending along the order.

    Examples
    --------
    >>> nodes_along(np.array([1, 0]), np.array([3.0, 1.0]), per_gap=2).x
    array([1., 2., 3.])
    """
    step = np.arange(per_gap * (len(order) - 1) + 1)
    gap = np.minimum(step // per_gap, len(order) - 2)
    share = step / per_gap - gap
    shares = np.zeros((len(step), len(values)))
    shares[step, order[gap]] += 1 - share
    shares[step, order[gap + 1]] += share
    x = (shares * values).sum(axis=1)
    weight = np.abs(np.gradient(x))
    weight[[0, -1]] /= 2
    return Nodes(shares, x, weight / weight.sum())


def share_stds(found: Products, order: NDArray[np.intp], scale: float) -> NDArray[np.float64]:
    """Return the standard deviation of a typical pixel's share between neighbors, (n - 1,).

    Parameters
    ----------
    found : Products
    order : ndarray of shape (n,)
        References of the series, one after the other.
    scale : float
        Variance of the photons over their mean.
    """
    number = np.zeros((len(found.along),) * 2, dtype=np.intp)
    number[np.triu_indices(len(number))] = np.arange(len(found.square))
    square, along = np.median(found.square, axis=1), np.median(found.along, axis=1)
    gram = square[np.maximum(number, number.T)]
    stds = []
    for a, b in pairwise(order):
        middle, _, apart = _apart(gram, a, b)
        thickness = (along[a] + along[b]) / 2 / middle
        stds.append(np.sqrt(scale / max(apart, 1e-12 * middle)) / max(thickness, 1e-3))
    return np.array(stds)


def _apart(gram: NDArray[np.float64], a: int, b: int) -> tuple[NDArray[np.float64], ...]:
    """Return squares of two references' middle and difference, and the change of thickness.

    The difference is what no thickness of the middle can replace; the thickness that it takes for
    one unit of the difference is the second of the three.
    """
    middle = (gram[a, a] + 2 * gram[a, b] + gram[b, b]) / 4
    thicker = (gram[b, b] - gram[a, a]) / 2 / middle
    return middle, thicker, gram[a, a] - 2 * gram[a, b] + gram[b, b] - thicker**2 * middle


def of_background(found: Products, order: NDArray[np.intp], baseline: Baseline) -> float:
    """Return the part of a typical share's variance that is the baseline's own, not the photons'.

    Pixels side by side have nearly the same baseline, so that part does not average out. It is 0
    for a baseline without a prior: that is fitted, and all its error is that of the photons.

    Parameters
    ----------
    found : Products
    order : ndarray of shape (n,)
        References of the series, one after the other.
    baseline : Baseline
        In units of the products.
    """
    gram, parts = found.gram(), []
    for a, b in pairwise(order):
        _, thicker, apart = _apart(gram, a, b)
        difference = np.zeros(found.along.shape)
        difference[a], difference[b] = -1 - thicker / 2, 1 - thicker / 2
        beside = found.baseline_of(difference)
        own = (baseline.precision[:, None] * np.square(beside)).sum(axis=0)
        parts.append(np.median(own / np.maximum(apart, 1e-12 * gram[a, a])))
    return float(np.mean(parts))


def steps_for(std: float, least: int = PER_GAP) -> tuple[int, float]:
    """Return steps from one reference to the next, and the factor on the noise that suits them.

    Parameters
    ----------
    std : float
        Smallest of `share_stds`.
    least : int
        Fewest steps.

    Examples
    --------
    >>> steps_for(0.2), steps_for(0.05), steps_for(0.01)
    ((8, 1.0), (12, 1.0), (32, 3.515625))
    """
    steps = int(np.clip(np.ceil(_PER_STD / std), least, _FINEST))
    return steps, factor_for(std, steps)


def factor_for(std: float, steps: int = PER_GAP) -> float:
    """Return the factor on the noise with which so many steps are not too coarse; 1 or more."""
    return max(1.0, (_PER_STD / (std * steps)) ** 2)


def likelihoods(found: Products, shares: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    """Return how likely spectra are as mixtures of any thickness, relative to the best of them.

    Parameters
    ----------
    found : Products
    shares : ndarray of shape (n_nodes, n_phases)
    scale : float
        Variance of the photons over their mean.

    Returns
    -------
    ndarray of shape (n_nodes, n_spectra)
    """
    return likelihoods_of(*found.of_shares(shares), scale)


def likelihoods_of(
    along: NDArray[np.float64], square: NDArray[np.float64], scale: float
) -> NDArray[np.float64]:
    """Return `likelihoods` for the products `Products.of_shares` of mixtures."""
    log = np.square(along)
    log /= square
    log *= 0.5 / scale
    log -= 0.5 * np.log(square)
    log -= log.max(axis=0)
    np.maximum(log, _LEAST_LOG, out=log)
    return np.exp(log, out=log)
