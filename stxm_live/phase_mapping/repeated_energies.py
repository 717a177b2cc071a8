"""Comparison of an energy's repeated image with its first, to find a change of the specimen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.od_uncertainty import smoothing
from stxm_live.core.recipe import Recipe
from stxm_live.core.specimen_change import SpecimenChange
from stxm_live.phase_mapping.change_fit import MIN_PIXELS, Expected, fitted_change
from stxm_live.phase_mapping.correlation import best_two, pearson
from stxm_live.preprocessing.normalization import ODStack, RepeatedImage
from stxm_live.preprocessing.repeated_images import i0_ratio

I0_STD = 0.01
"""Relative standard uncertainty of the light on the specimen in each image, beyond that of I0."""

UNKNOWN_I0_STD = 0.1
"""The same for two images without empty support: a ring current falls by so much in a scan."""

ENERGY_STD_EV = 0.01
"""Standard uncertainty of an energy that a monochromator returns to."""

_SMOOTHING_PX = 1.0
"""Standard deviation of the Gaussian over the other energies' images before they are labelled."""

BLOCK_PX = 8
"""Side of the squares within which what is left may be alike."""

_STEP_EV = 0.05


def change_of(
    stack: ODStack, references: NDArray[np.float64], recipe: Recipe
) -> SpecimenChange | None:
    """Return the most significant change between repeated and first images; None without any.

    Parameters
    ----------
    stack : ODStack
    references : ndarray of shape (n_phases, n_energies)
        At the energies of the stack.
    recipe : Recipe

    Notes
    -----
    The difference of the two optical densities is fitted, by weighted least squares over the
    specimen, with errors of the measurement and with a change of the specimen. The former are a
    constant (I0), the slopes of the image (alignment), its curvature (focus) and the derivative
    by the energy, with the widths that such errors have. The latter is a share of every phase
    that became its neighbor in the list, if references are of equal amounts, or a change of the
    amount. Labels and thickness come from the other energies, because noise of the first image
    would otherwise be on both sides of the fit.
    """
    changes = [
        change
        for repeated in stack.repeated
        if (change := _compared(stack, repeated, references, recipe)) is not None
    ]
    if not changes:
        return None
    most = max(changes, key=lambda change: change.sigma / change.needed_sigma)
    return replace(most, needed_sigma=_of_several(most.needed_sigma, len(changes)))


def change_in_words(change: SpecimenChange, phase_names: tuple[str, ...]) -> str:
    """Return a sentence on the two images of one energy."""
    k = change.largest_phase
    od, std = change.phase_od_change[k], change.phase_od_change_std[k]
    if not change.is_significant or od is None or std is None:
        return (
            f"the repeated image at {change.energy_ev:g} eV shows no change of the specimen: its "
            f"OD differs by {change.od_change:+.3f} ± {change.od_change_std:.3f} from the first"
        )
    share, share_std = 100 * abs(change.share), 100 * change.share_std
    if change.kind == "amount":
        more = "more" if change.share > 0 else "less"
        meaning = f"as if there were {share:.1f} ± {share_std:.1f} % {more} material"
    else:
        meaning = (
            f"as if {share:.1f} ± {share_std:.1f} % of each phase had become the one "
            f"{change.kind} it in the list"
        )
    lower = "lower" if od < 0 else "higher"
    return (
        f"the specimen changed during the scan: OD of {phase_names[k]} at {change.energy_ev:g} eV "
        f"is {abs(od):.3f} ± {std:.3f} {lower} in the repeated image than in the first, {meaning} "
        f"({change.sigma:.1f} sigma)"
    )


def _compared(
    stack: ODStack, repeated: RepeatedImage, references: NDArray[np.float64], recipe: Recipe
) -> SpecimenChange | None:
    row = stack.energies_ev.index(repeated.first_ev)
    inside = _interior(stack.mapped) & np.isfinite(repeated.intensity)
    others = [k for k in range(len(stack.energies_ev)) if k != row]
    if inside.sum() < MIN_PIXELS or len(others) < 2 or len(references) < 2:
        return None
    expected = _expected(stack, row, others, references, recipe, inside)
    if expected is None:
        return None
    again, first = repeated.intensity[inside], stack.intensity[row][inside]
    ratio = i0_ratio(repeated, stack.intensity[row], stack.field.empty)
    difference = np.log(first.astype(np.float64)) - np.log(again.astype(np.float64))
    difference += np.log(1.0 if ratio is None else ratio)
    photon = recipe.detector.photons_per_count
    gain = 1 / photon if stack.dispersion is None else stack.dispersion
    mean = stack.i0[row] * np.exp(-np.clip(expected.total, -1, 6))
    first_variance, again_variance = gain / mean, gain / (mean * (1.0 if ratio is None else ratio))
    # ln n is too low by half the variance, which a moved image has less of
    smoothed = smoothing(np.array([stack.shifts_px[row], repeated.shift_px]))
    difference += 0.5 * (smoothed[0] * first_variance - smoothed[1] * again_variance)
    variance = first_variance + again_variance
    i0_std = (
        UNKNOWN_I0_STD
        if ratio is None
        else float(np.hypot(I0_STD, stack.i0_std[row] / stack.i0[row]) * np.sqrt(2))
    )
    energy_std_ev = np.hypot(np.sqrt(2) * ENERGY_STD_EV, repeated.energy_ev - repeated.first_ev)
    return fitted_change(
        difference,
        variance,
        expected,
        repeated.first_ev,
        i0_std,
        float(energy_std_ev),
        len(references),
    )


def _of_several(needed_sigma: float, n: int) -> float:
    """Return the significance that the largest of n reaches as rarely as one does."""
    from scipy.special import ndtr, ndtri

    return needed_sigma if n == 1 else float(-ndtri(ndtr(-needed_sigma) / n))


def _interior(mapped: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels away from the rim, where thickness changes within a pixel."""
    from scipy.ndimage import binary_erosion

    inner = binary_erosion(mapped, iterations=1)
    return np.asarray(inner if inner.sum() >= MIN_PIXELS else mapped)


def _smooth(image: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return a smoothed image (ny, nx) of the known pixels; others do not count."""
    from scipy.ndimage import gaussian_filter

    weight = gaussian_filter(known.astype(np.float64), _SMOOTHING_PX)
    filled = np.where(known, image, 0.0).astype(np.float64)
    return np.asarray(gaussian_filter(filled, _SMOOTHING_PX) / np.maximum(weight, 1e-6))


def _expected(
    stack: ODStack,
    row: int,
    others: list[int],
    references: NDArray[np.float64],
    recipe: Recipe,
    inside: NDArray[np.bool_],
) -> Expected | None:
    """Predict the specimen at one energy; None if the references do not reach beside it."""
    mapped, od = stack.mapped, stack.od
    spectra = np.stack([_smooth(od[k], mapped)[mapped] for k in others])
    label = best_two(pearson(spectra, references[:, others])).first_index
    if (label < 0).any():
        return None
    own = references[:, others][label].T
    own = own - own.mean(axis=0)
    thickness = (own * spectra).sum(axis=0) / np.maximum((own**2).sum(axis=0), 1e-12)
    at = references[:, row]
    per_ev = _per_ev(stack.energies_ev[row], recipe)
    before, after = np.maximum(label - 1, 0), np.minimum(label + 1, len(at) - 1)
    image = np.zeros(mapped.shape)
    image[mapped] = thickness * at[label]
    kept = inside[mapped]
    t, k = thickness[kept], label[kept]
    constant = spectra.mean(axis=0) - thickness * references[:, others].mean(axis=1)[label]
    return Expected(
        label=k,
        total=t * at[k] + constant[kept],
        od=t * at[k],
        before=t * (at[before[kept]] - at[k]),
        after=t * (at[after[kept]] - at[k]),
        per_ev=t * per_ev[k],
        slopes=_slopes(image, inside),
        block=_blocks(inside),
    )


def _per_ev(energy_ev: float, recipe: Recipe) -> NDArray[np.float64]:
    """Return the derivative of each reference by the energy, shape (n_phases,)."""
    spectra = recipe.corrected_references
    lowest, highest = spectra.energies_ev[0], spectra.energies_ev[-1]
    ends = np.array([max(energy_ev - _STEP_EV, lowest), min(energy_ev + _STEP_EV, highest)])
    low, high = spectra.at(ends).T
    return np.asarray((high - low) / float(ends[1] - ends[0]))


def _blocks(inside: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the number of the square of `BLOCK_PX` pixels that each pixel is in."""
    rows, columns = (places // BLOCK_PX for places in np.nonzero(inside))
    return np.unique(rows * inside.shape[1] + columns, return_inverse=True)[1]


def _slopes(image: NDArray[np.float64], inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    from scipy.ndimage import laplace

    fields = np.stack([*np.gradient(image), laplace(image)])
    return np.asarray(fields[:, inside])
