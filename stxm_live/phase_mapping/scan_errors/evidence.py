"""Log probability of a scan's spectra for given references and errors of its images."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.even_selection import at_most
from stxm_live.core.products import inner_product, product
from stxm_live.phase_mapping.counted_spectra import CountedSpectra
from stxm_live.phase_mapping.energy_calibration.likelihood import compositions
from stxm_live.phase_mapping.likelihood import best_model_photons, of_length_one, unbiased
from stxm_live.phase_mapping.unidentified import KNOWN_TO
from stxm_live.phase_mapping.weighted_products import Baseline, Products, products

SPECTRA = 800
"""An even selection."""

_FACTOR = 10.0
"""Misfit, relative to noise, of spectra that nothing describes: they hardly count."""

_ROUNDS = 8
"""For the frequencies of phases and mixtures."""

_FIRST_SHARE, _LEAST_SHARE = 0.1, 0.002
"""Share of spectra that nothing describes: at the start, and at the least."""


class Explained(NamedTuple):
    """The spectra as one set of references explains them.

    Parameters
    ----------
    log_probability : float
        Of all spectra, up to a constant.
    left : ndarray of shape (n_energies, n_spectra)
        Residual of the best composition, in optical density.
    weight : ndarray of shape (n_energies, n_spectra)
        One over its variance; less for spectra that nothing describes.
    thickness : ndarray of shape (n_phases, n_spectra)
        Of each phase in the best composition.
    frequency : ndarray of shape (n_phases,)
        Share of each phase in the scan.
    strange : ndarray of shape (n_spectra,)
        Probability that nothing describes the spectrum.
    """

    log_probability: float
    left: NDArray[np.float64]
    weight: NDArray[np.float64]
    thickness: NDArray[np.float64]
    frequency: NDArray[np.float64]
    strange: NDArray[np.float64]


class Evidence:
    """Some whole spectra of a scan, to be explained by one set of references after another.

    Every spectrum is one of the references or a mixture of two, as often as makes the scan most
    probable, with a baseline and counting noise, or something else that scatters more.

    Parameters
    ----------
    spectra : CountedSpectra
        Those that lack an energy are left out. The photons that are expected follow from their
        references.
    """

    def __init__(self, spectra: CountedSpectra) -> None:
        od, photons, references, noise = spectra
        whole = np.flatnonzero((photons > 0).all(axis=0))
        chosen = whole[at_most(SPECTRA, len(whole))]
        y, n = od[:, chosen].astype(np.float64), photons[:, chosen].astype(np.float64)
        in_photons = noise.baseline.in_units_of(noise.gain)
        scaled = of_length_one(references)
        expected = best_model_photons(unbiased(y, n, noise.gain), n, scaled, in_photons)
        self._y = unbiased(y, expected, noise.gain)
        known_to = np.square(KNOWN_TO) * (1 + np.square(np.clip(y, 0, 3)))
        self._weight = 1 / (noise.gain / expected + known_to)
        self._baseline: Baseline = noise.baseline

    @property
    def n_spectra(self) -> int:
        """Return how many spectra there are."""
        return int(self._y.shape[1])

    @property
    def log_precision(self) -> float:
        """Return what the noise adds to the log probability, the same for all references."""
        return 0.5 * float(np.log(self._weight).sum())

    def of(self, references: NDArray[np.float64], od_error: NDArray[np.float64]) -> float:
        """Return the log probability of all spectra, up to a constant.

        Parameters
        ----------
        references : ndarray of shape (n_phases, n_energies)
        od_error : ndarray of shape (n_energies,)
            What every spectrum has beside its phase.
        """
        return self.explained(references, od_error).log_probability

    def explained(
        self, references: NDArray[np.float64], od_error: NDArray[np.float64]
    ) -> Explained:
        """Return the log probability, and what is left of the spectra; see `of`."""
        y, shares = self._y - od_error[:, None], compositions(len(references))
        found = products(y, self._weight, references, self._baseline)
        along, square = found.of_shares(shares)
        misfit, size = found.rest - along**2 / square, -0.5 * np.log(square)
        degrees = len(y) - 1 - self._baseline.n_free
        narrow = size - 0.5 * misfit
        wide = size - 0.5 * (misfit / _FACTOR + degrees * np.log(_FACTOR))
        largest = np.maximum(narrow.max(axis=0), wide.max(axis=0))
        narrow, wide = np.exp(narrow - largest), np.exp(wide - largest)
        frequency, share = self._frequencies(narrow, wide)
        each = (1 - share) * narrow + share * wide
        total = product(frequency[None], each)[0]
        best = (frequency[:, None] * each).argmax(axis=0)
        strange = share * product(frequency[None], wide)[0] / total
        columns = np.arange(y.shape[1])
        thickness = shares[best].T * (along[best, columns] / square[best, columns])
        left = y - product(references.T, thickness)
        left -= product(self._baseline.shapes.T, _beside(found, thickness))
        return Explained(
            log_probability=float((largest + np.log(total)).sum()),
            left=left,
            weight=self._weight * (1 - strange * (1 - 1 / _FACTOR)),
            thickness=thickness,
            frequency=product(frequency[None], shares)[0],
            strange=strange,
        )

    def _frequencies(
        self, narrow: NDArray[np.float64], wide: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], float]:
        """Return those of the compositions, and the share of spectra that nothing describes."""
        frequency, share = np.full(len(narrow), 1 / len(narrow)), _FIRST_SHARE
        for _ in range(_ROUNDS):
            each = (1 - share) * narrow + share * wide
            rest = 1 / product(frequency[None], each)[0]
            strange = float((share * product(frequency[None], wide)[0] * rest).mean())
            frequency = frequency * inner_product(each, rest[None])[:, 0] / len(rest)
            share = float(np.clip(strange, _LEAST_SHARE, 1 - _LEAST_SHARE))
        return frequency, share


def _beside(found: Products, thickness: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the baseline beside a composition (n_phases, n_spectra), (n_terms, n_spectra)."""
    coefficients = np.empty_like(found.pivots)
    for term in reversed(range(len(coefficients))):
        left = found.terms_along[term] - (thickness * found.couplings[term]).sum(axis=0)
        for later in range(term + 1, len(coefficients)):
            left -= coefficients[later] * found.terms[term, later]
        coefficients[term] = left / found.pivots[term]
    return coefficients
