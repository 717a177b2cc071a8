"""Images of optical density or yield as the intensities from which maps are made."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.file_arrays import kept_as
from stxm_live.core.quantity import Quantity, recognized
from stxm_live.core.recipe import Recipe
from stxm_live.core.stack import Frame, Stack
from stxm_live.preprocessing.i0 import measured_i0

KNOWN_I0: tuple[Quantity, ...] = ("transmission", "od")
"""Quantities that are already divided by I0, which is therefore 1."""

IN_WORDS: dict[Quantity, str] = {
    "rate": "the images are intensities on a scale of their own, not counts; their noise is "
    "measured on the empty support or the spectra",
    "transmission": "the images are transmissions I/I0 already; no I0 is looked for, and the noise "
    "is measured on the empty support or the spectra",
    "od": "the images are optical densities already; no I0 is looked for, and the noise is "
    "measured on the empty support or the spectra",
    "yield": "the images are a yield, which grows with the absorption; a constant background is "
    "taken from the empty support, and the noise from the spectra",
}
"""Notes on what is done with each quantity."""

_BRIGHT = 99.5
"""Percentile of a yield that becomes an optical density of 1."""


def as_intensity(stack: Stack, recipe: Recipe) -> Stack:
    """Return a stack whose images are darker where the specimen absorbs.

    Numbers of which nothing says what they are are counts, or optical densities if they can be
    nothing else. Optical densities become exp(-OD). So does a yield, on a scale of its own and
    divided by the I0 of the recipe's spectrum or monitor, if it names one. All other images stay as
    they are.

    Raises
    ------
    ValueError
        If the recipe corrects counts that are none, or a yield is nowhere positive.
    """
    if not stack.frames:
        return stack
    if stack.scan.quantity is None and (stack.frames[0].intensity < 0).any():
        stack = _if_od(stack)
    quantity = stack.scan.quantity or "counts"
    if quantity == "counts":
        return stack
    _check_detector(recipe, quantity)
    if quantity == "od":
        scales = [1.0] * (len(stack.frames) + len(stack.checks))
    elif quantity == "yield":
        scales = _yield_scales(stack, recipe)
    else:
        return replace(stack, notes=(*stack.notes, IN_WORDS[quantity]))
    images = [
        replace(frame, intensity=_transmitted(frame.intensity, scale))
        for frame, scale in zip((*stack.frames, *stack.checks), scales, strict=True)
    ]
    n = len(stack.frames)
    notes = (*stack.notes, IN_WORDS[quantity])
    return replace(stack, frames=tuple(images[:n]), checks=tuple(images[n:]), notes=notes)


def _if_od(stack: Stack) -> Stack:
    """Return a stack as optical densities if its numbers can be nothing else."""
    quantity, words = recognized([frame.intensity for frame in stack.frames])
    if quantity != "od":
        return stack
    scan = stack.scan.model_copy(update={"quantity": quantity})
    note = f"{words}: taken as optical densities (the quantity of the scan says otherwise)"
    return replace(stack, scan=scan, notes=(*stack.notes, note))


def _transmitted(od: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        return kept_as(od, np.exp(-od.astype(np.float64) / scale).astype(np.float32))


def _yield_scales(stack: Stack, recipe: Recipe) -> list[float]:
    """Return the yield of each image that becomes an optical density of 1."""
    frames: tuple[Frame, ...] = (*stack.frames, *stack.checks)
    i0 = measured_i0(recipe, [f.energy_ev for f in frames], [f.monitor for f in frames])
    relative = np.ones(len(frames)) if i0 is None else i0 / i0[: len(stack.frames)].mean()
    tops = [
        np.nanpercentile(frame.intensity, _BRIGHT) / share
        for frame, share in zip(stack.frames, relative, strict=False)
        if np.isfinite(frame.intensity).any()
    ]
    if not tops or not max(tops) > 0:
        raise ValueError(f"{stack.key}: the yield is nowhere positive, so nothing can be mapped")
    return [float(max(tops) * share) for share in relative]


def _check_detector(recipe: Recipe, quantity: Quantity) -> None:
    """Raise an error if the recipe corrects counts, but the images are none."""
    detector = recipe.detector
    wrong = {"dead_time_ns": detector.dead_time_ns is not None}
    if quantity != "rate":
        wrong["saturation_counts"] = detector.saturation_counts is not None
        wrong["dark_counts"] = detector.dark_counts > 0
    names = [name for name, is_set in wrong.items() if is_set]
    if names:
        raise ValueError(
            f"the recipe corrects counts ([detector] {', '.join(names)}), but the images are of "
            f"the quantity {quantity!r}; remove it from the recipe"
        )
