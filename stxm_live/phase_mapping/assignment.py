"""Which phase each mapped spectrum is: by correlation, by likelihood, in latent space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.od_uncertainty import smoothing
from stxm_live.core.recipe import Recipe
from stxm_live.phase_mapping.correlation import BestTwo, ambiguous, best_two, pearson, reliability
from stxm_live.phase_mapping.latent_space.assignment import (
    MARGIN,
    STRATEGIES,
    contradicted,
    distance_by,
    resolve,
)
from stxm_live.phase_mapping.latent_space.bundle import BundleError, training_advice
from stxm_live.phase_mapping.latent_space.model import LatentModel, fitting_model
from stxm_live.phase_mapping.likelihood import Fit, fit_references
from stxm_live.phase_mapping.mixtures import fit_mixtures, unidentified
from stxm_live.phase_mapping.phase_frequencies import by_frequencies
from stxm_live.phase_mapping.spatial_prior import potts_mixed
from stxm_live.preprocessing.normalization import ODStack

MIXED_FROM = 0.5
"""Probability of being a mixture from which a pixel is called mixed."""


@dataclass(frozen=True, eq=False)
class Spectra:
    """The spectra that are mapped, one column each, and what correlation says of them."""

    od: NDArray[np.float32]
    references: NDArray[np.float64]
    correlation: NDArray[np.float32]
    best: BestTwo
    ambiguous: NDArray[np.bool_]


def correlated(registered: ODStack, mapped: NDArray[np.bool_], recipe: Recipe) -> Spectra:
    """The mapped pixels' spectra and their Pearson coefficients."""
    references = recipe.corrected_references.at(registered.energies_ev)
    return compared(registered.od[:, mapped], references, recipe)


def compared(od: NDArray[np.float32], references: NDArray[np.float64], recipe: Recipe) -> Spectra:
    """Spectra (n_energies, n_spectra) and their Pearson coefficients with some references."""
    correlation = pearson(od, references)
    best = best_two(correlation)
    return Spectra(
        od=od,
        references=references,
        correlation=correlation,
        best=best,
        ambiguous=ambiguous(best, recipe.ambiguity_threshold),
    )


def by_correlation(spectra: Spectra, recipe: Recipe) -> dict[str, NDArray[Any]]:
    """The paper's first step; products as flat arrays (..., n_spectra)."""
    best = spectra.best
    return {
        "correlation": spectra.correlation,
        "phase_index": best.first_index,
        "reliability": reliability(best),
        "ambiguous": spectra.ambiguous,
        "ambiguous_pair": np.array([best.first_index, best.second_index]),
        "unidentified": badly_correlated(spectra, recipe),
    }


def badly_correlated(spectra: Spectra, recipe: Recipe) -> NDArray[np.bool_]:
    """Below the recipe's ``min_correlation``; 0 is off, however badly a spectrum correlates."""
    return np.asarray(spectra.best.first < (recipe.min_correlation or -np.inf))


@dataclass(frozen=True, eq=False)
class Resolution:
    """What resolves the ambiguous pixels, and how."""

    products: dict[str, NDArray[Any]]
    dispersion: float
    method: str
    model_sha256: str | None
    notes: tuple[str, ...]


def resolve_spectra(
    spectra: Spectra,
    registered: ODStack,
    mapped: NDArray[np.bool_],
    recipe: Recipe,
    model: LatentModel | BundleError | None,
    *,
    quick: bool = False,
) -> Resolution:
    """Probabilities by counting statistics, the paper's latent map, and the recipe's choice.

    ``quick``: without the latent map, if the recipe's choice is none that needs it.
    """
    photons = registered.intensity[:, mapped] * np.float32(recipe.detector.photons_per_count)
    baseline = has_baseline(recipe)
    fit = fit_references(
        spectra.od,
        photons,
        spectra.references,
        baseline=baseline,
        gain=counts_per_photon(registered, recipe),
    )
    method: str = recipe.resolver.method
    notes: list[str] = []
    products: dict[str, NDArray[Any]] = {}
    fitting = None
    if not quick or _in_latent_space(recipe):
        fitting = _model_for(model, registered, recipe, notes)
    if fitting is not None:
        products |= _by_latent_space(spectra, fitting, recipe, notes)
    beliefs = believe(
        spectra.od,
        photons,
        spectra.references,
        mapped,
        recipe,
        fit=fit,
        baseline=baseline,
    )
    products |= beliefs.products
    if method == "pearson":
        index = spectra.best.first_index
    elif method in STRATEGIES and fitting is not None:
        index = products["latent_index"]
    else:
        method, index = "likelihood", beliefs.probability.argmax(axis=0).astype(np.int8)
    right = np.take_along_axis(beliefs.probability, index[None].astype(np.intp), axis=0)[0]
    products |= {"resolved_index": index, "wrong_probability": np.float32(1) - right}
    products["unidentified"] = beliefs.unidentified | badly_correlated(spectra, recipe)
    sha256 = None if fitting is None else fitting.bundle.sha256
    return Resolution(products, fit.dispersion, method, sha256, tuple(notes))


@dataclass(frozen=True, eq=False)
class Beliefs:
    """What is believed of every spectrum.

    Parameters
    ----------
    probability : ndarray of shape (n_phases, n_spectra), float32
        That a phase is the commonest of its pixel.
    mixed : ndarray of shape (n_spectra,), float32
        Probability that the pixel holds two phases.
    unidentified : ndarray of bool, shape (n_spectra,)
        No phase and no mixture of two agrees with the spectrum.
    """

    probability: NDArray[np.float32]
    mixed: NDArray[np.float32]
    unidentified: NDArray[np.bool_]

    @property
    def products(self) -> dict[str, NDArray[Any]]:
        """As flat products of `PhaseMaps`."""
        return {
            "probability": self.probability,
            "entropy": entropy(self.probability),
            "mixed": self.mixed > MIXED_FROM,
        }


def entropy(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of the phase probabilities (n_phases, n_spectra): 0 if one is certain, 1 if none is known.

    Examples
    --------
    >>> entropy(np.array([[1.0, 0.5], [0.0, 0.5]], dtype=np.float32))
    array([0., 1.], dtype=float32)
    """
    log = np.log(np.maximum(probability, np.float32(1e-30)))
    total = -(probability * log).sum(axis=0, dtype=np.float64) / np.log(len(probability))
    return np.asarray(np.maximum(total, 0), dtype=np.float32)


def believe(
    od: NDArray[np.float32],
    photons: NDArray[np.float32],
    references: NDArray[np.float64],
    mapped: NDArray[np.bool_],
    recipe: Recipe,
    *,
    fit: Fit,
    baseline: bool,
) -> Beliefs:
    """Probabilities as the recipe's resolver asks for them.

    Parameters
    ----------
    od, photons : ndarray of shape (n_energies, n_spectra)
    references : ndarray of shape (n_phases, n_energies)
    mapped : ndarray of bool, shape (ny, nx)
        Where the spectra are from.
    recipe : Recipe
        Its ``resolver.spatial`` says whether neighbours count.
    fit : Fit
        Of `fit_references`, for the dispersion of the counts.
    baseline : bool
        Whether each spectrum has a free constant.
    """
    fitted = fit_mixtures(od, photons, references, dispersion=fit.dispersion, baseline=baseline)
    if recipe.resolver.spatial == "potts":
        assigned = potts_mixed(fitted.hypotheses, mapped)
    else:
        assigned = by_frequencies(fitted.hypotheses)
    return Beliefs(assigned.probability, assigned.mixed, unidentified(fitted))


def _in_latent_space(recipe: Recipe) -> bool:
    """Whether the recipe's choice needs the encoder."""
    return recipe.resolver.method in STRATEGIES


def _model_for(
    model: LatentModel | BundleError | None,
    registered: ODStack,
    recipe: Recipe,
    notes: list[str],
) -> LatentModel | None:
    """The model that fits; None, with a note that says what follows, if there is none."""
    try:
        return fitting_model(model, registered.energies_ev, recipe)
    except BundleError as problem:
        notes.append(f"no map from the encoder: {problem}; {training_advice(recipe)}")
    if _in_latent_space(recipe):
        notes.append(f"the map is resolved by likelihood instead of {recipe.resolver.method}")
    return None


def counts_per_photon(registered: ODStack, recipe: Recipe) -> float | None:
    """Variance over mean of the aligned counts, in photons, as the empty support shows it."""
    if registered.dispersion is None:
        return None
    smoothed = float(smoothing(registered.shifts_px).mean())
    return registered.dispersion * recipe.detector.photons_per_count * smoothed


def has_baseline(recipe: Recipe) -> bool:
    """Whether the likelihood gives each spectrum a constant of its own."""
    if recipe.resolver.baseline == "auto":
        return recipe.i0.source in ("spectrum", "monitor")
    return recipe.resolver.baseline == "constant"


def _by_latent_space(
    spectra: Spectra, model: LatentModel, recipe: Recipe, notes: list[str]
) -> dict[str, NDArray[Any]]:
    """The paper's second step: ambiguous pixels by their place in latent space.

    By the recipe's strategy, or the paper's own where the recipe chooses none.
    """
    latent = model.encode(np.ascontiguousarray(spectra.od.T))
    best, options = spectra.best, recipe.resolver
    chosen = [strategy for strategy in STRATEGIES if strategy == options.method]
    landmarks = model.bundle.landmarks.beside(
        latent, best.first_index, ~spectra.ambiguous, of_scan=options.statistics == "scan"
    )
    other = contradicted(
        latent,
        best.first_index,
        ~spectra.ambiguous,
        distance_by("mahalanobis", landmarks),
        MARGIN,
    )
    unclear = spectra.ambiguous
    if options.audit == "resolve":
        unclear = unclear | (other >= 0)
    index = resolve(
        latent,
        best.first_index,
        unclear,
        np.array([best.first_index, best.second_index]),
        distance_by(chosen[0] if chosen else "mahalanobis", landmarks),
        options.candidates,
    )
    if (
        options.method == "knn"
        and options.statistics == "training"
        and model.bundle.members is None
    ):
        notes.append(
            "the model keeps no labelled points: the neighbours are the scan's own clear "
            "pixels; train it again to have those of the training set"
        )
    return {"latent": latent.T, "latent_index": index, "contradicted": other >= 0}
