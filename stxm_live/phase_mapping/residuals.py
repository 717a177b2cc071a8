"""Residuals of the fit, compared with what separates the phases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.even_selection import at_most
from stxm_live.core.products import inner_product, product
from stxm_live.phase_mapping.counted_spectra import CountedSpectra
from stxm_live.phase_mapping.likelihood import (
    best_model_photons,
    dispersion_of,
    n_measured,
    of_length_one,
    photons_worth,
    typical_photons,
    unbiased,
)
from stxm_live.phase_mapping.unidentified import KNOWN_TO, misfit_allowed
from stxm_live.phase_mapping.weighted_products import each_alone, products

_SPECTRA = 10_000
"""An even selection."""

_LEAST_SHARE = 0.02
"""Share of the labels from which a phase is looked at."""

_LEAST_KNOWN = 0.1
"""Share of spectra that some reference describes, below which all of them count."""

_FITS_BETTER = 0.97
"""Misfit of spectra that the references describe, since the best of several is taken."""

_TOWARDS_RIVALS = 1.25
"""Factor by which errors are larger towards another phase than elsewhere: an energy axis, a
crystal's orientation or damage change a spectrum much as another composition does."""

HARMFUL = 0.2
"""Share of what separates two phases from which a residual may turn labels over."""


@dataclass(frozen=True, eq=False)
class Residual:
    """Residuals of the spectra of a scan after the best fit.

    Parameters
    ----------
    phase, rival : int
        The two phases that are the easiest to mistake for each other.
    share : float
        Residual beyond noise, in one direction, over what separates the two in a typical pixel.
    largest_od : float
        The most significant mean residual of one phase at one energy.
    largest_phase, largest_energy : int
        Where it is.
    significance : float
        The same over its standard error.
    mistaken : ndarray of shape (n_phases, n_phases)
        Chance that an error as large as the residual makes a spectrum of the first phase look like
        the second.
    """

    phase: int
    rival: int
    share: float
    largest_od: float
    largest_phase: int
    largest_energy: int
    significance: float
    mistaken: NDArray[np.float64]

    @property
    def is_harmful(self) -> bool:
        """Return True if an error as large may change labels."""
        return self.share >= HARMFUL

    def reckoned_with(self, probability: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities (n_phases, n_spectra) that heed an error common to many spectra.

        Neighbors do not make it smaller, for they share it. One that is small beside what
        separates the phases changes next to nothing.
        """
        return product(self.mistaken.T.astype(np.float32), probability)


def residual_of(
    spectra: CountedSpectra,
    index: NDArray[np.int8],
    *,
    known: NDArray[np.bool_],
    i0_relative_std: NDArray[np.float64] | float = 0.0,
) -> Residual | None:
    """Compare what is left of labelled spectra with what separates the phases.

    Parameters
    ----------
    spectra : CountedSpectra
    index : ndarray of shape (n_spectra,)
        Labels.
    known : ndarray of bool, shape (n_spectra,)
        Those that some reference describes; the others do not count unless they are nearly all.
    i0_relative_std : ndarray of shape (n_energies,), optional
        Uncertainty of I0, which all spectra share.

    Returns
    -------
    Residual or None
        None without spectra, or where only one phase has labels.

    Notes
    -----
    Misfit alone does not distinguish a residual that does no harm from one that turns labels
    over: at few photons a small excess hides an error as large as what separates two phases. The
    excess of the misfit is the variance of what is left in one direction, in units of the noise;
    its square root is compared with the distance of the nearest phases in the same units,
    thickness and baseline free. So the noise cancels, and the share is one for all photon numbers.
    """
    n_phases = len(spectra.references)
    if not index.size or n_phases < 2:
        return None
    if known.mean() < _LEAST_KNOWN:
        known = np.ones_like(known)
    counted = np.flatnonzero(known)[at_most(_SPECTRA, int(known.sum()))]
    spectra, index = spectra.at(counted), index[counted]
    counts = np.bincount(index, minlength=n_phases)
    present = counts >= _LEAST_SHARE * len(index)
    mean, std, misfit = _means(spectra, index)
    misfit /= 1 + misfit_allowed(spectra.od, spectra.photons, spectra.noise.gain)
    apart = _distances(spectra)
    np.fill_diagonal(apart, np.inf)
    excess = np.sqrt(max(misfit / _FITS_BETTER - 1, 0.0))
    mistaken = _mistaken(apart, np.hypot(excess, _share_of_references(spectra)))
    apart[~present] = np.inf
    phase, rival = (int(k) for k in np.unravel_index(int(apart.argmin()), apart.shape))
    nearest = float(apart[phase, rival])
    std = np.hypot(std, np.broadcast_to(i0_relative_std, std.shape[1]))
    significance = np.where(present[:, None], np.abs(mean) / std, 0.0)
    k, e = (int(i) for i in np.unravel_index(int(significance.argmax()), mean.shape))
    return Residual(
        phase=phase,
        rival=rival,
        share=float(excess / nearest) if nearest > 0 else 0.0,
        largest_od=float(mean[k, e]),
        largest_phase=k,
        largest_energy=e,
        significance=float(significance[k, e]),
        mistaken=mistaken,
    )


def _mistaken(apart: NDArray[np.float64], excess: float) -> NDArray[np.float64]:
    """See `Residual.mistaken`: an error of that standard deviation goes more than half the way."""
    from scipy.special import ndtr

    chance = ndtr(-apart / (2 * _TOWARDS_RIVALS * max(excess, 1e-6)))
    np.fill_diagonal(chance, 0.0)
    # where several are as near as nothing, none is more likely than any other
    chance /= np.maximum(1.0, chance.sum(axis=1, keepdims=True) * len(apart) / (len(apart) - 1))
    np.fill_diagonal(chance, 1 - chance.sum(axis=1))
    return np.asarray(chance)


def _share_of_references(spectra: CountedSpectra) -> float:
    """Return the part of a typical spectrum's noise that is an error of the references (std).

    All pixels of a phase share it, as they share a residual.
    """
    if spectra.noise.of_references is None:
        return 0.0
    of_references = np.median(spectra.noise.of_references, axis=1)
    return float(np.sqrt(np.mean(of_references / _typical_variance(spectra))))


def _typical_variance(spectra: CountedSpectra) -> NDArray[np.float64]:
    """Return the variance of a typical spectrum, (n_energies,), what is known of it included."""
    _, photons, _, noise = spectra
    variance = noise.gain / typical_photons(photons).astype(np.float64) + KNOWN_TO**2
    if noise.of_references is not None:
        variance += np.median(noise.of_references, axis=1)
    return variance


def _distances(spectra: CountedSpectra) -> NDArray[np.float64]:
    """Return the distances between phases, in standard deviations of a pixel's noise."""
    od, _, references, noise = spectra
    y = np.median(od, axis=1)[:, None].astype(np.float64)
    weight = 1 / _typical_variance(spectra)[:, None]
    found = products(y, weight, of_length_one(references), noise.baseline)
    gram = found.gram()[:, :, 0]
    own = np.diag(gram)
    thickness = np.maximum(found.along[:, 0], 0) / own
    rest = np.maximum(own[:, None] - gram**2 / own, 0)
    return np.asarray(thickness[:, None] * np.sqrt(rest))


def _means(
    spectra: CountedSpectra, index: NDArray[np.int8]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Mean residual of each phase at each energy, its standard error, and the median misfit."""
    od, photons, references, noise = spectra
    y, n = od.astype(np.float64), photons.astype(np.float64)
    label, scaled = index.astype(np.intp), of_length_one(references)
    baseline = noise.baseline.in_units_of(noise.gain)
    expected = best_model_photons(unbiased(y, n, noise.gain), n, scaled, baseline)
    y = unbiased(y, expected, noise.gain)
    if noise.of_references is not None:
        expected = photons_worth(expected, noise.of_references, noise.gain)
    found = each_alone(y, expected, scaled, baseline)
    columns = np.arange(len(label))
    thickness = found.along[label, columns] / found.square[label, columns]
    left = y - (scaled[label] * thickness[:, None]).T
    beside = found.coefficients(thickness, label)
    left -= product(baseline.shapes.T, beside)
    of_phase = (label == np.arange(len(references))[:, None]).astype(np.float64)
    weight = inner_product(of_phase, expected)
    safe = np.maximum(weight, np.finfo(np.float64).tiny)
    # what a large constant costs by its prior is no misfit
    cost = (baseline.precision[:, None] * beside**2).sum(axis=0)
    best = ((found.rest - found.along**2 / found.square).min(axis=0) - cost) / noise.gain
    decided = (1 - baseline.precision[:, None] / found.pivots).sum(axis=0)
    misfit = dispersion_of(best, n_measured(n) - 1 - float(np.median(decided)))
    left_over = inner_product(of_phase, expected * left) / safe
    return left_over, np.sqrt(noise.gain / safe), misfit
