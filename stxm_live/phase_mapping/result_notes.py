"""Notes on a result beside its verdict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from stxm_live.core.mixed_reference import notes_on_mixtures
from stxm_live.core.references import SYNTHETIC_NOTE, ReferenceSpectra, listed_ev
from stxm_live.core.twins import together
from stxm_live.phase_mapping.assignment import needs_model
from stxm_live.phase_mapping.repeated_energies import change_in_words
from stxm_live.preprocessing.gaps import n_hardly_measured

if TYPE_CHECKING:
    from stxm_live.phase_mapping.result import Found


_NOISY = 0.005
"""Noise of a reference over its largest value from which it is mentioned."""

_FEW_PX = 30
"""Specimen of fewer pixels shows hardly more than its labels."""


def notes_on(found: Found) -> tuple[str, ...]:
    """Everything that is to be said beside the verdict."""
    stack, facts, recipe = found.stack, found.facts, found.recipe
    notes = [*stack.notes, *_on_scale(found), *_made_from(found)]
    if facts.separation < 2 * recipe.ambiguity_threshold:
        notes.append(
            f"the closest references differ by 1 - PCC = {facts.separation:.4f} on these "
            f"energies, less than twice the ambiguity threshold {recipe.ambiguity_threshold:g}: "
            "little noise makes their pixels ambiguous"
        )
    if found.change is not None:
        notes.append(change_in_words(found.change, facts.phase_names))
    errors = None if found.resolution is None else found.resolution.shared_errors
    if found.resolution is not None and found.resolution.stray_light:
        notes.append(
            f"{100 * found.resolution.stray_light:.1f} % of the light seems to reach the detector "
            "beside the specimen: lines are flattened where it is thick, and labels allow for that"
        )
    if errors is not None:
        notes.append(errors.in_words(facts.phase_names, facts.energies_ev))
    if found.composition is not None and not facts.largest_od < 0:
        notes.extend(
            found.composition.notes(facts.phase_names, found.mixed_references, found.twins)
        )
    if found.model_note:
        notes.append(found.model_note)
        if needs_model(recipe):
            notes.append(f"the map is resolved by likelihood instead of {recipe.resolver.method}")
    for step in (found.resolution, found.corrected):
        notes.extend(() if step is None else step.notes)
    notes.extend(_on_references(found))
    notes.extend(notes_on_mixtures(found.mixed_references))
    return tuple(notes)


def _on_scale(found: Found) -> Iterator[str]:
    """Say which direction of the images has no scale."""
    x0, x1, y0, y1 = found.stack.extent_um
    ny, nx = found.stack.field.specimen.shape
    for name, length_um, n in (("x", abs(x1 - x0), nx), ("y", abs(y1 - y0), ny)):
        if n > 1 and not length_um > 0:
            yield f"all positions along {name} are the same: lengths and areas have no scale"


def _on_noise(references: ReferenceSpectra) -> Iterator[str]:
    """Yield a note on references whose noise makes labels less sure."""
    share = references.seen_noise / np.abs(references.od).max(axis=1)
    noisy = [
        f"{name} {100 * of_phase:.1f} %"
        for name, of_phase in zip(references.phase_names, share, strict=True)
        if of_phase > _NOISY
    ]
    if noisy:
        yield (
            f"noise in the references, over their largest value: {', '.join(noisy)}; labels allow "
            "for it, and would be surer with references that were measured longer"
        )


def _on_references(found: Found) -> list[str]:
    """Return notes on references that lack something."""
    stack, recipe, notes = found.stack, found.recipe, list[str]()
    low = recipe.reference_spectra.without_pre_edge
    if low:
        consequence = (
            'without a constant (resolver.baseline = "none") labels will be wrong'
            if recipe.resolver.baseline == "none"
            else "each spectrum has a constant of its own instead"
        )
        notes.append(
            f"no absorption before the edge in {', '.join(low)}, as if it was subtracted: "
            f"{consequence}"
        )
    notes.extend(_on_noise(recipe.reference_spectra))
    beyond = recipe.corrected_references.beyond(stack.energies_ev)
    if beyond:
        notes.append(
            f"the references end before {listed_ev(beyond)} eV; their last values are taken there"
        )
    if recipe.corrected_references.synthetic:
        notes.append(SYNTHETIC_NOTE)
    return notes


def _made_from(found: Found) -> Iterator[str]:
    """Say which energies the maps lack, everywhere or in some pixels, and what that means."""
    stack, n_energies = found.stack, len(found.stack.energies_ev)
    n_specimen = found.facts.n_specimen
    if 0 < n_specimen < _FEW_PX:
        pixels = "pixel is" if n_specimen == 1 else "pixels are"
        yield (
            f"only {n_specimen} {pixels} specimen: backgrounds, mixtures and the energy axis "
            "cannot be found from so few; is the mask right?"
        )
    if stack.missing_ev:
        listed = listed_ev(stack.missing_ev)
        yield f"the scan lacks {listed} eV: the maps are made from the other {n_energies} energies"
    if stack.skipped_ev:
        yield (
            f"the scan ended early: {listed_ev(stack.skipped_ev)} eV were skipped, "
            f"{n_energies} energies were measured"
        )
    lacking = n_energies - stack.n_measured
    if lacking.any():
        share, most = 100 * np.count_nonzero(lacking) / len(lacking), int(lacking.max())
        yield (
            f"{share:.1f} % of the specimen's pixels lack up to {most} of {n_energies} energies; "
            "their labels are made from the others"
        )
    n_left_out = n_hardly_measured(stack.images_od(), stack.shifts_px)
    if n_left_out:
        yield (
            f"{n_left_out} pixels of the field were measured at fewer than two energies and have "
            "no label"
        )
    for group in found.twins:
        yield f"the scan does not distinguish {together(group)}: one label for all"
