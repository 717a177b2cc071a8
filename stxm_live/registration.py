"""A stack as a registered cube of optical density, before any phase is looked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stxm_live.alignment import EdgeImage, best_anchor, find_shifts, in_threads, shifted
from stxm_live.incident import incident, stack_field
from stxm_live.optical_density import usable_intensity
from stxm_live.recipe import Recipe
from stxm_live.specimen import Field
from stxm_live.stack import Stack

FLAT_OD = 1e-5
"""Smaller ranges, relative to the largest OD or 1, are rounding in float32 and no spectrum."""


@dataclass(frozen=True, eq=False)
class RegisteredStack:
    """Images of a stack on one another, and their optical density.

    Parameters
    ----------
    energies_ev : tuple of float
        Ascending; the energies that the recipe selects and that have a whole image.
    missing_ev : tuple of float
        Announced and selected energies without a whole image.
    intensity : ndarray of shape (n_energies, ny, nx), float32
        Counts; NaN where unusable or outside the image.
    od : ndarray of shape (n_energies, ny, nx), float32
    field : Field
        Specimen and empty support.
    valid : ndarray of bool, shape (ny, nx)
        Where every energy has an OD and the spectrum is not constant.
    shifts_px : ndarray of shape (n_energies, 2)
        (y, x) applied to each image.
    anchor_ev : float
        Energy of the image the others were laid on.
    i0 : ndarray of shape (n_energies,)
    notes : tuple of str
    """

    energies_ev: tuple[float, ...]
    missing_ev: tuple[float, ...]
    intensity: NDArray[np.float32]
    od: NDArray[np.float32]
    field: Field
    valid: NDArray[np.bool_]
    shifts_px: NDArray[np.float64]
    anchor_ev: float
    i0: NDArray[np.float64]
    notes: tuple[str, ...]

    @property
    def common_field(self) -> float:
        """Share of the field that every image shows after alignment."""
        lost_px = np.ptp(self.shifts_px, axis=0)
        return float(np.prod(np.clip(1 - lost_px / self.od.shape[1:], 0, 1)))


def register(stack: Stack, recipe: Recipe) -> RegisteredStack:
    """Select, align and normalise the frames of a stack.

    Raises
    ------
    ValueError
        If fewer than two energies are left, if an image is shifted beyond the recipe's limit,
        or if no I0 can be had.
    """
    images, missing, notes = _selected(stack, recipe)
    energies = tuple(images)
    shifts, anchor = _shifts(list(images.values()), energies, recipe)
    moved = in_threads(shifted, images.values(), [(y, x) for y, x in shifts.tolist()])
    intensity = np.stack(moved)
    # beside a bright pixel the spline may swing below zero, where there is no OD
    dark = intensity <= 0
    if dark.any():
        intensity[dark] = np.nan
        notes.append(f"{dark.any(axis=0).sum()} pixels are not positive after the alignment")
    log = np.log(intensity)
    field = stack_field(-log.mean(axis=0, dtype=np.float64), recipe)
    i0 = incident(intensity, energies, field, recipe, stack.scan.extent_um)
    od = np.log(i0).astype(np.float32)[:, None, None] - log
    return RegisteredStack(
        energies_ev=energies,
        missing_ev=missing,
        intensity=intensity,
        od=od,
        field=field,
        valid=_has_spectrum(od),
        shifts_px=shifts,
        anchor_ev=energies[anchor],
        i0=i0,
        notes=tuple(notes),
    )


def _has_spectrum(od: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where every energy has an OD and the spectrum is not constant, shape (ny, nx)."""
    low, high = od.min(axis=0), od.max(axis=0)
    largest = np.maximum(np.maximum(high, -low), 1)
    return np.asarray(np.isfinite(high - low) & (high - low > FLAT_OD * largest))


def _shifts(
    images: Sequence[NDArray[np.float32]], energies_ev: Sequence[float], recipe: Recipe
) -> tuple[NDArray[np.float64], int]:
    """Shifts of shape (n_energies, 2), and which image they lay the others on."""
    if not recipe.alignment.enabled:
        return np.zeros((len(images), 2)), 0
    patterns = in_threads(EdgeImage.of, images)
    shifts = find_shifts(patterns, energies_ev, recipe.alignment.max_shift_px)
    return shifts, best_anchor(patterns)


def _selected(
    stack: Stack, recipe: Recipe
) -> tuple[dict[float, NDArray[np.float32]], tuple[float, ...], list[str]]:
    """Usable counts by energy in eV; announced energies that are missing; notes."""
    notes = list(stack.notes)
    images: dict[float, NDArray[np.float32]] = {}
    frames = {f.energy_ev if f.announced_ev is None else f.announced_ev: f for f in stack.frames}
    chosen = recipe.selected({*frames, *stack.missing_ev})
    missing = set(stack.missing_ev).intersection(chosen)
    lacking = ", ".join(f"{e:g}" for e in recipe.not_in(chosen))
    if lacking:
        notes.append(f"the scan has no energy near {lacking} eV, which the recipe asks for")
    for nominal in chosen:
        if nominal not in frames:
            continue
        frame = frames[nominal]
        intensity, unusable = usable_intensity(frame.intensity, recipe.detector.saturation_counts)
        where = f"image at {frame.energy_ev:g} eV"
        if not frame.is_whole or unusable.total == intensity.size:
            state = "has no usable pixel" if frame.is_whole else "is unfinished"
            notes.append(f"{where} {state} and was left out")
            missing.add(nominal)
            continue
        if unusable.total:
            notes.append(f"{where}: unusable pixels: {unusable}")
        images[frame.energy_ev] = intensity
    if len(images) < 2:
        listed = ", ".join(f"{e:g}" for e in images) or "none"
        wanted = ", ".join(f"{e:g}" for e in recipe.energies_ev or stack.scan.energies_ev)
        raise ValueError(
            f"{stack.key}: maps need at least two whole images at energies of the recipe "
            f"({wanted} eV); there are: {listed}"
        )
    return images, tuple(sorted(missing)), notes
