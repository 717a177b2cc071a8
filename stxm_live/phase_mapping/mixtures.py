"""Spectra of one phase, or of two in proportions: how likely each is, and whether any fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.even_selection import even_parts
from stxm_live.core.threads import in_threads
from stxm_live.phase_mapping.counted_spectra import CountedSpectra
from stxm_live.phase_mapping.fitted_products import fitted_products
from stxm_live.phase_mapping.likelihood import n_measured, of_length_one, says_nothing
from stxm_live.phase_mapping.spectrum_noise import SpectrumNoise
from stxm_live.phase_mapping.weighted_products import Baseline, Products

TINY = np.float32(1e-37)
"""The least that a likelihood counts for."""

_NODES = 3
"""Nodes of the smaller share."""

_CHUNK = 8192
"""Most spectra whose products are made at once: with many fewer, threads wait for the
interpreter."""

_COMPARED = 2048
"""Spectra whose hypotheses are compared at once: of more, they leave the cache of one core."""


@dataclass(frozen=True, eq=False)
class Hypotheses:
    """Agreement of spectra with one phase, and with two in proportions.

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
        """Return the number of pure phases."""
        return len(self.log_likelihood)

    @property
    def of_pure(self) -> NDArray[np.float32]:
        """Return the log-likelihoods of the pure phases, (n_phases, n_spectra)."""
        return np.asarray(np.einsum("kkn->kn", self.log_likelihood))

    def at(self, chosen: slice | NDArray[np.intp]) -> Hypotheses:
        """Return a copy of those of some of the spectra."""
        return Hypotheses(self.log_likelihood[:, :, chosen].copy())

    def with_prior(self, log_prior: NDArray[np.float32]) -> Hypotheses:
        """Return these in place, with the log probability of each larger part, (n_phases,)."""
        if log_prior.any():
            self.log_likelihood[...] += log_prior[:, None, None]
        return self

    def weights(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Likelihoods relative to the best: pure (n_phases, n_spectra), mixed (as the field).

        Zero on the diagonal of the mixed ones. All alike where nothing is possible.
        """
        return self.at(slice(None)).into_weights()

    def into_weights(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return `weights`, the mixed ones in the place of the log-likelihoods."""
        mixed = self.log_likelihood
        peak = mixed.max(axis=(0, 1), initial=-np.inf)
        possible = np.isfinite(peak)
        mixed -= np.where(possible, peak, np.float32(0))
        np.exp(mixed, out=mixed)
        if not possible.all():
            mixed[:, :, ~possible] = 1
        diagonal = np.arange(self.n_phases)
        pure = mixed[diagonal, diagonal].copy()
        mixed[diagonal, diagonal] = 0
        return pure, mixed


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


class Misfit(NamedTuple):
    """Misfit of the best hypothesis for each spectrum.

    ``misfit`` has shape (n_spectra,): chi-squared in units of the counting noise, to be compared
    with ``degrees`` degrees of freedom, a number for each spectrum where some lack energies.
    """

    misfit: NDArray[np.float32]
    degrees: int | NDArray[np.intp]


class MixtureFit(NamedTuple):
    """`Hypotheses`, and the `Misfit` of the best of them."""

    hypotheses: Hypotheses
    misfit: NDArray[np.float32]
    degrees: int | NDArray[np.intp]


def fit_mixtures(
    od: NDArray[np.floating],
    photons: NDArray[np.floating],
    references: NDArray[np.floating],
    *,
    dispersion: float,
    gain: float | None = None,
    baseline: Baseline | None = None,
    more_variance: NDArray[np.floating] | None = None,
) -> MixtureFit:
    """Fit each reference alone, and each two of them in proportions, to every spectrum.

    Parameters
    ----------
    od : ndarray of shape (n_energies, n_spectra)
        Optical density, finite.
    photons : ndarray of shape (n_energies, n_spectra)
        Counts behind each value; 0 where a spectrum was not measured.
    references : ndarray of shape (n_phases, n_energies)
    dispersion : float
        Variance of the counts over their mean, as `fit_references` finds it: how far spectra
        scatter about the references, whatever the reason.
    gain : float, optional
        How much of that is counting; all of it by default. More than the dispersion is believed
        rather than that.
    baseline : Baseline, optional
        What each spectrum has besides its thickness; nothing by default.
    more_variance : ndarray of shape (n_energies, n_spectra), optional
        Of the OD, besides that of counting.

    Returns
    -------
    MixtureFit

    Notes
    -----
    As in `fit_references` thickness and baseline are integrated out. The smaller share is uniform
    from 0 to 1/2 and integrated over three nodes (Gauss-Legendre).
    Counts n have ln n too low by gain/(2n), and weights 1/(gain n) in which n is
    what the best pure phase predicts.
    """
    gain = dispersion if gain is None else gain
    baseline = baseline or Baseline.none(len(od))
    noise = SpectrumNoise(gain, True, baseline, more_variance)
    spectra = CountedSpectra(od, photons, of_length_one(references), noise)
    n_phases, n_spectra = len(references), spectra.n_spectra
    composites = _Composites.of(n_phases)
    log_likelihood = np.full((n_phases, n_phases, n_spectra), -np.inf, dtype=np.float32)
    misfit = np.empty(n_spectra, dtype=np.float32)

    def fit(part: slice) -> None:
        found = fitted_products(spectra.at(part))
        of_part = log_likelihood[:, :, part]
        for start in range(0, len(found.rest), _COMPARED):
            some = slice(start, start + _COMPARED)
            chi2, likelihood = _likelihoods(found.at(some), composites, max(dispersion, gain))
            misfit[part][some] = chi2 / gain
            of_part[composites.majority, composites.minority, some] = likelihood

    in_threads(fit, even_parts(n_spectra, most=_CHUNK))
    flat = says_nothing(references, baseline)
    log_likelihood[flat] = log_likelihood[:, flat] = -np.inf
    degrees = n_measured(photons) - 1 - baseline.n_free
    return MixtureFit(Hypotheses(log_likelihood), misfit, degrees)


def _likelihoods(
    found: Products, composites: _Composites, dispersion: float
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Misfit of the best hypothesis in units of the weights, and log-likelihood of each."""
    along, square = found.of_shares(composites.shares)
    explained = np.square(along, out=along)
    explained /= square
    most = explained.max(axis=0)
    explained -= most
    explained *= 0.5 / dispersion
    odds = np.exp(explained.astype(np.float32))
    np.divide(square[0].copy(), square, out=square)
    odds *= np.sqrt(square.astype(np.float32))
    likelihood = composites.summed(odds)
    likelihood += TINY
    return found.rest - most, np.log(likelihood, out=likelihood)


class _Composites(NamedTuple):
    """Shares of all hypotheses: the pure phases, then each node of all ordered pairs."""

    shares: NDArray[np.float64]
    node_weight: NDArray[np.float32]
    majority: NDArray[np.intp]
    minority: NDArray[np.intp]

    @classmethod
    def of(cls, n_phases: int) -> _Composites:
        """Return those of pure phases, and of their pairs."""
        pure = np.eye(n_phases)
        nodes, node_weight = np.polynomial.legendre.leggauss(_NODES)
        shares = (nodes + 1) / 4
        k, j = np.nonzero(~np.eye(n_phases, dtype=bool))
        pairs = [(1 - share) * pure[k] + share * pure[j] for share in shares]
        alone = np.arange(n_phases)
        return cls(
            np.concatenate([pure, *pairs]),
            (node_weight / 2).astype(np.float32),
            np.concatenate([alone, k]),
            np.concatenate([alone, j]),
        )

    def summed(self, odds: NDArray[np.float32]) -> NDArray[np.float32]:
        """Over the nodes of each hypothesis; the pure ones have none."""
        n_pairs = (len(odds) - len(self.majority)) // (_NODES - 1)
        n_pure = len(self.majority) - n_pairs
        total = odds[: len(self.majority)].copy()
        pairs = total[n_pure:]
        pairs *= self.node_weight[0]
        for node in range(1, _NODES):
            start = n_pure + node * n_pairs
            pairs += self.node_weight[node] * odds[start : start + n_pairs]
        return total
