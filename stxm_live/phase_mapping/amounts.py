"""`Amounts` of a map: pixels, particles and the whole specimen."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.amounts import Amounts, AreaTotal
from stxm_live.core.recipe import Recipe
from stxm_live.core.recipe_options import PhaseOptions
from stxm_live.phase_mapping.area_amounts import (
    AreaAmounts,
    AreaErrors,
    AreaSums,
    area_amounts,
    area_sums,
    members_of,
)
from stxm_live.phase_mapping.assignment import Resolution
from stxm_live.phase_mapping.correlation import Correlated
from stxm_live.phase_mapping.counted_spectra import CountedSpectra
from stxm_live.phase_mapping.fitted_products import each_part
from stxm_live.phase_mapping.images import images_of
from stxm_live.phase_mapping.pixel_amounts import (
    CommonMixtures,
    PixelAmounts,
    common_mixtures,
    moments,
)
from stxm_live.phase_mapping.scan_noise import noise_of, photon_gain, photons_of
from stxm_live.phase_mapping.stray_light import without_stray_light
from stxm_live.phase_mapping.weighted_products import Products
from stxm_live.preprocessing.normalization import ODStack

LEAST_PARTICLE_PX = 12
"""Smaller connected areas of the specimen are no particles of their own."""

MOST_PARTICLES = 30
"""The largest ones; of more the specimen as a whole says enough."""

_TOGETHER = 26.0
"""Neighboring pixels whose labels are wrong together, on average."""


def amounts_of(
    find_spectra: Callable[[], Correlated],
    stack: ODStack,
    resolution: Resolution,
    recipe: Recipe,
    found_references: NDArray[np.float64] | None = None,
    pixels: PixelAmounts | None = None,
) -> Amounts | None:
    """Return how much of each phase a map's pixels, particles and specimen hold.

    None without a mapped pixel.

    Parameters
    ----------
    find_spectra : callable
        Returns those of the mapped pixels, without gaps; called again for areas that are drawn.
    stack : ODStack
    resolution : Resolution
        Its probabilities give the shares by pixels, its dispersion the scatter of the spectra.
    recipe : Recipe
        Its ``[phases]`` has values of the phases and the thickness of the references.
    found_references : ndarray of shape (n_phases, n_energies), optional
        References on the energy axis that the scan shows. The amounts are for those of the recipe,
        and the difference is an error that all pixels share.
    pixels : PixelAmounts, optional
        Amounts of the pixels that are known already.
    """
    if not stack.mapped.any():
        return None
    references, unit = recipe.corrected_references, recipe.phases.reference_nm or 1.0
    values = recipe.phases.in_order(references.phase_names)

    def counted() -> CountedSpectra:
        found = _as_labelled(find_spectra(), stack, resolution, recipe)
        return found._replace(references=found.references / unit)

    spectra = counted()
    mixtures = common_mixtures(spectra)
    errors = _area_errors(stack, recipe, found_references, mixtures.dispersion)
    particle = _particles(stack.mapped)
    numbers = np.arange(0, particle.max(initial=0) + 1)
    areas = (particle == numbers[:, None]) | (numbers[:, None] == 0)
    found, known = _pixels_and_sums(spectra, mixtures, values, areas, known=pixels)
    total = area_amounts(spectra, areas, errors, values=values, known=known)
    del spectra, areas

    def find_total(mask: NDArray[np.bool_]) -> AreaTotal:
        area = mask[stack.mapped][None]
        return _total(area_amounts(counted(), area, errors, values=values))

    return _amounts(found, particle, total, stack.mapped, resolution, recipe.phases, find_total)


def _as_labelled(
    spectra: Correlated, stack: ODStack, resolution: Resolution, recipe: Recipe
) -> CountedSpectra:
    """Return spectra without stray light, with the photons and the noise of the labels."""
    photons, noise = photons_of(stack, recipe), resolution.noise
    if noise is None:
        noise = noise_of(spectra, photons, stack, recipe)
    counted = CountedSpectra(spectra.od, photons, spectra.references, noise)
    if resolution.noise is None or not resolution.stray_light:
        return counted
    od, photons = without_stray_light(counted, resolution.stray_light)
    return counted._replace(od=od, photons=photons)


def _pixels_and_sums(
    spectra: CountedSpectra,
    mixtures: CommonMixtures,
    values: NDArray[np.float64] | None,
    areas: NDArray[np.bool_],
    *,
    known: PixelAmounts | None,
) -> tuple[PixelAmounts, AreaSums]:
    """Return the amounts of pixels, unless they are known, and sums over areas, at one go."""
    members = members_of(areas, spectra.photons, len(spectra.references))
    n_rows = 0 if known is not None else 2 * len(spectra.references) + 4
    rows = np.empty((n_rows, spectra.n_spectra), dtype=np.float32)

    def of_part(part: slice, found: Products) -> NDArray[np.float64]:
        if n_rows:
            rows[:, part] = moments(found, mixtures, values)
        return area_sums(found, members[:, part])

    sums = AreaSums(members, np.sum(each_part(of_part, spectra), axis=0))
    return known or PixelAmounts.of(rows, known=values is not None), sums


def _amounts(
    pixels: PixelAmounts,
    particle: NDArray[np.intp],
    total: AreaAmounts,
    mapped: NDArray[np.bool_],
    resolution: Resolution,
    phases: PhaseOptions,
    find_total: Callable[[NDArray[np.bool_]], AreaTotal],
) -> Amounts:
    """Return the amounts of pixels and areas, as images and with the shares of the phases."""
    image = partial(images_of, mapped=mapped)
    share, share_std = expected_shares(resolution.probability)
    volume, volume_std = expected_shares(resolution.probability, pixels.thickness)
    return Amounts(
        composition=image(pixels.share),
        composition_std=image(pixels.share_std),
        thickness=image(pixels.thickness),
        thickness_std=image(pixels.thickness_std),
        value=None if pixels.value is None else image(pixels.value),
        value_std=None if pixels.value_std is None else image(pixels.value_std),
        particle_number=image(np.where(particle > 0, particle, -1).astype(np.int8)),
        pixel_share=share,
        pixel_share_std=share_std,
        volume_share=volume,
        volume_share_std=volume_std,
        area_pixels=total.pixels,
        area_thickness=total.thickness,
        area_thickness_std=total.thickness_std,
        area_composition=total.share,
        area_composition_std=total.share_std,
        area_value=total.value,
        area_value_std=total.value_std,
        quantity=phases.quantity,
        unit="references" if phases.reference_nm is None else "nm",
        find_total=find_total,
    )


def _area_errors(
    stack: ODStack,
    recipe: Recipe,
    found_references: NDArray[np.float64] | None,
    dispersion: float,
) -> AreaErrors:
    """Return the errors that all pixels of an area have together."""
    references, unit = recipe.corrected_references, recipe.phases.reference_nm or 1.0
    std, change = references.std_at(stack.energies_ev), None
    if found_references is not None:
        change = np.nan_to_num(found_references - references.at(stack.energies_ev)) / unit
    return AreaErrors(
        dispersion,
        smoothing=photon_gain(stack),
        common_std=np.nan_to_num(stack.i0_std / stack.i0),
        reference_std=None if std is None else std / unit,
        reference_change=change,
    )


def _total(found: AreaAmounts) -> AreaTotal:
    """Return the only area as numbers."""
    return AreaTotal(
        n_pixels=int(found.pixels[0]),
        thickness=float(found.thickness[0]),
        thickness_std=float(found.thickness_std[0]),
        composition=found.share[0],
        composition_std=found.share_std[0],
        value=None if found.value is None else float(found.value[0]),
        value_std=None if found.value_std is None else float(found.value_std[0]),
    )


def expected_shares(
    probability: NDArray[np.floating], weight: NDArray[np.floating] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the expected share of each phase, and its standard uncertainty.

    Parameters
    ----------
    probability : ndarray of shape (n_phases, n_spectra)
        Where one label is wrong its neighbors often are too, so that fewer are independent.
    weight : ndarray of shape (n_spectra,), optional
        Thickness, for shares by volume; pixels count alike without it.

    Examples
    --------
    >>> share, std = expected_shares(np.array([[0.9] * 400, [0.1] * 400]))
    >>> share.round(2), std.round(3)
    (array([0.9, 0.1]), array([0.076, 0.076]))
    """
    p = probability.astype(np.float64)
    w = np.ones(p.shape[1]) if weight is None else weight.astype(np.float64)
    total = max(float(w.sum()), np.finfo(np.float64).tiny)
    spread = w**2 * p
    spread *= 1 - p
    variance = _TOGETHER * spread.sum(axis=1)
    p *= w
    return p.sum(axis=1) / total, np.sqrt(variance) / total


def _particles(mapped: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the particle of each mapped pixel, the largest is 1; 0 for specks."""
    from scipy.ndimage import label

    found = label(mapped, np.ones((3, 3)))[0][mapped]
    size = np.bincount(found)
    order = np.argsort(-size, kind="stable")
    large = [k for k in order if size[k] >= LEAST_PARTICLE_PX][:MOST_PARTICLES]
    number = np.zeros(len(size), dtype=np.intp)
    number[large] = np.arange(1, len(large) + 1)
    return np.asarray(number[found])
