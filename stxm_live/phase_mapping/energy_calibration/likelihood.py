"""Likelihood of an energy offset and an extra width, whatever the phases."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.even_selection import at_most
from stxm_live.core.products import product
from stxm_live.core.references import ReferenceSpectra
from stxm_live.phase_mapping.likelihood import (
    best_model_photons,
    dispersion_of,
    n_measured,
    unbiased,
)
from stxm_live.phase_mapping.unidentified import Strangeness, misfit_allowed
from stxm_live.phase_mapping.weighted_products import Baseline, products

_SHARES = (0.25, 0.5, 0.75)
"""Mixtures of two phases that are tried beside the pure ones."""

_MOST_TEMPLATES = 64
"""With more phases only even mixtures are tried, with still more none: time."""

_EM_ROUNDS = 60
"""For the frequencies at one place; a third of it at its neighbors, which start from these."""

FREE_PER_SPECTRUM = 2
"""Thickness and composition; a constant comes on top."""


def compositions(n_phases: int) -> NDArray[np.float64]:
    """Shares of shape (n_templates, n_phases): the pure phases first, then mixtures of two.

    Examples
    --------
    >>> compositions(2).tolist()
    [[1.0, 0.0], [0.0, 1.0], [0.75, 0.25], [0.5, 0.5], [0.25, 0.75]]
    """
    pure = np.eye(n_phases)
    pairs = list(combinations(range(n_phases), 2))
    for shares in (_SHARES, (0.5,)):
        if n_phases + len(pairs) * len(shares) <= _MOST_TEMPLATES:
            mixed = [(1 - s) * pure[i] + s * pure[j] for i, j in pairs for s in shares]
            return np.array([*pure, *mixed])
    return pure


class AxisLikelihood:
    """Marginal likelihood of offset and width: over thickness, phase and mixtures of two phases.

    Every spectrum is one of the templates, which are the references and mixtures of them; how
    often each occurs is found by expectation maximisation for every offset and width. Weights
    and dispersion stay as they were at the last `reweight`, so that values can be compared.

    Parameters
    ----------
    od, photons : ndarray of shape (n_energies, n_spectra)
        Finite; 0 photons where a spectrum was not measured.
    references : ReferenceSpectra
    energies_ev : ndarray of shape (n_energies,)
        Nominal; the references must reach as far as the offsets that are asked for.
    templates : ndarray of shape (n_templates, n_phases)
        As from `compositions`.
    baseline : Baseline
        What each spectrum has besides its phase, in units of the photons.
    """

    def __init__(
        self,
        od: NDArray[np.floating],
        photons: NDArray[np.floating],
        references: ReferenceSpectra,
        energies_ev: NDArray[np.float64],
        templates: NDArray[np.float64],
        *,
        baseline: Baseline,
    ) -> None:
        self.od, self.photons = od.astype(np.float64), photons.astype(np.float64)
        self.references, self.energies_ev = references, energies_ev
        self.templates, self.baseline = templates, baseline
        self.dispersion = 1.0
        self.frequencies = np.full(len(templates), 1 / len(templates))
        self._expected, self._y = self.photons, self.od
        # mixtures are shares of spectra of one length, or a thicker reference would prevail
        self._unit = np.linalg.norm(references.at(references.energies_ev), axis=1)[:, None]

    def _pure_at(self, offset_ev: float, width_ev: float) -> NDArray[np.float64]:
        """Return references of unit length in the file, shape (n_phases, n_energies)."""
        shifted = self.references.broadened_at(self.energies_ev + offset_ev, width_ev)
        return np.asarray(shifted / self._unit)

    def _shares_of(self, pure: NDArray[np.float64]) -> NDArray[np.float64]:
        """Templates as shares of these, each of unit length on the scan's energies."""
        length = np.linalg.norm(product(self.templates, pure), axis=1, keepdims=True)
        return np.asarray(self.templates / length)

    def spectra_at(self, offset_ev: float, width_ev: float) -> NDArray[np.float64]:
        """Templates of unit length, shape (n_templates, n_energies)."""
        pure = self._pure_at(offset_ev, width_ev)
        return product(self._shares_of(pure), pure)

    def reweight(self, offset_ev: float, width_ev: float) -> None:
        """Take expected photons and dispersion from the best templates at this place."""
        spectra = self.spectra_at(offset_ev, width_ev)
        degrees = n_measured(self.photons) - FREE_PER_SPECTRUM - len(self.baseline.shapes)
        for _ in range(2):
            y = unbiased(self.od, self._expected, self.dispersion)
            self._expected = best_model_photons(y, self.photons, spectra, self.baseline)
            self._y = unbiased(self.od, self._expected, self.dispersion)
            misfit = self._misfit_and_square(offset_ev, width_ev)[0]
            self.dispersion = dispersion_of(misfit.min(axis=0), degrees)

    def settle(self, offset_ev: float, width_ev: float) -> None:
        """Take the templates' frequencies from this place."""
        self.frequencies, _ = self._maximised(offset_ev, width_ev, _EM_ROUNDS)

    def value(self, offset_ev: float, width_ev: float) -> float:
        """Log likelihood summed over the spectra, up to a constant.

        The frequencies are found from those of the last `settle`, which stay as they are.
        """
        return self._maximised(offset_ev, width_ev, _EM_ROUNDS // 3)[1]

    def _maximised(
        self, offset_ev: float, width_ev: float, rounds: int
    ) -> tuple[NDArray[np.float64], float]:
        """Frequencies after some rounds of expectation maximisation, and the log likelihood."""
        log_likelihood = self._of_templates(offset_ev, width_ev)
        largest = log_likelihood.max(axis=0)
        weight = np.exp(log_likelihood - largest)
        frequencies = self.frequencies
        for _ in range(rounds):
            rest = 1 / _mixed(frequencies, weight)
            frequencies = frequencies * np.einsum("tn,n->t", weight, rest) / weight.shape[1]
        return frequencies, float((largest + np.log(_mixed(frequencies, weight))).sum())

    def flat_value(self, offset_ev: float, width_ev: float) -> float:
        """Return `value` with every template as frequent as every other."""
        log_likelihood = self._of_templates(offset_ev, width_ev)
        largest = log_likelihood.max(axis=0)
        return float((largest + np.log(np.exp(log_likelihood - largest).mean(axis=0))).sum())

    def _of_templates(self, offset_ev: float, width_ev: float) -> NDArray[np.float64]:
        misfit, square = self._misfit_and_square(offset_ev, width_ev)
        return -0.5 * (np.log(square) + misfit / self.dispersion)

    def _misfit_and_square(
        self, offset_ev: float, width_ev: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return misfit and weighted square of the template, for each template and spectrum."""
        pure = self._pure_at(offset_ev, width_ev)
        found = products(self._y, self._expected, pure, self.baseline)
        along, square = found.of_shares(self._shares_of(pure))
        return found.rest - along**2 / square, square

    def signal_to_noise(self, offset_ev: float, width_ev: float) -> float:
        """Return the median spectrum's thickness in standard deviations."""
        pure = self._pure_at(offset_ev, width_ev)
        found = products(self._y, self._expected, pure, self.baseline)
        along, square = found.of_shares(self._shares_of(pure))
        explained = (along**2 / square).max(axis=0)
        return float(np.sqrt(np.median(explained) / self.dispersion))

    def strangeness(self, offset_ev: float, width_ev: float, gain: float) -> NDArray[np.bool_]:
        """Return True for spectra that agree with no template, by counting noise: (n_spectra,).

        Parameters
        ----------
        offset_ev, width_ev : float
        gain : float
            Variance of the photons over their mean.
        """
        allowed = 1 + misfit_allowed(self.od, self.photons, gain)
        misfit = self._misfit_and_square(offset_ev, width_ev)[0].min(axis=0) / (gain * allowed)
        degrees = n_measured(self.photons) - 1 - self.baseline.n_free
        kinds = Strangeness.of(misfit, degrees)
        return np.asarray(kinds.log_odds(misfit) > np.log((1 - kinds.share) / kinds.share))

    def of_spectra(self, chosen: NDArray[np.bool_]) -> AxisLikelihood:
        """Return the same with some of the spectra."""
        return self._part(slice(None), chosen)

    def thinned(self, n_spectra: int) -> AxisLikelihood:
        """Return the same with an even selection of at most that many spectra."""
        return self._part(slice(None), at_most(n_spectra, self.od.shape[1]))

    def without_energies(self, left_out: slice) -> AxisLikelihood:
        """Return the same without some energies."""
        kept = np.ones(len(self.energies_ev), dtype=bool)
        kept[left_out] = False
        return self._part(kept, slice(None))

    def of_templates(self, templates: NDArray[np.float64]) -> AxisLikelihood:
        """Return the same with other templates; weights and dispersion are those of these."""
        other = self._part(slice(None), slice(None))
        other.templates = templates
        other.frequencies = np.full(len(templates), 1 / len(templates))
        return other

    def _part(
        self, energies: slice | NDArray[np.bool_], spectra: slice | NDArray[np.bool_]
    ) -> AxisLikelihood:
        chosen = AxisLikelihood(
            self.od[energies, spectra],
            self.photons[energies, spectra],
            self.references,
            self.energies_ev[energies],
            self.templates,
            baseline=self.baseline.at(energies),
        )
        chosen.dispersion, chosen.frequencies = self.dispersion, self.frequencies
        chosen._expected, chosen._y = self._expected[energies, spectra], self._y[energies, spectra]
        return chosen


def _mixed(frequencies: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum over the templates; by einsum, for BLAS would share it among threads."""
    return np.asarray(np.einsum("t,tn->n", frequencies, weight))
