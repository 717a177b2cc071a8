"""Steps from frames to optical density: align, find I0, take the logarithm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.file_arrays import empty_as
from stxm_live.core.recipe import Recipe
from stxm_live.core.region import box_mask
from stxm_live.core.shift_files import shifts_at
from stxm_live.core.stack import Stack
from stxm_live.core.threads import in_threads
from stxm_live.preprocessing.alignment.stack_alignment import Alignment, Box, place, refined
from stxm_live.preprocessing.images import Image
from stxm_live.preprocessing.normalization import AlignedStack, ODStack
from stxm_live.preprocessing.stack_i0 import find_i0, find_i0_without_references
from stxm_live.preprocessing.stack_images import ImageCache, StackImages

MIN_ALIGNABLE_PX = 16
"""Smallest number of rows or columns of an image that is aligned."""


def align(images: StackImages, recipe: Recipe) -> Alignment:
    """Find the shift of every image, by the recipe's [alignment].

    Shifts come from cross-correlation with a reference image (the paper's section 3.1, on edges),
    or from the recipe's file of shifts.

    Raises
    ------
    ValueError
        If an image is shifted beyond the recipe's limit, or if the region or the shifts of the
        recipe do not fit.
    """
    options, table = recipe.alignment, recipe.shift_table
    energies = images.energies_ev
    if not options.enabled:
        return Alignment.at_rest(len(energies))
    if options.shifts is not None and table is not None:
        return Alignment.of_shifts(
            shifts_at(table, energies, recipe.energy_tolerance_ev, options.shifts)
        )
    box = _box(images, recipe)
    if min(images.shape) < MIN_ALIGNABLE_PX:
        return Alignment.at_rest(len(energies))
    patterns = [image.pattern_of(recipe, box) for image in images.images]
    return place(patterns, energies, options)


def refine(images: StackImages, alignment: Alignment, recipe: Recipe) -> Alignment:
    """Find every shift again, from a prediction of the image by the other energies.

    The alignment is unchanged if the recipe does not ask for it, or has a file of shifts.

    Raises
    ------
    ValueError
        If an image is shifted beyond the recipe's limit.
    """
    options = recipe.alignment
    asked = options.enabled and options.refine and options.shifts is None
    if not asked or min(images.shape) < MIN_ALIGNABLE_PX:
        return alignment
    intensity = [image.intensity for image in images.images]
    return refined(alignment, intensity, images.energies_ev, options, _box(images, recipe))


def move(images: StackImages, first: Alignment, final: Alignment | None = None) -> AlignedStack:
    """Move the images by their shifts.

    Parameters
    ----------
    images : StackImages
    first : Alignment
        Shifts that were found first. Images shifted by these are kept for the next time.
    final : Alignment, optional
        Shifts to apply, if they were refined.

    Raises
    ------
    ValueError
        If there is not one finite shift (y, x) for every image.
    """
    applied = first if final is None else final
    applied.check(len(images.images))
    intensity, n_dark = _moved(images.images, applied.shifts_px, keep=applied is first)
    dark = [
        f"image at {image.energy_ev:g} eV: {n} pixels are not positive after correction and "
        "alignment"
        for image, n in zip(images.images, n_dark, strict=True)
        if n
    ]
    return AlignedStack(
        key=images.key,
        origin=images.origin,
        extent_um=images.scan.extent_um,
        dwell_ms=images.scan.dwell_ms or None,
        energies_ev=images.energies_ev,
        missing_ev=images.missing_ev,
        skipped_ev=images.skipped_ev,
        copied_ev=images.copied_ev,
        unfinished_ev=images.unfinished_ev,
        intensity=intensity,
        monitors=tuple(image.monitor for image in images.images),
        known_i0=images.known_i0,
        shifts_px=applied.shifts_px,
        shifts_before_px=first.shifts_px,
        shift_quality=applied.std_px,
        anchor_ev=images.energies_ev[applied.anchor],
        notes=(*images.notes, *applied.notes, *dark),
        quantity=images.scan.quantity or "counts",
    )


def align_stack(
    stack: Stack, recipe: Recipe, *, refining: bool = False, seen: ImageCache | None = None
) -> AlignedStack:
    """Select, align and move the frames of a stack; errors as for `align`."""
    images = (seen or ImageCache(recipe)).usable(stack)
    first = align(images, recipe)
    return move(images, first, refine(images, first, recipe) if refining else None)


def register(
    stack: Stack, recipe: Recipe, *, refining: bool = False, seen: ImageCache | None = None
) -> ODStack:
    """Align a stack and find its optical density, as `map_phases` does.

    Parameters
    ----------
    stack : Stack
    recipe : Recipe
    refining : bool
        If True, refine the shifts as for final maps, if the recipe asks for it.
    seen : ImageCache, optional
        Cache with some of the frames: it saves time and does not change the result.

    Raises
    ------
    ValueError
        As for `align`, and if no frame is left or no I0 is found.
    """
    aligned = align_stack(stack, recipe, refining=refining, seen=seen)
    return ODStack.of(aligned, find_i0(aligned, recipe))


def register_without_references(stack: Stack, recipe: Recipe) -> ODStack:
    """Align a stack and find its optical density without references for its material.

    Every energy of the stack is used unless the recipe selects or excludes some; errors as for
    `register`.
    """
    aligned = align_stack(stack, recipe)
    return ODStack.of(aligned, find_i0_without_references(aligned, recipe))


def _box(images: StackImages, recipe: Recipe) -> Box | None:
    """Return rows and columns of the recipe's sub-region."""
    region_um = recipe.alignment.region_um
    if region_um is None:
        return None
    inside = box_mask(region_um, images.scan.extent_um, images.shape, "alignment region")
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if min(rows.size, columns.size) < MIN_ALIGNABLE_PX:
        raise ValueError(
            f"the alignment region has {rows.size} x {columns.size} pixels; at least "
            f"{MIN_ALIGNABLE_PX} along each side are needed for the alignment"
        )
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _moved(
    images: Sequence[Image], shifts_px: NDArray[np.float64], *, keep: bool
) -> tuple[NDArray[np.float32], list[int]]:
    """Return the shifted images, (n_energies, ny, nx), and their pixels that became dark."""
    shifts = [(float(y), float(x)) for y, x in shifts_px]
    shape = images[0].intensity.shape
    cube = empty_as(images[0].intensity, (len(images), *shape))

    def move_to(image: Image, shift_px: tuple[float, float], place: int) -> int:
        cube[place], n = image.moved(shift_px)
        return n

    n_dark = in_threads(move_to, images, shifts, range(len(images)))
    if keep:  # as part of the cube: once in memory is enough
        for image, shift, plane, n in zip(images, shifts, cube, n_dark, strict=True):
            image.keep(shift, plane, n)
    return cube, n_dark
