"""The probability of each phase for every spectrum, by counting statistics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.even_selection import at_most
from stxm_live.core.recipe import Recipe
from stxm_live.phase_mapping.counted_spectra import CountedSpectra
from stxm_live.phase_mapping.likelihood import n_measured
from stxm_live.phase_mapping.missing_reference import (
    SURE,
    as_common_as_found,
    missing_reference,
)
from stxm_live.phase_mapping.mixed_references import TypicalPixel, typical_pixel
from stxm_live.phase_mapping.mixtures import (
    Assignment,
    Hypotheses,
    Misfit,
    MixtureFit,
    fit_mixtures,
)
from stxm_live.phase_mapping.phase_frequencies import (
    MIXING_SPECTRA,
    Mixing,
    by_frequencies,
    mixing_of,
)
from stxm_live.phase_mapping.scan_noise import LIKE_PHOTONS
from stxm_live.phase_mapping.spatial_prior import (
    STRENGTH_SPECTRA,
    potts_in_bands,
    strength_for,
)
from stxm_live.phase_mapping.tempering import tempered, trust_in
from stxm_live.phase_mapping.texture import texture_of
from stxm_live.phase_mapping.unidentified import misfit_allowed, unidentified

_TYPICAL_SPECTRA = 10_000
"""An even selection, from which photons and OD of a typical pixel are found."""

_AT_ONCE = 60_000
"""Spectra whose likelihoods are made at once; of more, some rows after the others."""


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
    power : float
        Power that the probabilities were raised to.
    """

    probability: NDArray[np.float32]
    mixed: NDArray[np.float32]
    unidentified: NDArray[np.bool_]
    mixed_share: float
    missing: NDArray[np.float32] | None = None
    power: float = 1.0

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

    def trusted(self, where: NDArray[np.bool_]) -> Probabilities:
        """Return these with the probabilities of some spectra as before they were tempered."""
        probability = self.probability.copy()
        probability[:, where] = tempered(probability[:, where], 1 / self.power)
        return replace(self, probability=probability)


def phase_probabilities(
    spectra: CountedSpectra,
    mapped: NDArray[np.bool_],
    recipe: Recipe,
    *,
    dispersion: float,
    shown: NDArray[np.int8] | None = None,
) -> Probabilities:
    """Probabilities by counting statistics, as the recipe's resolver asks for them.

    Parameters
    ----------
    spectra : CountedSpectra
    mapped : ndarray of bool, shape (ny, nx)
        Where the spectra are from.
    recipe : Recipe
        Its ``resolver.spatial`` says whether neighbors count.
    dispersion : float
        How far spectra scatter about the references, as `fit_references` finds it.
    shown : ndarray of shape (n_phases,), optional
        Number of the label of each phase; those that correlation cannot distinguish have one.
    """

    def assigned(references: NDArray[np.float64]) -> _Assigned:
        fit = partial(_fit, spectra._replace(references=references), dispersion)
        return _assigned(fit, spectra.n_spectra, mapped, recipe)

    od, photons, references, noise = spectra
    by_references = assigned(references)
    mixed_share = by_references.scan.share
    strange = _strange(by_references.misfit, spectra, mapped)
    found = Probabilities(*by_references.assignment, strange, mixed_share)
    # where the counter may be as noisy as that, a misfit does not show that a reference is missing
    is_shown = noise.from_support or noise.gain < LIKE_PHOTONS
    without_reference = float(strange.mean()) if strange.size and is_shown else 0.0
    missing = None
    if is_shown:
        missing = missing_reference(od, photons, references, strange, noise.baseline)
    if missing is not None:
        chance = assigned(np.vstack([references, missing])).assignment.probability[-1]
        strange = strange | (chance > SURE)
        chance = as_common_as_found(chance, strange, len(references))
        found = replace(found, unidentified=strange, missing=chance)
        without_reference = 0.0
    power = trust_in(
        found.most_probable,
        mapped,
        _typical_pixel(spectra),
        mixed_share=mixed_share,
        unidentified_share=without_reference,
        shown=shown,
        heard=by_references.heard,
    )
    return replace(found, probability=tempered(found.probability, power), power=power)


def _fit(spectra: CountedSpectra, dispersion: float, some: slice | NDArray[np.intp]) -> MixtureFit:
    od, photons, references, noise = spectra.at(some)
    return fit_mixtures(
        od,
        photons,
        references,
        dispersion=dispersion,
        gain=noise.gain,
        baseline=noise.baseline,
        more_variance=noise.of_references,
    )


def _strange(
    misfit: NDArray[np.float32], spectra: CountedSpectra, mapped: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return the spectra that agree with no phase and no mixture of two, (n_spectra,)."""
    od, photons, _, noise = spectra
    in_photons = 1.0 if noise.from_support else noise.gain
    return unidentified(
        Misfit(misfit, n_measured(photons) - 1 - noise.baseline.n_free),
        mapped,
        gain=in_photons,
        allowance=misfit_allowed(od, photons, noise.gain / in_photons),
    )


class _Assigned(NamedTuple):
    """Probabilities, the misfit of each spectrum, and how many of the scan's are mixtures.

    ``heard`` is the share of their usual strength that neighbors have.
    """

    assignment: Assignment
    misfit: NDArray[np.float32]
    scan: Mixing
    heard: float


def _assigned(
    fit: Callable[[slice | NDArray[np.intp]], MixtureFit],
    n_spectra: int,
    mapped: NDArray[np.bool_],
    recipe: Recipe,
) -> _Assigned:
    """Return probabilities by neighbors, or by frequencies, as the recipe says.

    Likelihoods of all pairs are twice as large as the spectra: of many, those of some rows are
    made at a time.
    """
    misfit = np.empty(n_spectra, dtype=np.float32)

    def fitted(some: slice | NDArray[np.intp]) -> Hypotheses:
        of_some = fit(some)
        misfit[some] = of_some.misfit
        return of_some.hypotheses

    by_neighbors = recipe.resolver.spatial == "potts"
    in_parts = by_neighbors and n_spectra > _AT_ONCE
    hypotheses_of = fitted if in_parts else fitted(slice(None)).at
    scan = mixing_of(hypotheses_of(at_most(MIXING_SPECTRA, n_spectra)))
    if not by_neighbors:
        return _Assigned(by_frequencies(hypotheses_of(slice(None))), misfit, scan, 1.0)
    usual = strength_for(hypotheses_of(at_most(STRENGTH_SPECTRA, n_spectra)).of_pure)
    texture = texture_of(hypotheses_of, mapped, scan=scan, usual=usual)

    def with_prior(some: slice) -> Hypotheses:
        return hypotheses_of(some).with_prior(texture.log_prior)

    found = potts_in_bands(with_prior, mapped, scan=scan, strength=texture.heard * usual)
    return _Assigned(found, misfit, scan, texture.heard)


def _typical_pixel(spectra: CountedSpectra) -> TypicalPixel | None:
    """Return a pixel of median photons and OD, from an even selection."""
    some = at_most(_TYPICAL_SPECTRA, spectra.n_spectra)
    od, photons, references, noise = spectra.at(some)
    return typical_pixel(references, od, photons / noise.gain, noise.baseline)
