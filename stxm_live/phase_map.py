"""From a stack to its maps: one pure function of the frames and the recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.bundle import Bundle, BundleError, references_fingerprint, training_advice
from stxm_live.correlation import BestTwo, ambiguous, best_two, pearson, reliability
from stxm_live.likelihood import fit_references, phase_frequencies, posterior
from stxm_live.phase_maps import PhaseMaps
from stxm_live.quality import Facts, assess
from stxm_live.recipe import Recipe
from stxm_live.registration import RegisteredStack, Registrar
from stxm_live.resolver import STRATEGIES, distance_by, resolve
from stxm_live.stack import Stack


class LatentModel(NamedTuple):
    """A bundle and a function that encodes spectra (n_spectra, n_energies) with it."""

    bundle: Bundle
    encode: Callable[[NDArray[np.float32]], NDArray[np.float32]]


def load_model(recipe: Recipe) -> LatentModel:
    """The recipe's model, warmed up.

    Raises
    ------
    BundleError
        If the recipe names none, if it is damaged or if it was made for other references.
    """
    if recipe.model is None:
        raise BundleError("the recipe names no model")
    bundle = Bundle.load(recipe.model)
    theirs = bundle.info.references_sha256
    if references_fingerprint(recipe.reference_spectra, bundle.info.energies_ev) != theirs:
        raise BundleError(f"bundle {bundle.folder}: trained for other references than the recipe's")
    encoder = bundle.encoder()
    encoder.warm_up()
    return LatentModel(bundle, encoder.encode)


@dataclass(frozen=True, eq=False)
class _Spectra:
    """The spectra that are mapped, one column each, and what correlation says of them."""

    od: NDArray[np.float32]
    references: NDArray[np.float64]
    correlation: NDArray[np.float32]
    best: BestTwo
    ambiguous: NDArray[np.bool_]


def map_phases(
    stack: Stack,
    recipe: Recipe,
    *,
    model: LatentModel | BundleError | None = None,
    registrar: Registrar | None = None,
    revision: int = 1,
) -> PhaseMaps:
    """Phase, reliability and ambiguity of every pixel of a stack.

    The steps are those of the paper's section 3: align, OD = ln(I0/I), Pearson coefficients,
    ambiguous pixels, resolution in latent space; and beside them the probability of every phase
    by counting statistics. The result depends on the frames and the recipe only, not on the
    order or the way in which the frames came.

    Parameters
    ----------
    stack : Stack
        Frames the recipe does not select, and unfinished ones, are left out. With an announced
        energy missing the result is ``incomplete`` and no map is resolved.
    recipe : Recipe
    model : LatentModel or BundleError, optional
        What `load_model` returned or raised; by default it is called here. Without a model that
        fits there is no latent map, and a warning says how to train one.
    registrar : Registrar, optional
        One that saw some of the frames before: it saves time and changes nothing.
    revision : int

    Returns
    -------
    PhaseMaps

    Raises
    ------
    ValueError
        If no map can be made: fewer than two energies, references that do not cover them, no
        I0, or a drift beyond the limit. The message says what to do.
    """
    registered = (registrar or Registrar(recipe)).register(stack)
    if len(registered.energies_ev) < 2:
        raise ValueError(
            f"{stack.key}: maps need at least two images at energies of the recipe, there is "
            f"one, at {registered.energies_ev[0]:g} eV"
        )
    mapped = registered.field.specimen & registered.valid
    spectra = _correlated(registered, mapped, recipe)
    products = _by_correlation(spectra, recipe)
    resolution = None
    if not registered.missing_ev:
        resolution = _resolve(spectra, registered, mapped, recipe, model)
        products |= resolution.products
    counts = _mean_counts(registered.intensity)
    facts = _facts(registered, counts, mapped, resolution, recipe)
    images: dict[str, Any] = {name: _placed(flat, mapped) for name, flat in products.items()}
    if "latent" in images:  # (ny, nx, 3): a point in space for each pixel
        images["latent"] = np.moveaxis(images["latent"], 0, -1)
    references = recipe.reference_spectra
    return PhaseMaps(
        key=stack.key,
        status="incomplete" if registered.missing_ev else "complete",
        revision=revision,
        phase_names=references.phase_names,
        energies_ev=registered.energies_ev,
        extent_um=stack.scan.extent_um,
        od=registered.od,
        counts=counts,
        specimen=registered.field.specimen,
        valid=registered.valid,
        reference_od=spectra.references,
        shifts_px=registered.shifts_px,
        i0=registered.i0,
        fractions=_fractions(images["phase_index"], references.n_phases),
        resolved_fractions=None
        if resolution is None
        else _fractions(images["resolved_index"], references.n_phases),
        **images,
        quality=assess(facts, recipe),
        synthetic_references=references.synthetic,
        colors=dict(recipe.colors),
        warnings=_warnings(registered, facts, resolution, recipe),
        provenance=_provenance(registered, resolution, recipe),
    )


def _correlated(registered: RegisteredStack, mapped: NDArray[np.bool_], recipe: Recipe) -> _Spectra:
    """The mapped pixels' spectra and their Pearson coefficients."""
    references = recipe.reference_spectra.at(registered.energies_ev)
    od = registered.od[:, mapped]
    correlation = pearson(od, references)
    best = best_two(correlation)
    return _Spectra(
        od=od,
        references=references,
        correlation=correlation,
        best=best,
        ambiguous=ambiguous(best, recipe.ambiguity_threshold),
    )


def _by_correlation(spectra: _Spectra, recipe: Recipe) -> dict[str, NDArray[Any]]:
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
class _Resolution:
    """What resolves the ambiguous pixels, and how."""

    products: dict[str, NDArray[Any]]
    dispersion: float
    method: str
    model_sha256: str | None
    notes: tuple[str, ...]


def _resolve(
    spectra: _Spectra,
    registered: RegisteredStack,
    mapped: NDArray[np.bool_],
    recipe: Recipe,
    model: LatentModel | BundleError | None,
) -> _Resolution:
    """Probabilities by counting statistics, the paper's latent map, and the recipe's choice."""
    probability, dispersion = _by_likelihood(spectra, registered.intensity[:, mapped], recipe)
    products = {"probability": probability}
    method, notes, sha256 = recipe.resolver.method, [], None
    try:
        fitting = _fitting_model(model, registered, recipe)
    except BundleError as problem:
        notes.append(f"no map from the encoder: {problem}; {training_advice(recipe)}")
        if method in STRATEGIES:
            notes.append(f"the map is resolved by likelihood instead of {method}")
            method = "likelihood"
    else:
        products |= _by_latent_space(spectra, fitting, recipe)
        sha256 = fitting.bundle.sha256
    if method == "likelihood":
        index = probability.argmax(axis=0).astype(np.int8)
    else:
        index = spectra.best.first_index if method == "pearson" else products["latent_index"]
    right = np.take_along_axis(probability, index[None].astype(np.intp), axis=0)[0]
    products |= {"resolved_index": index, "wrong_probability": np.float32(1) - right}
    return _Resolution(products, dispersion, method, sha256, tuple(notes))


def _by_likelihood(
    spectra: _Spectra, counts: NDArray[np.float32], recipe: Recipe
) -> tuple[NDArray[np.float32], float]:
    """Probability of each phase (n_phases, n_spectra), and the dispersion of the counts."""
    photons = counts * np.float32(recipe.detector.photons_per_count)
    fit = fit_references(spectra.od, photons, spectra.references, baseline=_has_baseline(recipe))
    return posterior(fit.log_likelihood, phase_frequencies(fit.log_likelihood)), fit.dispersion


def _has_baseline(recipe: Recipe) -> bool:
    """Whether the likelihood gives each spectrum a constant of its own."""
    if recipe.resolver.baseline == "auto":
        return recipe.i0.source == "spectrum"
    return recipe.resolver.baseline == "constant"


def _fitting_model(
    model: LatentModel | BundleError | None, registered: RegisteredStack, recipe: Recipe
) -> LatentModel:
    """The model, if it was made for these energies and phases; BundleError if not."""
    if isinstance(model, BundleError):
        raise model
    loaded = model or load_model(recipe)
    loaded.bundle.check_fits(
        registered.energies_ev, recipe.reference_spectra.phase_names, recipe.energy_tolerance_ev
    )
    return loaded


def _by_latent_space(
    spectra: _Spectra, model: LatentModel, recipe: Recipe
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


def _placed(values: NDArray[Any], mapped: NDArray[np.bool_]) -> NDArray[Any]:
    """Flat values (..., n_spectra) as images; NaN, -1 or False where nothing is mapped."""
    nothing = {"f": np.nan, "i": -1, "b": False}[values.dtype.kind]
    image = np.full((*values.shape[:-1], *mapped.shape), nothing, dtype=values.dtype)
    image[..., mapped] = values
    return image


def _fractions(index: NDArray[np.int8], n_phases: int) -> NDArray[np.float64]:
    """Share of each phase among the mapped pixels; NaN if there are none."""
    counts = np.bincount(index[index >= 0].astype(np.intp), minlength=n_phases)
    total = counts.sum()
    return counts / total if total else np.full(n_phases, np.nan)


def _mean_counts(intensity: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(intensity.mean(axis=0, dtype=np.float64), dtype=np.float32)


def _facts(
    registered: RegisteredStack,
    counts: NDArray[np.float32],
    mapped: NDArray[np.bool_],
    resolution: _Resolution | None,
    recipe: Recipe,
) -> Facts:
    n_specimen = int(registered.field.specimen.sum())
    n_mapped = int(mapped.sum())
    return Facts(
        missing_ev=registered.missing_ev,
        separation=recipe.reference_spectra.smallest_separation(registered.energies_ev),
        wrong_probability=None if resolution is None else resolution.products["wrong_probability"],
        median_counts=float(np.median(counts[mapped])) if n_mapped else 0.0,
        misfit=None if resolution is None else _misfit(registered, mapped, resolution, recipe),
        common_field=registered.common_field,
        invalid_share=1 - n_mapped / n_specimen if n_specimen else 0.0,
        n_specimen=n_specimen,
    )


def _misfit(
    registered: RegisteredStack,
    mapped: NDArray[np.bool_],
    resolution: _Resolution,
    recipe: Recipe,
) -> float | None:
    """Deviation from the best reference, over that between neighbouring pixels (variances).

    Both are in units of the expected counting noise, so that gain and fluctuations of the
    counter cancel.
    """
    rows = slice(None, None, 8)
    both = mapped[rows, 1:] & mapped[rows, :-1]
    if both.sum() < 100:
        return None
    od = registered.od[:, rows]
    counts = registered.intensity[:, rows] * recipe.detector.photons_per_count
    step = (od[:, :, 1:] - od[:, :, :-1])[:, both]
    variance = (1 / counts[:, :, 1:] + 1 / counts[:, :, :-1])[:, both]
    # 0.4549 is the median of chi-squared with one degree of freedom
    noise = float(np.median(step**2 / variance)) / 0.4549
    return resolution.dispersion / max(noise, 1e-9)


def _warnings(
    registered: RegisteredStack,
    facts: Facts,
    resolution: _Resolution | None,
    recipe: Recipe,
) -> tuple[str, ...]:
    notes = list(registered.notes)
    if registered.missing_ev:
        listed = ", ".join(f"{e:g}" for e in registered.missing_ev)
        notes.append(f"the scan lacks {listed} eV: phases are provisional, nothing is resolved")
    threshold = recipe.ambiguity_threshold
    if facts.separation < 2 * threshold:
        notes.append(
            f"the closest references differ by 1 - PCC = {facts.separation:.4f} on these "
            f"energies, less than twice the ambiguity threshold {threshold:g}: little noise "
            "makes their pixels ambiguous"
        )
    if resolution is not None:
        notes.extend(resolution.notes)
    if recipe.reference_spectra.synthetic:
        notes.append("the reference spectra are synthetic")
    return tuple(notes)


def _provenance(
    registered: RegisteredStack, resolution: _Resolution | None, recipe: Recipe
) -> dict[str, Any]:
    return {
        "package": "stxm_live",
        "version": version("stxm-live"),
        "recipe": recipe.name,
        "recipe_sha256": recipe.fingerprint(),
        "recipe_values": recipe.model_dump(mode="json"),
        "anchor_ev": registered.anchor_ev,
        "method": None if resolution is None else resolution.method,
        "model_sha256": None if resolution is None else resolution.model_sha256,
        "dispersion": None if resolution is None else resolution.dispersion,
    }
