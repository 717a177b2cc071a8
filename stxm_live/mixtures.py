"""Spectra of one phase, or of two in proportions: how likely each is, and whether any fits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.hypotheses import TINY, Hypotheses
from stxm_live.likelihood import best_model_photons, weighted_fit

_NODES = 3
"""Nodes of the smaller share."""

_FALSE_ALARMS = 0.002
"""Share of well-described spectra whose misfit is larger by chance."""

_CHUNK = 256
"""Spectra taken at once: so few that the matrix product stays on one core. Spread over cores it
takes ten times as long where one of them is busy with something else."""


class MixtureFit(NamedTuple):
    """`Hypotheses`, and the misfit of the best of them.

    ``misfit`` has shape (n_spectra,): chi-squared in units of the scan's own noise, to be
    compared with ``degrees`` degrees of freedom.
    """

    hypotheses: Hypotheses
    misfit: NDArray[np.float32]
    degrees: int


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
        log_likelihood[composites.majority, composites.minority, part] = np.log(likelihood + TINY)
    flat = np.ptp(scaled, axis=1) == 0 if baseline else length[:, 0] == 0
    log_likelihood[flat] = log_likelihood[:, flat] = -np.inf
    return MixtureFit(Hypotheses(log_likelihood), misfit, od.shape[0] - 1 - baseline)


def unidentified(fit: MixtureFit) -> NDArray[np.bool_]:
    """Whether no phase and no mixture of two agrees with a spectrum, shape (n_spectra,).

    Of spectra that the references do describe, one in 500 is told so by chance.
    """
    from scipy.stats import chi2

    return np.asarray(fit.misfit > chi2.isf(_FALSE_ALARMS, max(fit.degrees, 1)))


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
