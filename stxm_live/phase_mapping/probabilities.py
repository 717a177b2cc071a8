"""The probability of each phase for every spectrum, by counting statistics."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.even_selection import at_most
from stxm_live.core.recipe import Recipe
from stxm_live.phase_mapping.missing_reference import SURE, missing_reference
from stxm_live.phase_mapping.mixed_references import TypicalPixel, typical_pixel
from stxm_live.phase_mapping.mixtures import Assignment, Hypotheses, fit_mixtures
from stxm_live.phase_mapping.phase_frequencies import Mixing, by_frequencies, mixing_of
from stxm_live.phase_mapping.scan_noise import LIKE_PHOTONS
from stxm_live.phase_mapping.spatial_prior import potts_mixed
from stxm_live.phase_mapping.spectrum_noise import SpectrumNoise
from stxm_live.phase_mapping.tempering import tempered, trust_in
from stxm_live.phase_mapping.unidentified import misfit_allowed, unidentified

_TYPICAL_SPECTRA = 10_000
"""An even selection, from which photons and OD of a typical pixel are found."""


@dataclass(frozen=True, eq=False)
class Probabilities:
    """Probability of each phase for every spectrum, by itself and by its neighbors.

    Parameters
    ----------
    probability : ndarray of shape (n_phases, n_spectra), float32
        That a phase is the commonest of its pixel.
    mixed : ndarray of shape (n_spectra,), float32
        Probability that the pixel holds two phases.
    unidentified : ndarray of bool, shape (n_spectra,)
        No phase and no mixture of two agrees with the spectrum.
    mixed_share : float
        Share of the scan's spectra that hold two phases.
    missing : ndarray of shape (n_spectra,), float32, or None
        Probability that the pixel is of a phase without a reference, where the scan shows one;
        ``probability`` is that of each phase if it is not.
    """

    probability: NDArray[np.float32]
    mixed: NDArray[np.float32]
    unidentified: NDArray[np.bool_]
    mixed_share: float
    missing: NDArray[np.float32] | None = None

    @property
    def most_probable(self) -> NDArray[np.int8]:
        """Index of the most probable phase, shape (n_spectra,)."""
        return np.asarray(self.probability.argmax(axis=0), dtype=np.int8)

    def of_others(self, index: NDArray[np.int8]) -> NDArray[np.float32]:
        """Probability that these labels are wrong, shape (n_spectra,)."""
        right = np.take_along_axis(self.probability, index[None].astype(np.intp), axis=0)[0]
        if self.missing is not None:
            right = right * (1 - self.missing)
        return np.asarray(np.float32(1) - right)


def phase_probabilities(
    od: NDArray[np.float32],
    photons: NDArray[np.float32],
    references: NDArray[np.float64],
    mapped: NDArray[np.bool_],
    recipe: Recipe,
    *,
    dispersion: float,
    noise: SpectrumNoise,
) -> Probabilities:
    """Probabilities by counting statistics, as the recipe's resolver asks for them.

    Parameters
    ----------
    od, photons : ndarray of shape (n_energies, n_spectra)
    references : ndarray of shape (n_phases, n_energies)
    mapped : ndarray of bool, shape (ny, nx)
        Where the spectra are from.
    recipe : Recipe
        Its ``resolver.spatial`` says whether neighbours count.
    dispersion : float
        How far spectra scatter about the references, as `fit_references` finds it.
    noise : SpectrumNoise
    """
    fit = partial(
        fit_mixtures,
        od,
        photons,
        dispersion=dispersion,
        gain=noise.gain,
        baseline=noise.baseline,
        more_variance=noise.of_references,
    )
    fitted = fit(references)
    scan = mixing_of(fitted.hypotheses)
    assigned = _assigned(fitted.hypotheses, mapped, recipe, scan)
    in_photons = 1.0 if noise.from_support else noise.gain
    strange = unidentified(
        fitted,
        mapped,
        gain=in_photons,
        allowance=misfit_allowed(od, photons, noise.gain / in_photons),
    )
    # where the counter may be as noisy as that, a misfit does not show that a reference is missing
    is_shown = noise.from_support or noise.gain < LIKE_PHOTONS
    missing = None
    if is_shown:
        missing = missing_reference(od, photons, references, strange, noise.baseline)
    without_reference = float(strange.mean()) if strange.size and is_shown else 0.0
    found = Probabilities(assigned.probability, assigned.mixed, strange, scan.share)
    if missing is not None:
        hypotheses = fit(np.vstack([references, missing])).hypotheses
        chance = _assigned(hypotheses, mapped, recipe, mixing_of(hypotheses)).probability[-1]
        found = replace(found, unidentified=strange | (chance > SURE), missing=chance)
        without_reference = 0.0
    power = trust_in(
        found.most_probable,
        mapped,
        _typical_pixel(od, photons, references, noise),
        mixed_share=scan.share,
        unidentified_share=without_reference,
    )
    return replace(found, probability=tempered(found.probability, power))


def _assigned(
    hypotheses: Hypotheses, mapped: NDArray[np.bool_], recipe: Recipe, scan: Mixing
) -> Assignment:
    """Return probabilities by neighbors, or by frequencies, as the recipe says."""
    if recipe.resolver.spatial == "potts":
        return potts_mixed(hypotheses, mapped, scan=scan)
    return by_frequencies(hypotheses)


def _typical_pixel(
    od: NDArray[np.float32],
    photons: NDArray[np.float32],
    references: NDArray[np.float64],
    noise: SpectrumNoise,
) -> TypicalPixel | None:
    """Return a pixel of median photons and OD, from an even selection."""
    some = at_most(_TYPICAL_SPECTRA, od.shape[1])
    return typical_pixel(references, od[:, some], photons[:, some] / noise.gain, noise.baseline)
