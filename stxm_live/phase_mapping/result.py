"""`PhaseMaps` from what the steps found: images, shares, warnings, provenance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.amounts import Amounts
from stxm_live.core.energy_axis import EnergyAxis
from stxm_live.core.mixed_reference import MixedReference
from stxm_live.core.od_uncertainty import smoothing
from stxm_live.core.phase_maps import PhaseMaps, Quality, Status
from stxm_live.core.recipe import Recipe
from stxm_live.core.specimen_change import SpecimenChange
from stxm_live.core.twins import Twins
from stxm_live.phase_mapping.amounts import amounts_of
from stxm_live.phase_mapping.assignment import Resolution
from stxm_live.phase_mapping.composition.of_scan import ScanComposition
from stxm_live.phase_mapping.correlation import Correlated
from stxm_live.phase_mapping.energy_calibration.corrected_map import WIDTH_WARNING_EV, CorrectedMap
from stxm_live.phase_mapping.facts import Facts
from stxm_live.phase_mapping.images import images_of
from stxm_live.phase_mapping.mixed_columns import share_of_mixed
from stxm_live.phase_mapping.result_notes import notes_on
from stxm_live.phase_mapping.scan_noise import counts_per_photon, photon_gain
from stxm_live.phase_mapping.steps import Steps
from stxm_live.preprocessing.i0 import specimen_in_box
from stxm_live.preprocessing.noise import MIN_IMAGES
from stxm_live.preprocessing.normalization import ODStack


@dataclass(frozen=True, eq=False)
class Found:
    """The results of the steps for one stack.

    Parameters
    ----------
    stack : ODStack
    recipe : Recipe
    spectra : Correlated
    resolution : Resolution or None
        None if nothing was resolved.
    corrected : CorrectedMap or None
        None where the energy axis was not looked for.
    model_note : str
        Why there is no latent map; empty if there is, or if none was asked for.
    change : SpecimenChange or None
        Change of the specimen during the scan; None if no energy was measured twice.
    composition : ScanComposition or None
        Composition along the series of the references; None where it was not looked for.
    twins : tuple of tuple of str
        Phases that the map does not distinguish: equal ones, or any that lack energies.
    as_measured : bool
        True if ``spectra`` are those of the stack, with gaps filled, and can be made again.
    """

    stack: ODStack
    recipe: Recipe
    spectra: Correlated
    resolution: Resolution | None
    corrected: CorrectedMap | None
    model_note: str = ""
    change: SpecimenChange | None = None
    composition: ScanComposition | None = None
    twins: Twins = ()
    as_measured: bool = False

    @cached_property
    def counts(self) -> NDArray[np.float32]:
        """Mean over the energies of each pixel, shape (ny, nx)."""
        mean = self.stack.intensity.mean(axis=0, dtype=np.float64)
        gaps = self.stack.valid & np.isnan(mean)
        if gaps.any():
            mean[gaps] = np.nanmean(self.stack.intensity[:, gaps], axis=0, dtype=np.float64)
        return np.asarray(mean, dtype=np.float32)

    @property
    def unidentified(self) -> NDArray[np.bool_]:
        """No reference fits, shape (n_spectra,)."""
        return (
            self.spectra.uncorrelated if self.resolution is None else self.resolution.unidentified
        )

    @property
    def dispersion(self) -> float | None:
        """Variance over mean of the counts: by the empty support, or by the spectra's misfit.

        None if neither says: the best of all references goes through two values as they are.
        """
        known = self.stack.dispersion
        few = len(self.stack.energies_ev) < MIN_IMAGES
        if known is not None or self.resolution is None or few:
            return known
        smoothed = float(smoothing(self.stack.shifts_px).mean())
        return self.resolution.dispersion / self.recipe.detector.photons_per_count / smoothed

    @property
    def misfit(self) -> float | None:
        """Deviation from the best reference over that of counting noise (variances)."""
        gain = counts_per_photon(self.stack, self.recipe)
        if self.resolution is None or gain is None:
            return None
        return self.resolution.dispersion / gain

    @property
    def largest_od(self) -> float:
        """Median of the pixels' largest OD; NaN where I0 may have other units than the counts."""
        if self.recipe.i0.source in ("spectrum", "monitor") or not self.stack.mapped.any():
            return float("nan")
        return float(np.median(self.spectra.od.max(axis=0)))

    @property
    def _believed_axis(self) -> EnergyAxis | None:
        """The energy axis, unless something else explains the scan better."""
        corrected, before = self.corrected, self.resolution
        axis = None if corrected is None else corrected.axis
        errors = None if before is None else before.shared_errors
        # a wider beam makes lines weaker, and is none of the shared errors
        wider = axis is not None and axis.has_width(self.recipe.energy_width_ev, WIDTH_WARNING_EV)
        if errors is not None and not errors.is_of_axis:
            return axis if wider else None
        if corrected is None or corrected.resolution is None or before is None:
            return None if corrected is None else corrected.axis
        if corrected.resolution.dispersion > before.dispersion:
            return None
        return corrected.axis

    @property
    def _axis_applies(self) -> bool:
        """Return True if the references cover the scan with the energy axis that was found."""
        found = None if self.corrected is None else self.corrected.reference_od
        return found is None or bool(np.isfinite(found).all())

    @property
    def mixed_references(self) -> tuple[MixedReference, ...]:
        """Mapped phases that mixtures of others look like."""
        return () if self.resolution is None else self.resolution.mixed_references

    def amounts(self) -> Amounts | None:
        """Return composition, thickness and values of pixels, particles and specimen."""
        assert self.resolution is not None
        found = None if self.corrected is None else self.corrected.reference_od
        recipe, pixels = self.recipe, None
        if self.composition is not None and self.composition.smooth is not None:
            recipe, pixels = self.composition.valued(recipe), self.composition.smooth.amounts
        return amounts_of(self._spectra, self.stack, self.resolution, recipe, found, pixels)

    def _spectra(self) -> Correlated:
        """Return the spectra, made again if they were not kept."""
        if self.spectra.od.size or not self.as_measured:
            return self.spectra
        return replace(self.spectra, od=self.stack.spectra).without_gaps()

    def small(self) -> Found:
        """Return the same with what `amounts` needs and cannot make again."""
        if not self.as_measured or self.resolution is None:
            return self
        resolution = replace(self.resolution, latent=None, residual=None)
        return replace(self, spectra=self.spectra.small(), resolution=resolution)

    @property
    def _scatter(self) -> float | None:
        """Scatter of the spectra over that of photons, where nothing shows the noise."""
        if self.resolution is None or self.resolution.judged:
            return None
        return self.resolution.dispersion / photon_gain(self.stack)

    @cached_property
    def facts(self) -> Facts:
        """Return the facts that the verdict rests on."""
        stack, resolution = self.stack, self.resolution
        n_specimen, n_mapped = int(stack.field.specimen.sum()), int(stack.mapped.sum())
        return Facts(
            missing_ev=stack.missing_ev,
            copied_ev=stack.copied_ev,
            separation=self.recipe.corrected_references.smallest_separation(stack.energies_ev),
            wrong_probability=None if resolution is None else resolution.wrong_probability,
            median_counts=float(np.median(self.counts[stack.mapped])) if n_mapped else 0.0,
            misfit=self.misfit,
            common_field=stack.common_field,
            invalid_share=1 - n_mapped / n_specimen if n_specimen else 0.0,
            n_specimen=n_specimen,
            energy_axis=self._believed_axis,
            axis_applies=self._axis_applies,
            residual=None if resolution is None else resolution.residual,
            phase_names=self.recipe.corrected_references.phase_names,
            energies_ev=stack.energies_ev,
            mixed_references=self.mixed_references,
            twins=self.twins,
            layered=() if resolution is None else resolution.layered,
            shared_errors=None if resolution is None else resolution.shared_errors,
            axis_fitted=self.corrected is not None and self.corrected.axis is not None,
            i0_relative_std=float((stack.i0_std / stack.i0).max()),
            dispersion=stack.dispersion if stack.quantity == "counts" else self.dispersion,
            quantity=stack.quantity,
            scatter=self._scatter,
            unidentified_share=float(self.unidentified.mean()) if n_mapped else 0.0,
            largest_od=self.largest_od,
            specimen_in_box=specimen_in_box(stack.field, self.recipe, stack.extent_um),
            change=self.change,
            mixed_share=share_of_mixed(resolution),
        )


def phase_maps(
    found: Found,
    quality: Quality,
    *,
    steps: Steps,
    revision: int,
    quick: bool,
    remake: Callable[[Mapping[str, Any]], PhaseMaps],
) -> PhaseMaps:
    """Return the result: every product as an image, with warnings and provenance."""
    references = found.recipe.corrected_references
    image = partial(images_of, mapped=found.stack.mapped)
    return PhaseMaps(
        **_measured(found.stack),
        **_correlated(found, image, references.n_phases),
        **_resolved(found.resolution, image, references.n_phases),
        **_corrected(found.corrected, image),
        revision=revision,
        phase_names=references.phase_names,
        counts=found.counts,
        dispersion=found.dispersion,
        quality=quality,
        mixed_references=found.mixed_references,
        twins=found.twins,
        change=found.change,
        synthetic_references=references.synthetic,
        colors=dict(found.recipe.colors),
        warnings=notes_on(found),
        provenance=_provenance(found, steps) | ({"quick": True} if quick else {}),
        remake=remake,
        find_amounts=None if found.resolution is None else found.small().amounts,
    )


def _measured(stack: ODStack) -> dict[str, Any]:
    """Return images, alignment and I0 by their names in `PhaseMaps`."""
    return {
        "key": stack.key,
        "status": _status(stack),
        "energies_ev": stack.energies_ev,
        "extent_um": stack.extent_um,
        "dwell_ms": stack.dwell_ms,
        "od": partial(getattr, stack, "od"),
        "specimen": stack.field.specimen,
        "valid": stack.valid,
        "shifts_px": stack.shifts_px,
        "shifts_before_px": stack.shifts_before_px,
        "shift_quality": stack.shift_quality,
        "i0": stack.i0,
        "i0_std": stack.i0_std,
    }


def _correlated(found: Found, image: Callable[..., NDArray[Any]], n_phases: int) -> dict[str, Any]:
    """Return the products of correlation by their names in `PhaseMaps`."""
    spectra = found.spectra
    phase_index = image(spectra.best.first_index)
    return {
        "reference_od": spectra.references,
        "correlation": image(spectra.correlation),
        "phase_index": phase_index,
        "reliability": image(spectra.reliability),
        "ambiguous": image(spectra.ambiguous),
        "ambiguous_pair": image(spectra.pair),
        "unidentified": image(found.unidentified),
        "fractions": _fractions(phase_index, n_phases),
    }


def _resolved(
    resolution: Resolution | None, image: Callable[..., NDArray[Any]], n_phases: int
) -> dict[str, Any]:
    """Products of the resolver, by their names in `PhaseMaps`."""
    if resolution is None:
        return {}
    index = image(resolution.index)
    products = {
        "resolved_index": index,
        "resolved_fractions": _fractions(index, n_phases),
        "wrong_probability": image(resolution.wrong_probability),
        "probability": image(resolution.probability),
        "entropy": image(resolution.entropy),
        "mixed": image(resolution.mixed),
    }
    if resolution.latent is not None:
        # (ny, nx, 3): a point in space for each pixel
        products |= {
            "latent": np.moveaxis(image(resolution.latent.latent.T), 0, -1),
            "latent_index": image(resolution.latent.index),
            "contradicted": image(resolution.latent.contradicted),
        }
    return products


def _corrected(
    corrected: CorrectedMap | None, image: Callable[..., NDArray[Any]]
) -> dict[str, Any]:
    """Return the scan's own energy axis by the names in `PhaseMaps`."""
    if corrected is None or corrected.axis is None:
        return {}
    axis, again = corrected.axis, corrected.resolution
    products: dict[str, Any] = {
        "energy_axis": axis,
        "energy_offset_ev": axis.offset_ev,
        "energy_offset_std_ev": axis.offset_std_ev,
        "energy_width_ev": axis.width_ev,
        "energy_width_std_ev": axis.width_std_ev,
        "corrected_reference_od": corrected.reference_od,
    }
    if again is not None:
        products |= {
            "corrected_index": image(again.index),
            "corrected_probability": image(again.probability),
            "corrected_wrong_probability": image(again.wrong_probability),
        }
    return products


def _provenance(found: Found, steps: Steps) -> dict[str, Any]:
    """By what and how the maps were made."""
    resolution = found.resolution
    noise = None if resolution is None else resolution.noise
    return {
        "package": "stxm_live",
        "version": version("stxm-live"),
        "origin": asdict(found.stack.origin),
        "recipe": found.recipe.name,
        "recipe_sha256": found.recipe.fingerprint,
        "recipe_values": found.recipe.model_dump(mode="json"),
        "anchor_ev": found.stack.anchor_ev,
        "method": None if resolution is None else resolution.method,
        "model_sha256": None if resolution is None else resolution.model_sha256,
        "dispersion": None if resolution is None else resolution.dispersion,
        "baseline_std": None if noise is None else noise.baseline.std,
        "stray_light": None if resolution is None else resolution.stray_light,
        "replaced_steps": steps.replaced,
        "quantity": found.stack.quantity,
    }


def _status(stack: ODStack) -> Status:
    if stack.missing_ev or stack.unfinished_ev:
        return "incomplete"
    return "stopped-early" if stack.skipped_ev else "complete"


def _fractions(index: NDArray[np.int8], n_phases: int) -> NDArray[np.float64]:
    """Share of each phase among the mapped pixels; NaN if there are none."""
    counts = np.bincount(index[index >= 0].astype(np.intp), minlength=n_phases)
    total = counts.sum()
    return counts / total if total else np.full(n_phases, np.nan)
