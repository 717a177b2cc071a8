"""Mixtures of every two references: how probable each is, its share and its thickness."""

from __future__ import annotations

from functools import cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.phase_mapping.weighted_products import Products

_BEYOND_STD = 0.35
"""By how many of its standard deviations a share may be below 0 or above 1. With less, intervals of
pure pixels lie on one side of the truth; with more, the limits say nothing."""

_MOST_BEYOND = 0.3
"""The most that a share may be below 0 or above 1."""

_INSIDE = 8.0
"""Standard deviations from a limit where it no longer matters."""

_SURE = 6.0
"""Thickness in standard deviations from which none is negative."""

_ROUNDS = 30
"""Estimates of how common mixtures are, each from the one before."""

_ANY = 0.05
"""Probability that any two references are in a spectrum, however rare they are in the scan."""


@cache
def pairs(n_phases: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first and the second of every two references.

    Examples
    --------
    >>> pairs(3)
    (array([0, 0, 1]), array([1, 2, 2]))
    """
    every = np.array(list(combinations(range(n_phases), 2)), dtype=np.intp).reshape(-1, 2)
    return every[:, 0], every[:, 1]


@cache
def _rows(n_phases: int) -> tuple[NDArray[np.intp], ...]:
    """Return the rows of `Products.square` of the first, of both and of the second."""
    number = np.zeros((n_phases, n_phases), dtype=np.intp)
    upper = np.triu_indices(n_phases)
    number[upper] = np.arange(len(upper[0]))
    first, second = pairs(n_phases)
    return number[first, first], number[first, second], number[second, second]


class PairPosterior(NamedTuple):
    """Each two references fitted to each spectrum; every array has shape (n_pairs, n_spectra).

    ``likelihood`` is relative to that of the most likely two; ``share`` is that of the second.
    ``misfit`` is that of the best mixture, in units of the weights, (n_spectra,).
    """

    likelihood: NDArray[np.float64]
    share: NDArray[np.float64]
    share_variance: NDArray[np.float64]
    thickness: NDArray[np.float64]
    thickness_variance: NDArray[np.float64]
    misfit: NDArray[np.float64]


def pair_posterior(found: Products, scale: float) -> PairPosterior:
    """Return the posterior of each two references, of any share and thickness.

    Parameters
    ----------
    found : Products
        Of two references at least.
    scale : float
        Variance of the photons over their mean.

    Notes
    -----
    Share and thickness have flat priors. The thickness is integrated in closed form. In the
    share the logarithm of what is left is nearly a parabola: about its highest point between 0 and
    1 the share is normal, and cut off a little beyond these limits.
    """
    first, second = pairs(len(found.along))
    own, across, other = (found.square[rows] for rows in _rows(len(found.along)))
    along, turn = found.along[first], found.along[second]
    share = _best_share(own, across, other, along, turn)
    turn -= along
    step = across - own
    apart = other - across - step
    along += share * turn
    square = own + share * (2 * step + share * apart)
    step += share * apart
    per_square = 1 / square
    best = along * per_square
    explained = along * best
    misfit = found.rest - explained.max(axis=0)
    thickness = np.maximum(best, 1e-3)
    curvature = np.maximum(apart - step**2 * per_square, 1e-12 * square)
    per_std = np.sqrt(curvature / scale)
    slope = (turn - thickness * step) / (per_std * scale)  # in standard deviations
    per_std *= thickness
    std = 1 / per_std
    beyond = np.minimum(_BEYOND_STD * std, _MOST_BEYOND)
    nearest, area, mean, variance = _truncated_normal(
        (0.5 - share) * per_std - slope, (0.5 + beyond) * per_std
    )
    exponent = 0.5 / scale * explained + 0.5 * (slope**2 - nearest**2)
    root = np.sqrt(square)
    sigmas = along / (np.sqrt(scale) * root)
    unsure = sigmas < _SURE
    if unsure.any():
        from scipy.special import log_ndtr

        exponent[unsure] += log_ndtr(sigmas[unsure])
    exponent -= exponent.max(axis=0)
    likelihood = np.exp(exponent, out=exponent)
    likelihood *= area * std / (root * (1 + 2 * beyond))
    mean += slope
    mean *= std
    variance *= std**2
    change = (turn - 2 * best * step) * per_square
    return PairPosterior(
        likelihood,
        share + mean,
        variance,
        np.maximum(best + change * mean, 0),
        scale * per_square + change**2 * variance,
        misfit,
    )


def _best_share(
    own: NDArray[np.float64],
    across: NDArray[np.float64],
    other: NDArray[np.float64],
    along: NDArray[np.float64],
    along_other: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the most probable share of the second reference, from 0 to 1."""
    second = own * along_other - across * along
    total = second + other * along - across * along_other
    positive = total > 0
    share = np.clip(second / np.where(positive, total, 1.0), 0, 1)
    if not positive.all():
        better = along_other * np.sqrt(own) > along * np.sqrt(other)
        share[~positive] = better[~positive]
    return np.asarray(share)


def _truncated_normal(
    middle: NDArray[np.float64], half: NDArray[np.float64]
) -> tuple[NDArray[np.float64], ...]:
    """Return the nearest limit, area, mean and variance of a standard normal between limits.

    The limits are ``half`` on either side of ``middle``. The area is in units of the density at the
    limit that is nearest to 0, so that it is a number far out too.
    """
    from scipy.special import erfcx

    distance = np.abs(middle)
    near, far = np.maximum(distance - half, -_INSIDE), distance + half
    ratio = np.exp(0.5 * (near - far) * (near + far))
    area = erfcx(near * np.sqrt(0.5)) - ratio * erfcx(far * np.sqrt(0.5))
    area *= np.sqrt(0.5 * np.pi)
    mean = (1 - ratio) / area
    variance = np.maximum(1 + (near - far * ratio) / area - mean**2, 0)
    return near, area, np.copysign(mean, middle), variance


def frequencies_of_pairs(likelihood: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how often each two references are in a spectrum, (n_pairs,), by most likelihood.

    Parameters
    ----------
    likelihood : ndarray of shape (n_pairs, n_spectra)
        Each spectrum's relative to any number.

    Examples
    --------
    >>> frequencies_of_pairs(np.array([[1.0, 1.0], [0.0, 0.0]]))
    array([0.975, 0.025])
    """
    n_pairs = len(likelihood)
    found = np.full(n_pairs, 1 / n_pairs)
    for _ in range(_ROUNDS):
        total = np.maximum(np.einsum("pn,p->n", likelihood, found), np.finfo(np.float64).tiny)
        found *= (1 - _ANY) * np.einsum("pn,n->p", likelihood, 1 / total) / len(total)
        found += _ANY / n_pairs
    return found
