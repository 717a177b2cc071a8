"""Each pixel on its own: the scan's phase frequencies, and how many of its spectra are mixed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.even_selection import at_most
from stxm_live.phase_mapping.mixtures import Assignment, Hypotheses, assignment

MIXED_SHARE = 0.2
"""Share of mixed spectra that is expected before a scan has said anything."""

_SHARE_WEIGHT = 500
"""Spectra that this expectation is worth."""

_EM_SPECTRA = 5_000
"""Spectra that the frequencies are estimated from, evenly spread."""

MIXING_SPECTRA, _MIXING_TOLERANCE = 3_000, 1e-3
"""The same for `mixing_of`, and the change of a frequency at which it is known well enough."""


class Mixing(NamedTuple):
    """Share of a scan that is mixtures of two phases.

    Parameters
    ----------
    share : float
        Share of the spectra that hold two phases.
    with_other : ndarray of shape (n_phases, n_phases)
        Chance that a spectrum mostly of the first phase also holds the second.
    """

    share: float
    with_other: NDArray[np.float64]


def mixing_of(hypotheses: Hypotheses) -> Mixing:
    """Estimate from an even selection of the spectra how much of the scan is mixtures.

    By expectation maximisation, as in `by_frequencies`; the place of the spectra does not count.
    """
    chosen = at_most(MIXING_SPECTRA, hypotheses.log_likelihood.shape[2])
    some = Hypotheses(hypotheses.log_likelihood[:, :, chosen])
    frequency, share = _frequencies(some, tolerance=_MIXING_TOLERANCE)
    mixed = share * _pair_weight(frequency)
    whole = (1 - share) * frequency + mixed.sum(axis=1)
    return Mixing(share, mixed / np.maximum(whole, 1e-300)[:, None])


def by_frequencies(hypotheses: Hypotheses) -> Assignment:
    """Probabilities with the scan's own phase frequencies and share of mixed spectra.

    Both are found by expectation maximisation on an even selection of the spectra. How often two
    phases mix is tied to the product of their frequencies: weights of their own would take over
    what the pure phases explain as well.
    """
    n_spectra = hypotheses.log_likelihood.shape[2]
    chosen = at_most(_EM_SPECTRA, n_spectra)
    frequency, share = _frequencies(Hypotheses(hypotheses.log_likelihood[:, :, chosen]))
    pure, mixed = hypotheses.weights()
    pure *= ((1 - share) * frequency)[:, None].astype(np.float32)
    mixed *= (share * _pair_weight(frequency))[:, :, None].astype(np.float32)
    return assignment(pure, mixed.sum(axis=1))


def _frequencies(
    hypotheses: Hypotheses, *, tolerance: float = 1e-5, max_iterations: int = 500
) -> tuple[NDArray[np.float64], float]:
    """Frequency of each phase, and the share of mixed spectra."""
    n_phases, n_spectra = hypotheses.n_phases, hypotheses.log_likelihood.shape[2]
    frequency, share = np.full(n_phases, 1 / n_phases), MIXED_SHARE if n_phases > 1 else 0.0
    if n_spectra == 0 or n_phases == 1:
        return frequency, share
    pure, mixed = hypotheses.weights()
    for _ in range(max_iterations):
        pair = _pair_weight(frequency)
        of_pure = (1 - share) * frequency[:, None] * pure
        of_pairs = share * np.einsum("kj,kjn->kjn", pair, mixed)
        total = of_pure.sum(axis=0) + of_pairs.sum(axis=(0, 1))
        per_pair = (of_pairs / total).sum(axis=2)
        updated = (of_pure / total).sum(axis=1) + (per_pair.sum(axis=1) + per_pair.sum(axis=0)) / 2
        updated /= n_spectra
        change = np.abs(updated - frequency).max()
        frequency = updated / updated.sum()
        expected = MIXED_SHARE * _SHARE_WEIGHT
        share = float((per_pair.sum() + expected) / (n_spectra + _SHARE_WEIGHT))
        if change < tolerance:
            break
    return frequency, share


def _pair_weight(frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    """Products of the frequencies of two different phases, adding up to 1."""
    product = np.outer(frequency, frequency)
    np.fill_diagonal(product, 0.0)
    return np.asarray(product / max(float(product.sum()), 1e-300))
