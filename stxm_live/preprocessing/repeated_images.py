"""Repeated images aligned to the stack; they are compared with the first ones, not mapped."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.recipe import Recipe
from stxm_live.preprocessing.alignment.cross_correlation import (
    EdgeImage,
    match,
    negligible_dropped,
)
from stxm_live.preprocessing.images import Image
from stxm_live.preprocessing.normalization import AlignedStack, RepeatedImage
from stxm_live.preprocessing.stack_images import StackImages
from stxm_live.preprocessing.workflow import MIN_ALIGNABLE_PX


class _Shift(NamedTuple):
    y: float
    x: float


def with_repeated_images(
    aligned: AlignedStack, images: StackImages, recipe: Recipe
) -> AlignedStack:
    """Return the stack with its repeated images, each aligned to the first one at its energy.

    The first image at the energy looks the same apart from noise, so it is the best one to align
    to. A repeated image without enough contrast is moved as the first one was.
    """
    by_energy = {image.energy_ev: image for image in images.images}
    places = {energy_ev: k for k, energy_ev in enumerate(aligned.energies_ev)}
    repeated = []
    for first_ev, again in images.checks:
        if first_ev not in places:
            continue
        y, x = aligned.shifts_px[places[first_ev]]
        dy, dx = _shift_between(again, by_energy[first_ev], recipe)
        shift_px = negligible_dropped((float(y + dy), float(x + dx)))
        moved, _ = again.moved(shift_px)
        repeated.append(RepeatedImage(first_ev, again.energy_ev, moved, shift_px, again.monitor))
    return replace(aligned, repeated=tuple(repeated))


def _shift_between(image: Image, first: Image, recipe: Recipe) -> _Shift:
    """Return the shift that aligns an image to the first one at its energy."""
    options = recipe.alignment
    if not options.enabled or min(image.intensity.shape) < MIN_ALIGNABLE_PX:
        return _Shift(0.0, 0.0)
    edges = [EdgeImage.of(i.intensity, edges=options.edges) for i in (image, first)]
    found = match(*edges)
    return _Shift(*found.shift_px) if np.isfinite(found.std_px) else _Shift(0.0, 0.0)


def i0_ratio(
    repeated: RepeatedImage, first: NDArray[np.float32], empty: NDArray[np.bool_]
) -> float | None:
    """Return I0 of a repeated image over I0 of the first; None without empty support.

    Parameters
    ----------
    repeated : RepeatedImage
    first : ndarray of shape (ny, nx)
        Counts of the first image at the energy.
    empty : ndarray of bool, shape (ny, nx)
    """
    known = empty & np.isfinite(first) & np.isfinite(repeated.intensity)
    if not known.any():
        return None
    sums = (image[known].sum(dtype=np.float64) for image in (repeated.intensity, first))
    again, before = sums
    return float(again / before) if again > 0 and before > 0 else None
