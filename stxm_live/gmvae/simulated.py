"""Simulated spectra with known phases, for training without scans."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.references import ReferenceSpectra

LARGEST_OD = (0.1, 3.0)
"""Range of the largest optical density of a spectrum: from a thin edge to a thick particle."""

PHOTONS = (100.0, 30000.0)
"""Range of the incident photons per pixel and energy."""

MIXED_SPECTRA_SHARE = 0.2
"""Share of spectra from a boundary between two phases."""


def simulated_spectra(
    references: ReferenceSpectra,
    energies_ev: Sequence[float],
    n_spectra: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.int8], NDArray[np.float64]]:
    """Return noisy optical densities of single pixels.

    The thickness is chosen so that the largest OD of a spectrum is uniform in 0.1 to 3, for any
    unit of the references; photons are uniform in their logarithm from 100 to 30 000; I0 and
    I are Poisson counts. Phases come in equal shares. One spectrum in five mixes two phases, as
    at a boundary, and is labeled with the larger one. A spectrum with a zero count has no OD and
    is drawn again.

    Returns
    -------
    od : ndarray of shape (n_spectra, n_energies), float32
    phase_index : ndarray of shape (n_spectra,), int8
        The true phase.
    photons : ndarray of shape (n_spectra,)
        Expected I0 per energy.
    """
    pure = references.at(energies_ev)
    od = np.full((n_spectra, pure.shape[1]), np.nan, dtype=np.float32)
    phase_index = rng.permutation(np.arange(n_spectra) % len(pure)).astype(np.int8)
    photons = PHOTONS[0] * (PHOTONS[1] / PHOTONS[0]) ** rng.random(n_spectra)
    missing = np.arange(n_spectra)
    while missing.size:
        expected = _expected_od(pure, phase_index[missing], rng)
        od[missing] = _measured_od(expected, photons[missing], rng)
        missing = missing[~np.isfinite(od[missing]).all(axis=1)]
    return od, phase_index, photons


def _expected_od(
    pure: NDArray[np.float64], phase_index: NDArray[np.int8], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return optical densities without noise, of one phase or of a mixture of two."""
    n_spectra, n_phases = len(phase_index), len(pure)
    other = (phase_index + rng.integers(1, n_phases, n_spectra)) % n_phases
    mixed = rng.random(n_spectra) < MIXED_SPECTRA_SHARE
    share = np.where(mixed, rng.uniform(0.5, 1.0, n_spectra), 1.0)[:, None]
    spectra = share * pure[phase_index] + (1.0 - share) * pure[other]
    largest = np.abs(spectra).max(axis=1, keepdims=True)
    expected: NDArray[np.float64] = spectra / largest * rng.uniform(*LARGEST_OD, (n_spectra, 1))
    return expected


def _measured_od(
    expected: NDArray[np.float64], photons: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return optical densities from Poisson counts; infinite or NaN for a zero count."""
    incident = rng.poisson(np.broadcast_to(photons[:, None], expected.shape))
    transmitted = rng.poisson(photons[:, None] * np.exp(-expected))
    with np.errstate(divide="ignore", invalid="ignore"):
        od: NDArray[np.float64] = np.log(incident / transmitted)
    return od
