"""The phase of each mapped spectrum: by correlation, by likelihood, in latent space."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.even_selection import at_least
from stxm_live.core.file_arrays import empty_like, in_bands
from stxm_live.core.mixed_reference import MixedReference
from stxm_live.core.recipe import Recipe
from stxm_live.core.twins import representatives, twins_of
from stxm_live.phase_mapping.correlation import Correlated, least_separation
from stxm_live.phase_mapping.counted_spectra import CountedSpectra
from stxm_live.phase_mapping.latent_space.assignment import STRATEGIES
from stxm_live.phase_mapping.latent_space.latent_map import LatentMap, latent_map
from stxm_live.phase_mapping.latent_space.model import LatentModel
from stxm_live.phase_mapping.layers import LayeredPhase, layered_phases, shared_with_layers
from stxm_live.phase_mapping.likelihood import dispersion_of, fit_references, n_measured
from stxm_live.phase_mapping.mixed_references import expected_baseline, of_mapped
from stxm_live.phase_mapping.probabilities import Probabilities, phase_probabilities
from stxm_live.phase_mapping.residuals import Residual, residual_of
from stxm_live.phase_mapping.scan_errors.errors import SharedErrors
from stxm_live.phase_mapping.scan_errors.search import shared_errors
from stxm_live.phase_mapping.scan_noise import (
    NoisySpectra,
    counts_per_photon,
    noise_for_residuals,
    noise_of,
    noisy_spectra,
)
from stxm_live.phase_mapping.spectrum_noise import SpectrumNoise
from stxm_live.phase_mapping.unidentified import Strangeness
from stxm_live.preprocessing.normalization import ODStack

MIXED_FROM = 0.5
"""Probability of being a mixture from which a pixel is called mixed."""

_SCATTER_SPECTRA = 8_000
"""An even selection, from which it is seen how far spectra scatter about the references."""

_TYPICAL_SPECTRA = 10_000
"""An even selection, from which photons and OD of a typical pixel are found."""

_LEAST_KNOWN = 0.1
"""Share of the spectra that some reference describes, below which nothing is left out."""


def entropy(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the entropy of probabilities (n_phases, n_spectra): 0 certain, 1 nothing known.

    Examples
    --------
    >>> entropy(np.array([[1.0, 0.5], [0.0, 0.5]], dtype=np.float32))
    array([0., 1.], dtype=float32)
    """
    log = np.log(np.maximum(probability, np.float32(1e-30)))
    total = -(probability * log).sum(axis=0, dtype=np.float64) / np.log(len(probability))
    return np.asarray(np.maximum(total, 0), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Resolution:
    """The final label of every spectrum, and how it was found.

    Parameters
    ----------
    index : ndarray of shape (n_spectra,), int8
    wrong_probability : ndarray of shape (n_spectra,), float32
        That the label is wrong.
    probability : ndarray of shape (n_phases, n_spectra), float32
    entropy : ndarray of shape (n_spectra,), float32
        Of the probabilities.
    mixed, unidentified : ndarray of bool, shape (n_spectra,)
        Two phases in one pixel; no reference fits.
    dispersion : float
        Variance over mean of the photons, as the spectra scatter about the references.
    method : str
        What the labels are made by: the recipe's method, or what took its place.
    residual : Residual or None
        What the references leave of the spectra; None where nothing shows the noise: there is no
        empty support, and the spectra do not scatter as photons do.
    noise : SpectrumNoise or None
        Noise and baseline that the labels allow for in each spectrum besides its phase; None if
        the step does not say.
    stray_light : float
        Light beside the specimen, over that which it can absorb, that the labels allow for.
    judged : bool
        Whether something shows the noise that residuals are judged by.
    mixed_references : tuple of MixedReference
        Mapped phases that mixtures of others look like at the photons and OD of the scan.
    layered : tuple of LayeredPhase
        Those of them whose areas change gradually, as layers do.
    shared_errors : SharedErrors or None
        Errors of scan and references that probabilities allow for; None where there are none.
    latent : LatentMap or None
        None without a model that fits.
    model_sha256 : str or None
        Fingerprint of the model that was used.
    notes : tuple of str
    """

    index: NDArray[np.int8]
    wrong_probability: NDArray[np.float32]
    probability: NDArray[np.float32]
    entropy: NDArray[np.float32]
    mixed: NDArray[np.bool_]
    unidentified: NDArray[np.bool_]
    dispersion: float
    method: str
    residual: Residual | None = None
    noise: SpectrumNoise | None = None
    stray_light: float = 0.0
    judged: bool = True
    mixed_references: tuple[MixedReference, ...] = ()
    layered: tuple[LayeredPhase, ...] = ()
    shared_errors: SharedErrors | None = None
    latent: LatentMap | None = None
    model_sha256: str | None = None
    notes: tuple[str, ...] = ()


def resolve_spectra(
    spectra: Correlated, stack: ODStack, recipe: Recipe, model: LatentModel | None = None
) -> Resolution:
    """Find probabilities by counting statistics, the paper's latent map, and the final labels.

    Parameters
    ----------
    spectra : Correlated
        Of the mapped pixels of ``stack``.
    stack : ODStack
    recipe : Recipe
        Its ``resolver.method`` chooses the labels; without a model the likelihood takes the
        place of methods in latent space.
    model : LatentModel, optional
        One that was trained for these energies.
    """
    seen = _look(noisy_spectra(spectra, stack, recipe), stack, recipe)
    latent = None
    if model is not None:
        # the encoder knows whole spectra only; of the others it makes NaN
        whole = in_bands(partial(_whole, seen.noisy.photons, spectra.od), empty_like(spectra.od))
        latent = latent_map(whole, spectra.best, spectra.ambiguous, model, recipe.resolver)
    method, index = _labels(spectra, latent, seen.found, recipe)
    errors = _shared_errors(seen, stack, recipe)
    if errors is not None:
        if errors.moves_labels:
            of_images = _without(errors.of_images(), seen, stack, recipe)
            method, index = _labels(spectra, latent, of_images.found, recipe)
        seen = _without(errors, seen, stack, recipe)
    return _resolution(seen, stack, recipe, method, index, latent, errors, model)


def _whole(
    photons: NDArray[np.float32], od: NDArray[np.float32], part: slice
) -> NDArray[np.float32]:
    """Return some spectra with NaN where they were not measured."""
    return np.where(photons[:, part] > 0, od[:, part], np.float32(np.nan))


class _Look(NamedTuple):
    """Spectra with their noise, and the scatter and probabilities that follow from both."""

    noisy: NoisySpectra
    dispersion: float
    found: Probabilities


def _look(noisy: NoisySpectra, stack: ODStack, recipe: Recipe) -> _Look:
    """Find scatter and probabilities."""
    dispersion = _scatter(noisy.counted)
    references, names = recipe.corrected_references, recipe.corrected_references.phase_names
    separation = least_separation(recipe, complete=not stack.missing_ev)
    alike = references.inseparable_pairs(stack.energies_ev, separation)
    shown = representatives(names, twins_of(names, alike))
    found = phase_probabilities(
        noisy.counted, stack.mapped, recipe, dispersion=dispersion, shown=shown
    )
    return _Look(noisy, dispersion, found)


def _shared_errors(seen: _Look, stack: ODStack, recipe: Recipe) -> SharedErrors | None:
    """Return the errors that explain why spectra agree with no reference, if any do."""
    if noise_for_residuals(seen.noisy.noise, stack) is None:
        return None
    strange, references = seen.found.unidentified, recipe.corrected_references
    return shared_errors(seen.noisy.counted, strange, references, list(stack.energies_ev))


def _without(errors: SharedErrors, seen: _Look, stack: ODStack, recipe: Recipe) -> _Look:
    """Look again without these errors."""
    references, energies = recipe.corrected_references, list(stack.energies_ev)
    spectra = errors.taken_out_of(seen.noisy.spectra, references, energies)
    noise = noise_of(spectra, seen.noisy.photons, stack, recipe)
    return _look(seen.noisy._replace(spectra=spectra, noise=noise), stack, recipe)


def _resolution(
    seen: _Look,
    stack: ODStack,
    recipe: Recipe,
    method: str,
    index: NDArray[np.int8],
    latent: LatentMap | None,
    errors: SharedErrors | None,
    model: LatentModel | None,
) -> Resolution:
    """Return labels with what is probable of them, and what the references leave."""
    (spectra, _, noise, stray_light), found = seen.noisy, seen.found
    mixed = _mixed_references(spectra, stack, recipe, index, noise)
    layered = layered_phases(
        seen.noisy.counted,
        np.where(found.unidentified, np.int8(-1), index),
        mapped=stack.mapped,
        mixed=mixed,
        phase_names=recipe.corrected_references.phase_names,
    )
    sure = [one for one in layered if one.is_significant]
    if sure:  # they are why mixtures are common, and the other labels are as sure as elsewhere
        found = found.trusted(~np.isin(index, [one.phase for one in sure]))
    residual = _residual(seen, index, stack)
    if residual is not None:
        found = replace(found, probability=residual.reckoned_with(found.probability))
    found = replace(found, probability=shared_with_layers(found.probability, index, sure))
    return Resolution(
        index=index,
        wrong_probability=found.of_others(index),
        probability=found.probability,
        entropy=entropy(found.probability),
        mixed=found.mixed > MIXED_FROM,
        unidentified=found.unidentified | spectra.uncorrelated,
        dispersion=seen.dispersion,
        method=method,
        residual=residual,
        noise=noise,
        stray_light=stray_light,
        judged=noise_for_residuals(noise, stack) is not None,
        mixed_references=mixed,
        layered=layered,
        shared_errors=errors,
        latent=latent,
        model_sha256=None if model is None else model.bundle.sha256,
        notes=() if latent is None else latent.notes,
    )


def _labels(
    spectra: Correlated, latent: LatentMap | None, found: Probabilities, recipe: Recipe
) -> tuple[str, NDArray[np.int8]]:
    """By what the labels are made, and the labels."""
    method = recipe.resolver.method
    if method == "pearson":
        return method, spectra.best.first_index
    if method in STRATEGIES and latent is not None:
        encoded = np.isfinite(latent.latent).all(axis=1)
        return method, np.where(encoded, latent.index, found.most_probable)
    return "likelihood", found.most_probable


def _residual(seen: _Look, index: NDArray[np.int8], stack: ODStack) -> Residual | None:
    """Return what the references leave of the spectra, None where nothing shows the noise."""
    noise = noise_for_residuals(seen.noisy.noise, stack)
    if noise is None:
        return None
    return residual_of(
        seen.noisy.counted._replace(noise=noise),
        index,
        known=~seen.found.unidentified,
        i0_relative_std=np.nan_to_num(stack.i0_std / stack.i0),
    )


def _mixed_references(
    spectra: Correlated,
    stack: ODStack,
    recipe: Recipe,
    index: NDArray[np.int8],
    noise: SpectrumNoise,
) -> tuple[MixedReference, ...]:
    """Return the phases of these labels that others mix to, at the scan's photons and OD."""
    references, gain = recipe.corrected_references, counts_per_photon(stack, recipe)
    if gain is None:
        gain = 1.0 if stack.quantity == "counts" else noise.gain
    some = at_least(_TYPICAL_SPECTRA, spectra.od.shape[1])
    rows, columns = (place[some] for place in np.nonzero(stack.mapped))
    counts = np.nan_to_num(stack.intensity[:, rows, columns])
    return of_mapped(
        references.phase_names,
        spectra.references,
        spectra.od[:, some],
        counts * (recipe.detector.photons_per_count / gain),
        expected_baseline(stack.energies_ev, recipe.resolver.baseline),
        np.bincount(index, minlength=references.n_phases) / max(1, len(index)),
    )


def needs_model(recipe: Recipe) -> bool:
    """Return True if the recipe's labels are made in latent space."""
    return recipe.resolver.method in STRATEGIES


def _scatter(spectra: CountedSpectra) -> float:
    """Variance over mean of the photons, as spectra scatter about the references.

    Those that no reference describes are left out, unless that is nearly all of them.
    """
    od, photons, references, noise = spectra.at(at_least(_SCATTER_SPECTRA, spectra.n_spectra))
    fit = fit_references(
        od,
        photons,
        references,
        baseline=noise.baseline,
        gain=noise.gain,
        more_variance=noise.of_references,
    )
    misfit = fit.chi2.min(axis=0) / noise.gain
    degrees = n_measured(photons) - 1 - noise.baseline.n_free
    kinds = Strangeness.of(misfit, degrees)
    known = kinds.log_odds(misfit) < np.log((1 - kinds.share) / kinds.share)
    if known.all() or known.mean() < _LEAST_KNOWN:
        return fit.dispersion
    counted = degrees[known] if isinstance(degrees, np.ndarray) else degrees
    return noise.gain * dispersion_of(misfit[known], counted)
