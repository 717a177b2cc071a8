"""What a spectrum may be, one phase or two in proportions, and how probable that makes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

TINY = np.float32(1e-37)
"""The least that a likelihood counts for."""

_SHORTEST = 0.05
"""Length of a spectrum, in OD, below which it is taken as it is."""


@dataclass(frozen=True, eq=False)
class Hypotheses:
    """How well a spectrum agrees with one phase and with two in proportions.

    Parameters
    ----------
    log_likelihood : ndarray of shape (n_phases, n_phases, n_spectra), float32
        Of a mixture of mostly the first and less of the second index, the smaller share
        integrated out; of the pure phases where both are the same. Up to a constant for each
        spectrum.
    """

    log_likelihood: NDArray[np.float32]

    @property
    def n_phases(self) -> int:
        """How many pure phases there are."""
        return len(self.log_likelihood)

    def weights(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Likelihoods relative to the best: pure (n_phases, n_spectra), mixed (as the field).

        Zero on the diagonal of the mixed ones. All alike where nothing is possible.
        """
        peak = self.log_likelihood.max(axis=(0, 1), initial=-np.inf)
        possible = np.isfinite(peak)
        mixed = self.log_likelihood - np.where(possible, peak, np.float32(0))
        np.exp(mixed, out=mixed)
        if not possible.all():
            mixed[:, :, ~possible] = 1
        diagonal = np.arange(self.n_phases)
        pure = mixed[diagonal, diagonal].copy()
        mixed[diagonal, diagonal] = 0
        return pure, mixed

    @classmethod
    def of_head(
        cls,
        head: Callable[[NDArray[np.float32]], NDArray[np.float32]],
        latent: NDArray[np.floating],
        od: NDArray[np.floating],
        photons: NDArray[np.floating],
        *,
        dispersion: float,
        photon_range: tuple[float, float] = (0.0, np.inf),
    ) -> Hypotheses:
        """What the posterior head of a bundle says.

        Parameters
        ----------
        head : callable
            From rows of `head_inputs` to rows of n_phases^2 log-likelihoods.
        latent : ndarray of shape (n_spectra, n_latent)
        od, photons : ndarray of shape (n_energies, n_spectra)
        dispersion : float
            As `fit_references` finds it.
        photon_range : (float, float)
            What the head was trained for; effective photons outside count as the nearest inside.
        """
        incident = np.clip(effective_photons(od, photons, dispersion), *photon_range)
        rows = head(head_inputs(latent, od.T, incident))
        n_phases = round(rows.shape[1] ** 0.5)
        table = np.ascontiguousarray(rows.T).reshape(n_phases, n_phases, -1)
        return cls(table)


def effective_photons(
    od: NDArray[np.floating], photons: NDArray[np.floating], dispersion: float
) -> NDArray[np.float64]:
    """Poisson photons of the incident beam that would make each spectrum's noise, (n_spectra,).

    The mean over energies of photons times exp(od), over the dispersion: gain and Fano factor of
    the counter need not be known.
    """
    incident = photons * np.exp(od)
    return np.asarray(incident.mean(axis=0, dtype=np.float64) / dispersion)


def head_inputs(
    latent: NDArray[np.floating], od: NDArray[np.floating], photons: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Rows that a posterior head takes.

    Latent coordinates, logarithms of the effective photons and of the spectrum's length, and the
    spectrum over its length: from the latent coordinates alone the phase is told worse.

    Parameters
    ----------
    latent : ndarray of shape (n_spectra, n_latent)
    od : ndarray of shape (n_spectra, n_energies)
    photons : ndarray of shape (n_spectra,)
    """
    n_spectra, n_latent = latent.shape
    rows = np.empty((n_spectra, n_latent + 2 + od.shape[1]), dtype=np.float32)
    length = np.sqrt(np.einsum("ne,ne->n", od, od)).clip(_SHORTEST)
    rows[:, :n_latent] = latent
    rows[:, n_latent] = np.log(photons)
    rows[:, n_latent + 1] = np.log(length)
    np.divide(od, length[:, None], out=rows[:, n_latent + 2 :])
    return rows


class Assignment(NamedTuple):
    """Probability that each phase is the commonest of its pixel, and that the pixel is mixed.

    Shapes (n_phases, n_spectra) and (n_spectra,).
    """

    probability: NDArray[np.float32]
    mixed: NDArray[np.float32]


def assignment(pure: NDArray[np.float32], mixed: NDArray[np.float32]) -> Assignment:
    """From weights of pure and of mixed spectra, by commonest phase (n_phases, n_spectra)."""
    probability = pure + mixed
    total = np.maximum(probability.sum(axis=0), TINY)
    return Assignment(np.divide(probability, total, out=probability), mixed.sum(axis=0) / total)
