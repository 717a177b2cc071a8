"""Composition of a scan along the series of its references: evidence, and the map if asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from stxm_live.core.even_selection import at_least
from stxm_live.core.mixed_reference import MixedReference
from stxm_live.core.recipe import Recipe
from stxm_live.core.series import Series, needed_series, series_of
from stxm_live.core.twins import Twins, representatives
from stxm_live.phase_mapping.assignment import Resolution, entropy
from stxm_live.phase_mapping.composition.evidence import Evidence, evidence, scatter_of
from stxm_live.phase_mapping.composition.models import Gradual
from stxm_live.phase_mapping.composition.smooth_pixels import SmoothPixels, smooth_pixels
from stxm_live.phase_mapping.correlation import Correlated
from stxm_live.phase_mapping.counted_spectra import CountedSpectra
from stxm_live.phase_mapping.fitted_products import fitted_products
from stxm_live.phase_mapping.scan_noise import noise_of, photons_of
from stxm_live.preprocessing.normalization import ODStack

_LEAST_SHARED = 0.005
"""Error of I0 that images have besides its statistics."""

_TYPICAL_SPECTRA = 4_000
"""An even selection, from which the scatter is found."""

_USUAL_STEP, _USUAL_TRUST, _USUAL_ODD = 0.4, 0.3, 0.1
"""Change from pixel to pixel where too few pixels show it; the step is in gaps of the series."""


@dataclass(frozen=True, eq=False)
class ScanComposition:
    """Evidence for domains or a solid solution, and the map of the composition.

    Parameters
    ----------
    series : Series
    evidence : Evidence or None
        None where the scan has too few spectra, or where the references do not describe them.
    smooth : SmoothPixels or None
        With ``[resolver] model = "composition"``.
    """

    series: Series
    evidence: Evidence | None
    smooth: SmoothPixels | None

    def labelled(self, resolution: Resolution) -> Resolution:
        """Return a resolution with the nearest reference as the label, if a map was asked for."""
        if self.smooth is None:
            return resolution
        probability = self.smooth.probability
        return replace(
            resolution,
            index=probability.argmax(axis=0).astype(np.int8),
            wrong_probability=np.float32(1) - probability.max(axis=0),
            probability=probability,
            entropy=entropy(probability),
            method="composition",
        )

    def valued(self, recipe: Recipe) -> Recipe:
        """Return the recipe with the number of each phase in the series as its value."""
        names = recipe.corrected_references.phase_names
        numbers = dict(zip(names, self.series.values.tolist(), strict=True))
        phases = recipe.phases.model_copy(
            update={"value": numbers, "quantity": self.series.quantity}
        )
        return recipe.model_copy(update={"phases": phases})

    def notes(
        self, phase_names: Sequence[str], mixed: Sequence[MixedReference], twins: Twins = ()
    ) -> list[str]:
        """Return which model the scan supports, in words; nothing where it does not decide.

        It does not where neighbors in the series are twins, phases that share a label: what lies
        between them has the spectrum of both.
        """
        if self.evidence is None or self._has_neighbors_in(twins, phase_names):
            return []
        note = self.evidence.in_words(phase_names, self.series.quantity, mixed)
        return [note] if note else []

    def _has_neighbors_in(self, twins: Twins, phase_names: Sequence[str]) -> bool:
        groups = representatives(phase_names, twins)[self.series.order]
        return bool((np.diff(groups) == 0).any())


def scan_composition(
    spectra: Correlated, stack: ODStack, resolution: Resolution, recipe: Recipe, *, quick: bool
) -> ScanComposition | None:
    """Return what a scan shows of a composition that changes continuously.

    None if the references are no series; for quick maps by phases, which show no notes on it.

    Raises
    ------
    ValueError
        If the recipe asks for compositions, and the references are no series.
    """
    asked_for = recipe.resolver.model == "composition"
    if quick and not asked_for:
        return None
    make = needed_series if asked_for else series_of
    series = make(recipe.corrected_references, recipe.phases)
    if series is None:
        return None
    photons, noise = photons_of(stack, recipe), resolution.noise
    if noise is None:
        noise = noise_of(spectra, photons, stack, recipe)
    counted = CountedSpectra(spectra.od, photons, spectra.references, noise)
    shared_std = max(_LEAST_SHARED, float(np.nan_to_num(stack.i0_std / stack.i0).mean()))
    known = ~resolution.unidentified
    found = evidence(counted, stack.mapped, series, shared_std=shared_std, known=known)
    if not asked_for or not stack.mapped.any():
        return ScanComposition(series, found, None)
    some = counted.at(at_least(_TYPICAL_SPECTRA, counted.n_spectra))
    smooth = smooth_pixels(
        counted._replace(references=counted.references / (recipe.phases.reference_nm or 1.0)),
        stack.mapped,
        series,
        gradual=_usual(series) if found is None else found.gradual,
        scatter=scatter_of(fitted_products(some), some),
        shared_std=shared_std,
    )
    return ScanComposition(series, found, smooth)


def _usual(series: Series) -> Gradual:
    """Return a change from pixel to pixel for scans that do not show theirs."""
    gap = float(np.abs(np.diff(series.values[series.order])).mean())
    return Gradual(_USUAL_STEP * gap, _USUAL_TRUST, _USUAL_ODD)
