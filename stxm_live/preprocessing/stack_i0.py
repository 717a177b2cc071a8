"""Specimen and I0 of aligned images, by what the recipe asks for and what the images are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.file_arrays import empty_like
from stxm_live.core.recipe import Recipe
from stxm_live.core.threads import in_threads
from stxm_live.preprocessing.gaps import filled_for_specimen
from stxm_live.preprocessing.i0 import (
    I0,
    borrowed_i0,
    i0_of_images,
    i0_of_one,
    is_without_edge,
    mean_over,
    stack_field,
)
from stxm_live.preprocessing.normalization import AlignedStack
from stxm_live.preprocessing.quantity import KNOWN_I0


def find_i0(aligned: AlignedStack, recipe: Recipe) -> I0:
    """Find specimen and I0 as the recipe's [specimen] and [i0] say, without references if need be.

    Raises
    ------
    ValueError
        If no I0 is found.
    """
    if recipe.references is None:
        return find_i0_without_references(aligned, recipe)
    return _find_i0(aligned, recipe, recipe.corrected_references.at(aligned.energies_ev))


def find_i0_without_references(aligned: AlignedStack, recipe: Recipe) -> I0:
    """Find specimen and I0 without references for this material."""
    return _find_i0(aligned, recipe, None)


def _find_i0(aligned: AlignedStack, recipe: Recipe, references: NDArray[np.float64] | None) -> I0:
    log = empty_like(aligned.intensity)
    in_threads(np.log, aligned.intensity, log)
    log = filled_for_specimen(log, aligned.shifts_px)
    quantity, known_i0 = aligned.quantity, aligned.known_i0
    may_be_full = known_i0 is not None or quantity in (*KNOWN_I0, "yield")
    field = stack_field(log, references, recipe, may_be_full=may_be_full)
    drawn = recipe.specimen_mask is not None
    if quantity in KNOWN_I0 and not drawn and not is_without_edge(log, field.empty):
        absolute = borrowed_i0(log, field, [1.0] * len(log))
        field = field if absolute is None else absolute.field
    if quantity in KNOWN_I0 or (quantity == "yield" and not field.empty.any()):
        return i0_of_one(aligned.intensity, field, recipe, aligned.shifts_px)
    if quantity == "yield":  # its noise grows with it: the support does not show it
        i0 = mean_over(aligned.intensity, field.empty)
        return I0(i0, np.zeros_like(i0), None, field)
    if aligned.known_i0 is not None and recipe.i0.source == "empty-region":
        borrowed = borrowed_i0(log, field, aligned.known_i0)
        if borrowed is not None:
            specimen = field.specimen if drawn else borrowed.field.specimen
            return borrowed._replace(field=borrowed.field._replace(specimen=specimen))
    return i0_of_images(
        aligned.intensity,
        aligned.energies_ev,
        field,
        recipe,
        aligned.extent_um,
        aligned.monitors,
        aligned.shifts_px,
    )
