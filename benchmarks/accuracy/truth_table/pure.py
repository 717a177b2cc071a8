"""The yardstick: pure phases with the scan's frequencies, as the package did at first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stxm_live.phase_mapping.mixtures import Hypotheses
from stxm_live.phase_mapping.spatial_prior import potts_mixed

_EM_PIXELS = 20_000
"""Pixels that the phase frequencies are estimated from, evenly spread over the specimen."""


def phase_frequencies(
    log_likelihood: NDArray[np.floating], *, tolerance: float = 1e-6, max_iterations: int = 1000
) -> NDArray[np.float64]:
    """How often each phase occurs in the scan, by expectation maximisation.

    Parameters
    ----------
    log_likelihood : ndarray of shape (n_phases, n_spectra)
        An even selection of at most 20 000 spectra is used.

    Returns
    -------
    ndarray of shape (n_phases,)
        Adds up to 1. Rare phases are underestimated when the noise is large.
    """
    n_phases, n_spectra = log_likelihood.shape
    if n_spectra == 0:
        return np.full(n_phases, 1 / n_phases)
    chosen = log_likelihood[:, :: max(1, -(-n_spectra // _EM_PIXELS))].astype(np.float64)
    weight = np.exp(chosen - chosen.max(axis=0))
    frequency = np.full(n_phases, 1 / n_phases)
    for _ in range(max_iterations):
        share = weight / (frequency @ weight)
        updated = frequency * share.mean(axis=1)
        change = np.abs(updated - frequency).max()
        frequency = updated
        if change < tolerance:
            break
    return np.asarray(frequency / frequency.sum())


def posterior(
    log_likelihood: NDArray[np.floating], frequencies: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Probability of each phase for every spectrum.

    Parameters
    ----------
    log_likelihood : ndarray of shape (n_phases, n_spectra)
    frequencies : ndarray of shape (n_phases,)

    Returns
    -------
    ndarray of shape (n_phases, n_spectra), float32
        Adds up to 1 over the phases.
    """
    with np.errstate(divide="ignore"):
        weight = log_likelihood + np.log(frequencies)[:, None]
    weight -= weight.max(axis=0)
    np.exp(weight, out=weight)
    weight /= weight.sum(axis=0)
    return weight.astype(np.float32)


def potts(log_likelihood: NDArray[np.floating], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Probability of each phase (n_phases, n_spectra) beside its neighbors, without mixtures."""
    n_phases, n_spectra = log_likelihood.shape
    pairs = np.full((n_phases, n_phases, n_spectra), -np.inf, dtype=np.float32)
    pairs[np.arange(n_phases), np.arange(n_phases)] = log_likelihood
    return potts_mixed(Hypotheses(pairs), mask, mixing=0.0).probability
