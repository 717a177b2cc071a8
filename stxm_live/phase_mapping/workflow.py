"""From a stack to its maps: one pure function of the frames and the recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.od_uncertainty import smoothing
from stxm_live.core.phase_maps import PhaseMaps, Status
from stxm_live.core.recipe import Recipe
from stxm_live.core.references import listed_ev
from stxm_live.core.stack import Stack
from stxm_live.core.threads import one_blas_thread
from stxm_live.phase_mapping.assignment import (
    Resolution,
    Spectra,
    by_correlation,
    correlated,
    counts_per_photon,
    resolve_spectra,
)
from stxm_live.phase_mapping.energy_calibration.corrected_map import Correction, correct
from stxm_live.phase_mapping.latent_space.bundle import BundleError
from stxm_live.phase_mapping.latent_space.model import LatentModel
from stxm_live.phase_mapping.quality import Facts, assess
from stxm_live.preprocessing.i0 import specimen_in_box
from stxm_live.preprocessing.noise import MIN_IMAGES
from stxm_live.preprocessing.normalization import ODStack, normalise
from stxm_live.preprocessing.workflow import Registrar


@one_blas_thread()
def map_phases(
    stack: Stack,
    recipe: Recipe,
    *,
    model: LatentModel | BundleError | None = None,
    registrar: Registrar | None = None,
    revision: int = 1,
    quick: bool = False,
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
        energy missing the result is ``incomplete`` and no map is resolved; one that the scan
        skipped because it was sure enough makes it ``stopped-early``.
    recipe : Recipe
    model : LatentModel or BundleError, optional
        What `load_model` returned or raised; by default it is called here. Without a model that
        fits there is no latent map, and a warning says how to train one.
    registrar : Registrar, optional
        One that saw some of the frames before: it saves time and changes nothing.
    revision : int
    quick : bool
        Leave out what takes longer, refined registration, the fit of the energy axis, and the
        latent map unless the recipe resolves by it: for maps that are shown until those with
        all of it are there.

    Returns
    -------
    PhaseMaps

    Raises
    ------
    ValueError
        If no map can be made: fewer than two energies, references that do not cover them, no
        I0, or a drift beyond the limit. The message says what to do.
    """
    registered = (registrar or Registrar(recipe)).register(stack, refine=not quick)
    source = _Source(registered, recipe, model, quick)
    return _mapped(registered, recipe, source, revision)


def takes_longer(recipe: Recipe) -> bool:
    """Whether ``quick`` makes a difference."""
    return recipe.energy_fit or (recipe.alignment.enabled and recipe.alignment.refine)


@dataclass(frozen=True, eq=False)
class _Source:
    """What maps can be made again from: the aligned images, and the recipe they were aligned by."""

    aligned: ODStack
    recipe: Recipe
    model: LatentModel | BundleError | None
    quick: bool

    def model_for(self, recipe: Recipe) -> LatentModel | BundleError | None:
        """The model at hand, if the recipe has the same."""
        return self.model if recipe.model == self.recipe.model else None

    def registered(self, recipe: Recipe) -> ODStack:
        """The same aligned images, normalised as another recipe says."""
        if any(getattr(recipe, table) != getattr(self.recipe, table) for table in _ALIGNING):
            raise ValueError(
                "redo keeps the images as they were aligned; for changes of [alignment] or "
                "[detector] use map_run(run, recipe)"
            )
        if _asks_for_more(recipe, self.recipe):
            raise ValueError(
                "redo has the aligned images only; for energies that the recipe left out before "
                "use map_run(run, recipe)"
            )
        return normalise(self.aligned.selected(recipe), recipe)


_ALIGNING = ("alignment", "detector")
"""Tables of a recipe that decide what is done to the raw images."""


def _asks_for_more(recipe: Recipe, than: Recipe) -> bool:
    """Whether a recipe may select an energy that another one leaves out."""
    if not set(than.exclude_energies_ev) <= set(recipe.exclude_energies_ev):
        return True
    return than.energies_ev is not None and not (
        recipe.energies_ev is not None and set(recipe.energies_ev) <= set(than.energies_ev)
    )


@one_blas_thread()
def _redone(
    changes: Mapping[str, Any], *, source: _Source, recipe: Recipe, revision: int
) -> PhaseMaps:
    """See `PhaseMaps.redo`."""
    changed = recipe.with_changes(changes)
    return _mapped(source.registered(changed), changed, source, revision + 1)


def _mapped(registered: ODStack, recipe: Recipe, source: _Source, revision: int) -> PhaseMaps:
    """Maps of a registered stack."""
    if len(registered.energies_ev) < 2:
        raise ValueError(
            f"{registered.key}: maps need at least two images at energies of the recipe, there "
            f"is one, at {registered.energies_ev[0]:g} eV"
        )
    return _Steps.of(registered, recipe, source).maps(
        revision, remake=partial(_redone, source=source, recipe=recipe, revision=revision)
    )


@dataclass(frozen=True, eq=False)
class _Steps:
    """Everything that was found of a registered stack; flat arrays belong to ``mapped``."""

    registered: ODStack
    recipe: Recipe
    mapped: NDArray[np.bool_]
    spectra: Spectra
    products: dict[str, NDArray[Any]]
    resolution: Resolution | None
    correction: Correction | None

    @classmethod
    def of(cls, registered: ODStack, recipe: Recipe, source: _Source) -> _Steps:
        """Correlate, resolve, and look for the energy axis."""
        mapped = registered.field.specimen & registered.valid
        spectra = correlated(registered, mapped, recipe)
        products = by_correlation(spectra, recipe)
        resolution = correction = None
        if not registered.missing_ev:
            model = source.model_for(recipe)
            with ThreadPoolExecutor(1) as beside:  # neither needs the other
                fit = recipe.energy_fit and not source.quick
                found = beside.submit(correct, spectra, registered, mapped, recipe) if fit else None
                resolution = resolve_spectra(
                    spectra, registered, mapped, recipe, model, quick=source.quick
                )
            correction = None if found is None else found.result()
        for more in (resolution, correction):
            products |= {} if more is None else more.products
        return cls(registered, recipe, mapped, spectra, products, resolution, correction)

    def maps(self, revision: int, remake: Callable[[Mapping[str, Any]], PhaseMaps]) -> PhaseMaps:
        """The result."""
        registered, references = self.registered, self.recipe.corrected_references
        facts = self.facts()
        return PhaseMaps(
            key=registered.key,
            status=_status(registered),
            revision=revision,
            phase_names=references.phase_names,
            energies_ev=registered.energies_ev,
            extent_um=registered.extent_um,
            dwell_ms=registered.dwell_ms,
            od=registered.od,
            counts=self.counts,
            specimen=registered.field.specimen,
            valid=registered.valid,
            reference_od=self.spectra.references,
            shifts_px=registered.shifts_px,
            shifts_before_px=registered.shifts_before_px,
            shift_quality=registered.shift_quality,
            i0=registered.i0,
            i0_std=registered.i0_std,
            dispersion=self.dispersion,
            **_images_and_fractions(self.products, self.mapped, references.n_phases),
            **_energy_axis(self.correction),
            quality=assess(facts, self.recipe),
            synthetic_references=references.synthetic,
            colors=dict(self.recipe.colors),
            warnings=self.warnings(facts),
            provenance=self.provenance(),
            remake=remake,
        )

    @cached_property
    def counts(self) -> NDArray[np.float32]:
        """Mean over the energies, shape (ny, nx)."""
        return np.asarray(
            self.registered.intensity.mean(axis=0, dtype=np.float64), dtype=np.float32
        )

    @property
    def dispersion(self) -> float | None:
        """Variance over mean of the counts: by the empty support, or by the spectra's misfit.

        None if neither tells: the best of all references goes through two values as they are.
        """
        known = self.registered.dispersion
        few = len(self.registered.energies_ev) < MIN_IMAGES
        if known is not None or self.resolution is None or few:
            return known
        smoothed = float(smoothing(self.registered.shifts_px).mean())
        return self.resolution.dispersion / self.recipe.detector.photons_per_count / smoothed

    @property
    def misfit(self) -> float | None:
        """Deviation from the best reference over that of counting noise (variances)."""
        gain = counts_per_photon(self.registered, self.recipe)
        if self.resolution is None or gain is None:
            return None
        return self.resolution.dispersion / gain

    @property
    def largest_od(self) -> float:
        """Median of the pixels' largest OD; NaN where I0 may have other units than the counts."""
        if self.recipe.i0.source in ("spectrum", "monitor") or not self.mapped.any():
            return float("nan")
        return float(np.median(self.spectra.od.max(axis=0)))

    def facts(self) -> Facts:
        """What the verdict rests on."""
        registered, products = self.registered, self.products
        n_specimen, n_mapped = int(registered.field.specimen.sum()), int(self.mapped.sum())
        separation = self.recipe.corrected_references.smallest_separation(registered.energies_ev)
        return Facts(
            missing_ev=registered.missing_ev,
            separation=separation,
            wrong_probability=products.get("wrong_probability"),
            median_counts=float(np.median(self.counts[self.mapped])) if n_mapped else 0.0,
            misfit=self.misfit,
            common_field=registered.common_field,
            invalid_share=1 - n_mapped / n_specimen if n_specimen else 0.0,
            n_specimen=n_specimen,
            energy_axis=None if self.correction is None else self.correction.axis,
            i0_relative_std=float((registered.i0_std / registered.i0).max()),
            dispersion=registered.dispersion,
            unidentified_share=float(products["unidentified"].mean()) if n_mapped else 0.0,
            largest_od=self.largest_od,
            specimen_in_box=specimen_in_box(registered.field, self.recipe, registered.extent_um),
        )

    def warnings(self, facts: Facts) -> tuple[str, ...]:
        """Everything that is to be said beside the verdict."""
        registered, notes = self.registered, list(self.registered.notes)
        if facts.missing_ev:
            listed = listed_ev(facts.missing_ev)
            notes.append(f"the scan lacks {listed} eV: phases are provisional, nothing is resolved")
        if registered.skipped_ev:
            notes.append(
                f"the scan ended early: {listed_ev(registered.skipped_ev)} eV were skipped, "
                f"{len(registered.energies_ev)} energies were measured"
            )
        threshold = self.recipe.ambiguity_threshold
        if facts.separation < 2 * threshold:
            notes.append(
                f"the closest references differ by 1 - PCC = {facts.separation:.4f} on these "
                f"energies, less than twice the ambiguity threshold {threshold:g}: little noise "
                "makes their pixels ambiguous"
            )
        if self.resolution is not None:
            notes.extend(self.resolution.notes)
        if self.correction is not None:
            notes.extend(self.correction.notes)
        if self.recipe.corrected_references.synthetic:
            notes.append("the reference spectra are synthetic")
        return tuple(notes)

    def provenance(self) -> dict[str, Any]:
        """By what and how the maps were made."""
        resolution = self.resolution
        return {
            "package": "stxm_live",
            "version": version("stxm-live"),
            "recipe": self.recipe.name,
            "recipe_sha256": self.recipe.fingerprint,
            "recipe_values": self.recipe.model_dump(mode="json"),
            "anchor_ev": self.registered.anchor_ev,
            "method": None if resolution is None else resolution.method,
            "model_sha256": None if resolution is None else resolution.model_sha256,
            "dispersion": None if resolution is None else resolution.dispersion,
        }


def _status(registered: ODStack) -> Status:
    if registered.missing_ev:
        return "incomplete"
    return "stopped-early" if registered.skipped_ev else "complete"


def _energy_axis(correction: Correction | None) -> dict[str, Any]:
    """What the scan says of its energy axis."""
    axis = correction.axis if correction is not None else None
    if correction is None or axis is None:
        return {}
    return {
        "energy_axis": axis,
        "energy_offset_ev": axis.offset_ev,
        "energy_offset_std_ev": axis.offset_std_ev,
        "energy_width_ev": axis.width_ev,
        "energy_width_std_ev": axis.width_std_ev,
        "corrected_reference_od": correction.reference_od,
    }


def _images_and_fractions(
    products: dict[str, NDArray[Any]], mapped: NDArray[np.bool_], n_phases: int
) -> dict[str, Any]:
    """Flat products (..., n_spectra) as images, and the phases' shares of the two maps."""
    images = {name: _placed(flat, mapped) for name, flat in products.items()}
    if "latent" in images:  # (ny, nx, 3): a point in space for each pixel
        images["latent"] = np.moveaxis(images["latent"], 0, -1)
    shares = {"phase_index": "fractions", "resolved_index": "resolved_fractions"}
    known = {share: images[name] for name, share in shares.items() if name in images}
    return images | {share: _fractions(index, n_phases) for share, index in known.items()}


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
