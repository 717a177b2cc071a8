"""Specimen, empty support and I0, from the source that the recipe names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.file_arrays import of_pixels
from stxm_live.core.products import least_squares
from stxm_live.core.recipe import Recipe
from stxm_live.core.references import BEYOND_EV, listed_ev
from stxm_live.core.region import box_mask
from stxm_live.preprocessing.noise import dispersion
from stxm_live.preprocessing.specimen import MIN_OD_STEP, Field, edge_jump, find_specimen

DARKER_OD = 0.12
"""Support this much darker than the I0 known from elsewhere is thin specimen: the ring current
falls by only 8 % in a stack of an hour."""

OTHER_MATERIAL = 0.5
"""Share of a spectrum, without its mean, that mixtures of the references leave if it is of another
material."""

BORROWED = (
    "specimen fills the field: I0 is that of the start document, measured in an overview; if the "
    "beam has changed since then, every optical density is off by the same amount"
)


class I0(NamedTuple):
    """I0 of each image, its source, and the noise of the empty support.

    Parameters
    ----------
    i0 : ndarray of shape (n_energies,)
        Counts of I0.
    std : ndarray of shape (n_energies,)
        Standard uncertainty; 0 if I0 comes from a spectrum or a monitor, which are assumed to be
        exact.
    dispersion : float or None
        Variance of the counts over their mean; None without empty support.
    field : Field
        Specimen and empty support.
    notes : tuple of str
    """

    i0: NDArray[np.float64]
    std: NDArray[np.float64]
    dispersion: float | None
    field: Field
    notes: tuple[str, ...] = ()


def stack_field(
    log_intensity: NDArray[np.float32],
    references: NDArray[np.float64] | None,
    recipe: Recipe,
    *,
    may_be_full: bool = False,
) -> Field:
    """Return specimen and empty support, found or from the recipe's mask.

    If I0 need not come from the empty support, a field without one is not an error.

    Parameters
    ----------
    log_intensity : ndarray of shape (n_energies, ny, nx)
        ln(I); NaN where unknown.
    references : ndarray of shape (n_phases, n_energies) or None
        References whose edge helps to find specimen; None if there are none yet.
    recipe : Recipe
    may_be_full : bool
        True if I0 is known from elsewhere.

    Raises
    ------
    ValueError
        If the mask has another shape than the images, or leaves no support that I0 comes from.
    """
    mask, shape = recipe.specimen_mask, log_intensity.shape[1:]
    if mask is not None and mask.shape != shape:
        raise ValueError(
            f"the specimen mask {recipe.specimen.mask} has shape {mask.shape}, "
            f"the images have {shape}"
        )
    if mask is not None and recipe.i0.source != "empty-region":
        return Field(mask, ~mask)
    mean_log = -log_intensity.mean(axis=0, dtype=np.float64)
    jump = None if references is None else edge_jump(log_intensity, references)
    try:
        found = find_specimen(mean_log, jump)
    except ValueError:
        if recipe.i0.source != "empty-region" or may_be_full:
            found = Field(np.isfinite(mean_log), np.zeros(shape, dtype=bool))
        elif references is None:
            raise
        else:
            found = find_specimen(mean_log)
            if not _is_of_another_material(log_intensity, found, references):
                raise
    if mask is None:
        return found
    empty = found.empty & ~mask
    if found.empty.any() and not empty.any() and not may_be_full:
        raise ValueError(
            f"the specimen mask {recipe.specimen.mask} covers all that looks empty, and I0 comes "
            "from there; is it inverted (True is specimen)? Leave some empty support out of it, or "
            "name a box for I0"
        )
    return Field(mask, empty)


def _is_of_another_material(
    log_intensity: NDArray[np.float32], field: Field, references: NDArray[np.float64]
) -> bool:
    """Return True if no mixture of the references has the mean spectrum of the specimen.

    Then their edge does not show where the specimen is. In a field that the specimen fills, the
    dark part and the bright one differ by such a mixture.
    """
    if not field.specimen.any():
        return False
    log_i0, log_specimen = (
        np.asarray(np.nanmean(log_intensity[:, part], axis=1, dtype=np.float64))
        for part in (field.empty, field.specimen)
    )
    od = log_i0 - log_specimen
    design = np.column_stack([np.ones(len(od)), *references])
    left = od - design @ least_squares(design, od[:, None])[:, 0]
    return bool(left @ left > OTHER_MATERIAL * np.square(od - od.mean()).sum())


def i0_of_images(
    intensity: NDArray[np.float32],
    energies_ev: Sequence[float],
    field: Field,
    recipe: Recipe,
    extent_um: tuple[float, float, float, float],
    monitors: Sequence[float | None] = (),
    shifts_px: NDArray[np.float64] | None = None,
) -> I0:
    """Return I0 of every image from the recipe's source, with its uncertainty.

    ``monitors`` are the readings of the I0 monitor, one for each image; ``shifts_px`` are the
    shifts of the images.

    Raises
    ------
    ValueError
        If the I0 spectrum does not cover the energies, if spectrum or monitor are not positive
        there, or if the region of I0 has no usable pixel.
    """
    source = recipe.i0.source
    if source == "region" and recipe.i0.region is not None:
        region = box_mask(recipe.i0.region, extent_um, field.empty.shape)
    else:
        region = field.empty
    # beside a mask drawn by hand may be anything, unless the empty support was looked for
    is_empty = _looks_for_support(recipe) or recipe.specimen_mask is None
    scatter = dispersion(intensity, region, shifts_px) if is_empty else None
    i0 = measured_i0(recipe, energies_ev, monitors)
    if i0 is None:
        i0 = mean_over(intensity, region)
        std = _std_of_mean(
            of_pixels(intensity, region), i0, scatter, 1 / recipe.detector.photons_per_count
        )
        return I0(i0, std, scatter, field)
    return I0(i0, np.zeros_like(i0), scatter, field)


def i0_of_one(
    intensity: NDArray[np.float32],
    field: Field,
    recipe: Recipe,
    shifts_px: NDArray[np.float64] | None = None,
) -> I0:
    """Return I0 of images that were divided by it already: 1, with the noise of the support."""
    drawn = recipe.specimen_mask is not None and not _looks_for_support(recipe)
    scatter = None if drawn else dispersion(intensity, field.empty, shifts_px)
    return I0(np.ones(len(intensity)), np.zeros(len(intensity)), scatter, field)


def _looks_for_support(recipe: Recipe) -> bool:
    """Return True if empty support is looked for beside a mask that was drawn by hand."""
    return recipe.i0.source in ("region", "empty-region")


def measured_i0(
    recipe: Recipe, energies_ev: Sequence[float], monitors: Sequence[float | None]
) -> NDArray[np.float64] | None:
    """Return I0 of every image from a spectrum or a monitor; None if the recipe names neither.

    Raises
    ------
    ValueError
        If it does not cover the energies or is not positive there.
    """
    if recipe.i0.source == "spectrum" and recipe.i0_spectrum is not None:
        return _from_spectrum(*recipe.i0_spectrum, energies_ev, recipe)
    return _from_monitor(monitors, energies_ev) if recipe.i0.source == "monitor" else None


def borrowed_i0(
    log_intensity: NDArray[np.float32], field: Field, known_i0: Sequence[float]
) -> I0 | None:
    """Return specimen and I0 from an I0 known from elsewhere; None if the field has its own.

    Parameters
    ----------
    log_intensity : ndarray of shape (n_energies, ny, nx)
        ln(I); NaN where unknown.
    field : Field
        Specimen and support found in the images. If the support is darker than the known I0
        allows, it is thin specimen in a field without empty support.
    known_i0 : sequence of float
        Known I0 of each image.
    """
    known = np.log(known_i0)
    if field.empty.any():
        own = np.nanmean(log_intensity[:, field.empty], axis=1)
        if np.median(known - own) < DARKER_OD:
            return None
    od = known.mean() - log_intensity.mean(axis=0, dtype=np.float64)
    specimen = np.isfinite(od) & (np.nan_to_num(od) > MIN_OD_STEP)
    i0 = np.asarray(known_i0, dtype=np.float64)
    nothing_empty = Field(specimen, np.zeros_like(specimen))
    return I0(i0, np.zeros_like(i0), None, nothing_empty, (BORROWED,))


def is_without_edge(log_intensity: NDArray[np.float32], empty: NDArray[np.bool_]) -> bool:
    """Return True if the mean OD of a support changes evenly from image to image, as of a film.

    Thin specimen that passes for a support has an edge. False if there is no support.
    """
    if not empty.any():
        return False
    od = -np.asarray(np.nanmean(log_intensity[:, empty], axis=1, dtype=np.float64))
    steps = np.arange(len(od), dtype=np.float64)
    line = np.column_stack([np.ones(len(od)), steps - steps.mean()])
    left = od - line @ least_squares(line, od[:, None])[:, 0]
    return bool(np.ptp(left) < MIN_OD_STEP)


def specimen_in_box(
    field: Field, recipe: Recipe, extent_um: tuple[float, float, float, float]
) -> float:
    """Return the share of the recipe's box for I0 that is specimen; 0 without a box.

    It is also 0 in a field without empty support, where the two cannot be distinguished.
    """
    box = recipe.i0.region
    if recipe.i0.source != "region" or box is None or not field.empty.any():
        return 0.0
    return float(field.specimen[box_mask(box, extent_um, field.empty.shape)].mean())


def mean_over(intensity: NDArray[np.floating], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the mean counts of the masked pixels for every image, without NaN pixels.

    Parameters
    ----------
    intensity : ndarray of shape (n_energies, ny, nx)
    mask : ndarray of bool, shape (ny, nx)

    Returns
    -------
    ndarray of shape (n_energies,)

    Raises
    ------
    ValueError
        If an image has no usable pixel under the mask.

    Notes
    -----
    Counts are averaged, not optical densities: the mean of ln I0 is biased by counting noise.
    """
    chosen = of_pixels(intensity, mask)
    known = np.isfinite(chosen)
    counted = known.sum(axis=1)
    if chosen.shape[1] == 0 or np.any(counted == 0):
        raise ValueError("the region for I0 has no usable pixel")
    return np.asarray(chosen.sum(axis=1, dtype=np.float64, where=known) / counted)


def _std_of_mean(
    pixels: NDArray[np.float32],
    i0: NDArray[np.float64],
    scatter: float | None,
    counts_per_photon: float,
) -> NDArray[np.float64]:
    """Return the standard error of the mean of pixels (n_energies, n_pixels), without NaN.

    It comes from the dispersion. If that is unknown, it comes from the scatter of the pixels of
    all images; if each has one pixel only, from photon statistics.
    """
    n_pixels = np.isfinite(pixels).sum(axis=1)
    freedom = float((n_pixels - 1).sum())
    if scatter is None and freedom:
        scatter = float(np.nansum((pixels - i0[:, None]) ** 2 / i0[:, None]) / freedom)
    return np.asarray(np.sqrt((counts_per_photon if scatter is None else scatter) * i0 / n_pixels))


def _from_spectrum(
    known_ev: NDArray[np.float64],
    i0: NDArray[np.float64],
    energies_ev: Sequence[float],
    recipe: Recipe,
) -> NDArray[np.float64]:
    low, high = known_ev[0] - BEYOND_EV, known_ev[-1] + BEYOND_EV
    outside = [e for e in energies_ev if not low <= e <= high]
    if outside:
        raise ValueError(
            f"the I0 spectrum {recipe.i0.spectrum} covers {known_ev[0]:g} to {known_ev[-1]:g} eV, "
            f"the scan has {listed_ev(outside)} eV"
        )
    found = np.interp(energies_ev, known_ev, i0)
    dark = [e for e, value in zip(energies_ev, found, strict=True) if not value > 0]
    if dark:
        raise ValueError(
            f"the I0 spectrum {recipe.i0.spectrum} is not positive at {listed_ev(dark)} eV; "
            "correct the file, or exclude these energies in the recipe (exclude_energies_ev)"
        )
    return found


def _from_monitor(
    monitors: Sequence[float | None], energies_ev: Sequence[float]
) -> NDArray[np.float64]:
    if not monitors or all(value is None for value in monitors):
        raise ValueError(
            "the recipe takes I0 from a monitor, but the scan has no readings of one; the start "
            "document names its data key as stxm_live.i0_field (StackScan(i0_field=...))"
        )
    found = np.array([np.nan if value is None else value for value in monitors])
    bad = [e for e, value in zip(energies_ev, found, strict=True) if not value > 0]
    if bad:
        raise ValueError(
            f"the I0 monitor reads zero, a negative value or nothing at {listed_ev(bad)} eV; "
            "take I0 from elsewhere ([i0] source), or exclude these energies"
        )
    return found
