"""Spectra of one phase, or of two in proportions: how likely each is, and whether any fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.likelihood import best_model_photons, weighted_fit

MIXED_SHARE = 0.2
"""Share of mixed spectra that is expected before a scan has said anything."""

_SHARE_WEIGHT = 500
"""Spectra that this expectation is worth."""

_EM_SPECTRA = 5_000
"""Spectra that the frequencies are estimated from, evenly spread."""

_NODES = 3
"""Nodes of the smaller share."""

_TINY = np.float32(1e-37)

_FALSE_ALARMS = 0.002
"""Share of well-described spectra whose misfit is larger by chance."""

_SHORTEST = 0.05
"""Length of a spectrum, in OD, below which it is taken as it is."""

_CHUNK = 256
"""Spectra taken at once: so few that the matrix product stays on one core. Spread over cores it
takes ten times as long where one of them is busy with something else."""


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
        mixed = np.exp(np.where(possible, self.log_likelihood - np.where(possible, peak, 0), 0))
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


class MixtureFit(NamedTuple):
    """`Hypotheses`, and the misfit of the best of them.

    ``misfit`` has shape (n_spectra,): chi-squared in units of the scan's own noise, to be
    compared with ``degrees`` degrees of freedom.
    """

    hypotheses: Hypotheses
    misfit: NDArray[np.float32]
    degrees: int


class Assignment(NamedTuple):
    """Probability that each phase is the commonest of its pixel, and that the pixel is mixed.

    Shapes (n_phases, n_spectra) and (n_spectra,).
    """

    probability: NDArray[np.float32]
    mixed: NDArray[np.float32]


def fit_mixtures(
    od: NDArray[np.floating],
    photons: NDArray[np.floating],
    references: NDArray[np.floating],
    *,
    dispersion: float,
    baseline: bool = False,
) -> MixtureFit:
    """Fit each reference alone, and each two of them in proportions, to every spectrum.

    Parameters
    ----------
    od : ndarray of shape (n_energies, n_spectra)
        Optical density, finite.
    photons : ndarray of shape (n_energies, n_spectra)
        Counts behind each value.
    references : ndarray of shape (n_phases, n_energies)
    dispersion : float
        Variance of the counts over their mean, as `fit_references` finds it.
    baseline : bool
        Whether each spectrum has a free constant beside its thickness.

    Returns
    -------
    MixtureFit

    Notes
    -----
    As in `fit_references` thickness and constant are integrated out with flat priors. The
    smaller share is uniform from 0 to 1/2 and integrated over three nodes (Gauss-Legendre).
    Counts n have ln n too low by dispersion/(2n), and weights 1/(dispersion n) in which n is
    what the best pure phase predicts.
    """
    length = np.linalg.norm(references, axis=1, keepdims=True)
    scaled = references / np.where(length > 0, length, 1.0)
    composites = _Composites.of(scaled)
    n_phases, n_spectra = len(scaled), od.shape[1]
    log_likelihood = np.full((n_phases, n_phases, n_spectra), -np.inf, dtype=np.float32)
    misfit = np.empty(n_spectra, dtype=np.float32)
    for start in range(0, n_spectra, _CHUNK):
        part = slice(start, start + _CHUNK)
        y, n = od[:, part].astype(np.float64), photons[:, part].astype(np.float64)
        expected = best_model_photons(y - 0.5 * dispersion / n, n, scaled, baseline)
        y -= 0.5 * dispersion / expected
        chi2, log_det, _, _ = weighted_fit(y, expected, composites.spectra, baseline)
        chi2 /= dispersion
        misfit[part] = best = chi2.min(axis=0)
        odds = np.exp(-0.5 * (chi2 - best + log_det - log_det[0]).astype(np.float32))
        odds *= composites.weight[:, None]
        likelihood = np.add.reduceat(odds, composites.starts, axis=0)
        log_likelihood[composites.majority, composites.minority, part] = np.log(likelihood + _TINY)
    flat = np.ptp(scaled, axis=1) == 0 if baseline else length[:, 0] == 0
    log_likelihood[flat] = log_likelihood[:, flat] = -np.inf
    return MixtureFit(Hypotheses(log_likelihood), misfit, od.shape[0] - 1 - baseline)


def unidentified(fit: MixtureFit) -> NDArray[np.bool_]:
    """Whether no phase and no mixture of two agrees with a spectrum, shape (n_spectra,).

    Of spectra that the references do describe, one in 500 is told so by chance.
    """
    from scipy.stats import chi2

    return np.asarray(fit.misfit > chi2.isf(_FALSE_ALARMS, max(fit.degrees, 1)))


def by_frequencies(hypotheses: Hypotheses) -> Assignment:
    """Probabilities with the scan's own phase frequencies and share of mixed spectra.

    Both are found by expectation maximisation on an even selection of the spectra. How often two
    phases mix is tied to the product of their frequencies: weights of their own would take over
    what the pure phases explain as well.
    """
    n_spectra = hypotheses.log_likelihood.shape[2]
    chosen = slice(None, None, max(1, -(-n_spectra // _EM_SPECTRA)))
    frequency, share = _frequencies(Hypotheses(hypotheses.log_likelihood[:, :, chosen]))
    pure, mixed = hypotheses.weights()
    pure *= ((1 - share) * frequency)[:, None].astype(np.float32)
    mixed *= (share * _pair_weight(frequency))[:, :, None].astype(np.float32)
    return assignment(pure, mixed.sum(axis=1))


def assignment(pure: NDArray[np.float32], mixed: NDArray[np.float32]) -> Assignment:
    """From weights of pure and of mixed spectra, by commonest phase (n_phases, n_spectra)."""
    total = np.maximum((pure + mixed).sum(axis=0), _TINY)
    return Assignment((pure + mixed) / total, mixed.sum(axis=0) / total)


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


class _Composites(NamedTuple):
    """Spectra of all hypotheses, several nodes of the smaller share for each mixture."""

    spectra: NDArray[np.float64]
    weight: NDArray[np.float32]
    starts: NDArray[np.intp]
    majority: NDArray[np.intp]
    minority: NDArray[np.intp]

    @classmethod
    def of(cls, scaled: NDArray[np.float64]) -> _Composites:
        """First the pure phases, then the ordered pairs."""
        n_phases = len(scaled)
        nodes, node_weight = np.polynomial.legendre.leggauss(_NODES)
        shares, node_weight = (nodes + 1) / 4, node_weight / 2
        k, j = np.nonzero(~np.eye(n_phases, dtype=bool))
        pairs = (1 - shares)[:, None] * scaled[k, None] + shares[:, None] * scaled[j, None]
        alone = np.arange(n_phases)
        return cls(
            np.concatenate([scaled, pairs.reshape(-1, scaled.shape[1])]),
            np.concatenate([np.ones(n_phases), np.tile(node_weight, len(k))]).astype(np.float32),
            np.concatenate([alone, n_phases + _NODES * np.arange(len(k))]),
            np.concatenate([alone, k]),
            np.concatenate([alone, j]),
        )
