"""Whether the neighbors of a pixel say something of it, as a scan's own spectra show."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.products import inner_product, product
from stxm_live.phase_mapping.mixtures import Hypotheses
from stxm_live.phase_mapping.phase_frequencies import Mixing

OF_ONE_PAIR = 0.2
"""Strength of each neighbor over the log-odds of a pair in textures of a pixel or two."""

LASTS = 0.3
"""Log-odds of pairs two pixels apart over those of neighbors, from which a texture is no such
one, and neighbors keep their usual strength."""

_SOME = 1.0
"""Log-odds of neighbors below which that ratio is one of noise."""

_DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))

_PIXELS = 3_000
"""An even selection of pixels, which are compared with those around them."""

_FEWEST_PAIRS = 200
"""Pairs in a direction below which a scan does not show its texture."""

_ALIKE = 0.8
"""Share of pairs that are taken to be of one phase before the spectra say otherwise."""

_ROUNDS = 60
"""Estimates of how common each two phases are in a pair, each from the one before."""


class Texture(NamedTuple):
    """What is known of a pixel's phase beforehand.

    Parameters
    ----------
    heard : float
        Share of their usual strength that neighbors have, 0 to 1.
    log_prior : ndarray of shape (n_phases,), float32
        Log probability of each phase besides, up to a constant.
    """

    heard: float
    log_prior: NDArray[np.float32]


def texture_of(
    hypotheses_of: Callable[[NDArray[np.intp]], Hypotheses],
    mask: NDArray[np.bool_],
    *,
    scan: Mixing,
    usual: float,
) -> Texture:
    """Return how far the neighbors of a scan's pixels are to be heard.

    Parameters
    ----------
    hypotheses_of : callable
        Returns those of the spectra with these numbers.
    mask : ndarray of bool, shape (ny, nx)
        Where the spectra are from, in row-major order.
    scan : Mixing
        How often pixels are mixtures.
    usual : float
        Log-odds that a certain neighbor gives its phase in domains of some pixels.

    Notes
    -----
    Where phases change from pixel to pixel, to believe neighbors erases what the spectra show.
    Spectra of two pixels have noise of their own, so that many pairs show how often both are of
    one phase, however noisy each is. Pairs in the direction that is most alike count: lamellae
    change in one only. Pixels that the same spot sees are alike too, but not two pixels apart.
    Columns of about half and half have a larger part by chance, so that neighbors hardly agree,
    but pixels farther away do so as often.

    Where neighbors are hardly heard, the frequencies of the whole scan take their place; beside
    neighbors they would erase rare phases.
    """
    n_phases = len(scan.with_other)
    chosen, apart = _pairs(mask)
    beside, beyond = apart[: len(_DIRECTIONS)], apart[len(_DIRECTIONS) :]
    usually_heard = Texture(1.0, np.zeros(n_phases, dtype=np.float32))
    if n_phases < 2 or np.count_nonzero(apart >= 0, axis=1).min() < _FEWEST_PAIRS:
        return usually_heard
    own = _by_majority(hypotheses_of(chosen), scan)

    def common(others: NDArray[np.intp]) -> NDArray[np.float64]:
        both = others >= 0
        return common_pairs(own[:, both], _by_majority(hypotheses_of(others[both]), scan))

    near: list[NDArray[np.float64]] = []
    for others in beside:
        near.append(common(others))
        if _heard_beside(log_odds_of(near[-1]), usual) >= 1:  # whatever the other directions say
            return usually_heard
    log_odds = [log_odds_of(each) for each in near]
    most = int(np.argmax(log_odds))
    heard = _heard(log_odds[most], log_odds_of(common(beyond[most])), usual)
    frequency = np.mean([each.sum(axis=0) for each in near], axis=0)
    log_prior = (1 - heard) ** 2 * np.log(frequency)  # those that are heard in part say it, too
    return Texture(heard, log_prior.astype(np.float32))


def _heard(beside: float, beyond: float, usual: float) -> float:
    """Return `Texture.heard` by the log-odds of pairs beside each other and two pixels apart."""
    fine = _heard_beside(beside, usual)
    lasting = max(0.0, beyond) / max(beside, _SOME)
    return fine + (1 - fine) * min(1.0, lasting / LASTS)


def _heard_beside(log_odds: float, usual: float) -> float:
    """Return how far neighbors are heard by those beside each other alone."""
    return min(1.0, OF_ONE_PAIR * max(0.0, log_odds) / usual)


def common_pairs(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how common each two phases are in a pair of pixels, (n_phases, n_phases).

    Parameters
    ----------
    first, second : ndarray of shape (n_phases, n_pairs)
        Likelihood of each phase for both pixels, relative to any number.

    Notes
    -----
    By expectation maximization, from pairs that are mostly alike, so that spectra without
    information leave it there.
    """
    n_phases, n_pairs = first.shape
    common = np.full((n_phases, n_phases), (1 - _ALIKE) / (n_phases * (n_phases - 1)))
    np.fill_diagonal(common, _ALIKE / n_phases)
    for _ in range(_ROUNDS):
        total = (product(common, second) * first).sum(axis=0)
        common = common * inner_product(first / np.maximum(total, 1e-300), second)
        common = (common + common.T) / (2 * common.sum())
    common = common + 0.5 / n_pairs  # none is impossible
    return np.asarray(common / common.sum())


def log_odds_of(common: NDArray[np.float64]) -> float:
    """Return the log-odds that one pixel of a pair gives its phase to the other.

    Half the logarithm of the odds ratio, a mean over every two phases by how common they are.

    Examples
    --------
    >>> round(log_odds_of(np.array([[0.4, 0.1], [0.1, 0.4]])), 2)
    1.39
    >>> abs(round(log_odds_of(np.array([[0.64, 0.16], [0.16, 0.04]])), 2))
    0.0
    """
    alike, frequency = np.diag(common), common.sum(axis=0)
    log_odds = 0.5 * np.log(np.outer(alike, alike) / (common * common.T))
    weight = np.outer(frequency, frequency)
    np.fill_diagonal(weight, 0.0)
    return float((weight * log_odds).sum() / weight.sum())


def _pairs(mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the numbers of some spectra, (n,), and of those beside them and two pixels away.

    The others have shape (8, n): the directions at one distance, then at the other; -1 for none.
    """
    number = np.full((mask.shape[0] + 4, mask.shape[1] + 4), -1, dtype=np.intp)
    number[2:-2, 2:-2][mask] = np.arange(np.count_nonzero(mask))
    y, x = np.nonzero(mask)
    # no whole step, which would see one column of every few
    some = np.unique(np.linspace(0, max(len(y) - 1, 0), min(_PIXELS, len(y))).astype(np.intp))
    y, x = y[some] + 2, x[some] + 2
    steps = [(far * down, far * right) for far in (1, 2) for down, right in _DIRECTIONS]
    return number[y, x], np.stack([number[y + down, x + right] for down, right in steps])


def _by_majority(hypotheses: Hypotheses, scan: Mixing) -> NDArray[np.float64]:
    """Return likelihoods of the phases (n_phases, n_spectra), alone or mostly it."""
    pure, mixed = hypotheses.into_weights()
    alone = pure * (1 - scan.with_other.sum(axis=1, keepdims=True))
    likelihood = alone + np.einsum("kj,kjn->kn", scan.with_other, mixed)
    return np.asarray(likelihood / likelihood.sum(axis=0))
