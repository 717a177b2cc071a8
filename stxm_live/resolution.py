"""Which phase each mapped spectrum is: by correlation, by likelihood, in latent space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.bundle import BundleError, training_advice
from stxm_live.correlation import BestTwo, ambiguous, best_two, pearson, reliability
from stxm_live.latent import LatentModel, fitting_model
from stxm_live.likelihood import fit_references, phase_frequencies, posterior
from stxm_live.normalisation import RegisteredStack
from stxm_live.recipe import Recipe
from stxm_live.resolver import STRATEGIES, distance_by, resolve


@dataclass(frozen=True, eq=False)
class Spectra:
    """The spectra that are mapped, one column each, and what correlation says of them."""

    od: NDArray[np.float32]
    references: NDArray[np.float64]
    correlation: NDArray[np.float32]
    best: BestTwo
    ambiguous: NDArray[np.bool_]


def correlated(registered: RegisteredStack, mapped: NDArray[np.bool_], recipe: Recipe) -> Spectra:
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
        # 0 is off: nothing is unidentified, however badly it correlates
        "unidentified": best.first < (recipe.min_correlation or -np.inf),
    }


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
    registered: RegisteredStack,
    mapped: NDArray[np.bool_],
    recipe: Recipe,
    model: LatentModel | BundleError | None,
) -> Resolution:
    """Probabilities by counting statistics, the paper's latent map, and the recipe's choice."""
    probability, dispersion = _by_likelihood(spectra, registered.intensity[:, mapped], recipe)
    products = {"probability": probability}
    method, notes, sha256 = recipe.resolver.method, [], None
    try:
        fitting = fitting_model(model, registered.energies_ev, recipe)
    except BundleError as problem:
        notes.append(f"no map from the encoder: {problem}; {training_advice(recipe)}")
        if method in STRATEGIES:
            notes.append(f"the map is resolved by likelihood instead of {method}")
            method = "likelihood"
    else:
        products |= _by_latent_space(spectra, fitting, recipe)
        if (
            method == "knn"
            and recipe.resolver.statistics == "training"
            and fitting.bundle.members is None
        ):
            notes.append(
                "the model keeps no labelled points: the neighbours are the scan's own clear "
                "pixels; train it again to have those of the training set"
            )
        sha256 = fitting.bundle.sha256
    if method == "likelihood":
        index = probability.argmax(axis=0).astype(np.int8)
    else:
        index = spectra.best.first_index if method == "pearson" else products["latent_index"]
    right = np.take_along_axis(probability, index[None].astype(np.intp), axis=0)[0]
    products |= {"resolved_index": index, "wrong_probability": np.float32(1) - right}
    return Resolution(products, dispersion, method, sha256, tuple(notes))


def _by_likelihood(
    spectra: Spectra, counts: NDArray[np.float32], recipe: Recipe
) -> tuple[NDArray[np.float32], float]:
    """Probability of each phase (n_phases, n_spectra), and the dispersion of the counts."""
    photons = counts * np.float32(recipe.detector.photons_per_count)
    fit = fit_references(spectra.od, photons, spectra.references, baseline=has_baseline(recipe))
    return posterior(fit.log_likelihood, phase_frequencies(fit.log_likelihood)), fit.dispersion


def has_baseline(recipe: Recipe) -> bool:
    """Whether the likelihood gives each spectrum a constant of its own."""
    if recipe.resolver.baseline == "auto":
        return recipe.i0.source in ("spectrum", "monitor")
    return recipe.resolver.baseline == "constant"


def _by_latent_space(
    spectra: Spectra, model: LatentModel, recipe: Recipe
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
    index = resolve(
        latent,
        best.first_index,
        spectra.ambiguous,
        np.array([best.first_index, best.second_index]),
        distance_by(chosen[0] if chosen else "mahalanobis", landmarks),
        options.candidates,
    )
    return {"latent": latent.T, "latent_index": index}
