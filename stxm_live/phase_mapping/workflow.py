"""From a stack to its maps: one pure function of the frames and the recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from threading import Thread
from typing import Any

from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.recipe import Recipe
from stxm_live.core.references import listed_ev
from stxm_live.core.stack import Stack
from stxm_live.phase_mapping.assignment import needs_model
from stxm_live.phase_mapping.composition.of_scan import scan_composition
from stxm_live.phase_mapping.correlation import Correlated, least_separation
from stxm_live.phase_mapping.distinguished import less_sure_within, undistinguished
from stxm_live.phase_mapping.energy_calibration.corrected_map import (
    CorrectedMap,
    corrected_map,
    known_by_axis,
)
from stxm_live.phase_mapping.latent_space.model import LatentModel, model_that_fits
from stxm_live.phase_mapping.repeated_energies import change_of
from stxm_live.phase_mapping.result import Found, phase_maps
from stxm_live.phase_mapping.steps import DEFAULT, Steps
from stxm_live.preprocessing.normalization import AlignedStack, ODStack, optical_density
from stxm_live.preprocessing.repeated_images import with_repeated_images
from stxm_live.preprocessing.stack_images import ImageCache, StackImages
from stxm_live.preprocessing.workflow import move


def map_phases(
    stack: Stack,
    recipe: Recipe,
    *,
    steps: Steps = DEFAULT,
    model: LatentModel | None = None,
    seen: ImageCache | None = None,
    revision: int = 1,
    quick: bool = False,
) -> PhaseMaps:
    """Phase, reliability and ambiguity of every pixel of a stack.

    The steps are those of the paper's section 3: align, OD = ln(I0/I), Pearson coefficients,
    ambiguous pixels, resolution in latent space; and beside them the probability of every phase
    by counting statistics. The result depends on the frames, the recipe and the steps only, not
    on the order or the way in which the frames came.

    Parameters
    ----------
    stack : Stack
        Frames the recipe does not select, and those of which less than half was recorded, are
        left out. With an announced energy missing or unfinished the result is ``incomplete``: its
        maps are made from what there is. One that the scan skipped because it was sure enough
        makes it ``stopped-early``.
    recipe : Recipe
    steps : Steps, optional
        Functions to take in place of the default ones.
    model : LatentModel, optional
        What `load_model` returned; by default it is called here. Without a model that fits there
        is no latent map, and a warning says how to train one.
    seen : ImageCache, optional
        One that saw some of the frames before: it saves time and changes nothing.
    revision : int
    quick : bool
        Leave out what takes longer, refined shifts, the fit of the energy axis, and the latent
        map unless the recipe resolves by it: for maps that are shown until those with all of it
        are there. Their amounts are computed when asked for, and left out of stored results.

    Returns
    -------
    PhaseMaps

    Raises
    ------
    ValueError
        If no map can be made: fewer than two energies, references that do not cover them, no
        I0, or a drift beyond the limit. The message says what to do.
    """
    images = (seen or ImageCache(recipe)).usable(stack)
    aligned = align_images(images, recipe, steps, refine=not quick)  # section 3.1
    aligned = with_repeated_images(aligned, images, recipe)
    del images  # and what was computed of them, unless it was seen before
    return _map_aligned(aligned, recipe, _Kept(aligned, recipe, steps, model, quick), revision)


def _map_aligned(aligned: AlignedStack, recipe: Recipe, kept: _Kept, revision: int) -> PhaseMaps:
    """Take the road from the aligned images on, as `PhaseMaps.redo` does again."""
    _check_enough(aligned)
    recipe.phases.in_order(recipe.corrected_references.phase_names)
    steps = kept.steps
    stack = od_stack(aligned, recipe, steps)  # equation 3
    references = recipe.corrected_references.at(stack.energies_ev)
    measured = stack.spectra
    correlated = steps.correlate(measured, references, recipe)  # section 3.2
    spectra, as_measured = correlated.without_gaps(), correlated.od is measured
    del measured, correlated
    model, note = kept.model_for(stack, recipe)
    with _energy_axis_beside(spectra, stack, recipe, kept) as axis:
        resolution = steps.resolve(spectra, stack, recipe, model)  # section 3.3
    corrected = axis.result()
    resolution = known_by_axis(resolution, corrected)
    twins = undistinguished(
        resolution.index,
        resolution.probability,
        recipe.corrected_references,
        stack.energies_ev,
        least_separation(recipe, complete=not stack.missing_ev),
    )
    resolution = less_sure_within(resolution, twins, recipe.corrected_references.phase_names)
    change = change_of(stack, references, recipe)
    composition = scan_composition(spectra, stack, resolution, recipe, quick=kept.quick)
    if composition is not None:
        resolution = composition.labelled(resolution)
    found = Found(
        stack,
        recipe,
        spectra,
        resolution,
        corrected,
        model_note=note,
        change=change,
        composition=composition,
        twins=twins,
        as_measured=as_measured,
    )
    quality = steps.assess(found.facts, recipe)
    remake = partial(_redone, kept=kept, recipe=recipe, revision=revision)
    return phase_maps(
        found, quality, steps=steps, revision=revision, quick=kept.quick, remake=remake
    )


def align_images(
    images: StackImages, recipe: Recipe, steps: Steps = DEFAULT, *, refine: bool = False
) -> AlignedStack:
    """Find the shifts of the images and move them (the paper's section 3.1)."""
    alignment = steps.align(images, recipe)
    alignment.check(len(images.images))
    refined = steps.refine(images, alignment, recipe) if refine else alignment
    return move(images, alignment, refined)


def od_stack(aligned: AlignedStack, recipe: Recipe, steps: Steps = DEFAULT) -> ODStack:
    """Find I0, and the optical density ln(I0/I)."""
    i0 = steps.i0(aligned, recipe)
    if steps.optical_density is optical_density:
        return ODStack.of(aligned, i0)
    return ODStack.of(aligned, i0, steps.optical_density(aligned.intensity, i0.i0[:, None, None]))


def _check_enough(aligned: AlignedStack) -> None:
    if len(aligned.energies_ev) < 2:
        copied = ""
        if aligned.copied_ev:
            copied = (
                f"; those at {listed_ev(aligned.copied_ev)} eV repeat it, noise included: does "
                "the detector give new images?"
            )
        raise ValueError(
            f"{aligned.key}: maps need at least two images at energies of the recipe, there is "
            f"one, at {aligned.energies_ev[0]:g} eV{copied}"
        )


@contextmanager
def _energy_axis_beside(
    spectra: Correlated, stack: ODStack, recipe: Recipe, kept: _Kept
) -> Iterator[Future[CorrectedMap | None]]:
    """Look for the energy axis on another thread, if it is to be looked for at all."""
    steps, found = kept.steps, Future[CorrectedMap | None]()
    if not recipe.energy_fit or kept.quick:
        found.set_result(None)
        yield found
        return

    def look() -> None:
        try:
            found.set_result(
                corrected_map(
                    spectra,
                    stack,
                    recipe,
                    energy_axis=steps.energy_axis,
                    correlate=steps.correlate,
                    resolve=steps.resolve,
                )
            )
        except BaseException as error:  # noqa: BLE001  raised by whoever asks for the result
            found.set_exception(error)

    # no executor: it refuses work when Python ends, and a session closes its mapper then
    beside = Thread(target=look, name="stxm-live-energy-axis")
    beside.start()
    try:
        yield found
    finally:
        beside.join()


def takes_longer(recipe: Recipe) -> bool:
    """Return True if ``quick`` makes a difference."""
    return recipe.energy_fit or (recipe.alignment.enabled and recipe.alignment.refine)


@dataclass(frozen=True, eq=False)
class _Kept:
    """The aligned images from which maps can be made again, and how they were aligned."""

    aligned: AlignedStack
    recipe: Recipe
    steps: Steps
    model: LatentModel | None
    quick: bool

    def model_for(self, stack: ODStack, recipe: Recipe) -> tuple[LatentModel | None, str]:
        """Return the model for the latent map, or None and the reason."""
        if self.quick and not needs_model(recipe):
            return None, ""
        at_hand = self.model if recipe.model == self.recipe.model else None
        return model_that_fits(at_hand, stack.energies_ev, recipe)

    def aligned_for(self, recipe: Recipe) -> AlignedStack:
        """Return the same aligned images at the energies that another recipe selects."""
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
        if self.aligned.quantity == "yield" and recipe.i0 != self.recipe.i0:
            raise ValueError(
                "redo keeps the yield as it was divided by I0; for changes of [i0] use "
                "map_run(run, recipe)"
            )
        return self.aligned.selected(recipe)


_ALIGNING = ("alignment", "detector")
"""Tables of a recipe that decide what is done to the raw images."""


def _asks_for_more(recipe: Recipe, than: Recipe) -> bool:
    """Return True if a recipe may select an energy that another one leaves out."""
    if not set(than.exclude_energies_ev) <= set(recipe.exclude_energies_ev):
        return True
    return than.energies_ev is not None and not (
        recipe.energies_ev is not None and set(recipe.energies_ev) <= set(than.energies_ev)
    )


def _redone(changes: Mapping[str, Any], *, kept: _Kept, recipe: Recipe, revision: int) -> PhaseMaps:
    """See `PhaseMaps.redo`."""
    changed = recipe.with_changes(changes)
    return _map_aligned(kept.aligned_for(changed), changed, kept, revision + 1)
