"""Composition and thickness of whole areas, from the sum of their spectra's evidence."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.even_selection import at_least
from stxm_live.core.products import inner_product, inverse, inverses, product
from stxm_live.phase_mapping.counted_spectra import CountedSpectra
from stxm_live.phase_mapping.fitted_products import each_part
from stxm_live.phase_mapping.likelihood import n_measured, typical_photons
from stxm_live.phase_mapping.shared_errors import mean_spectra, shared_error
from stxm_live.phase_mapping.weighted_products import Products, products

_WIDEST = 1e4
"""Standard deviation of an amount before the scan, in typical thicknesses: nothing is known."""

_TYPICAL_SPECTRA = 10_000
"""An even selection, from which it is seen how many photons a pixel has."""

_CHAINS, _SWEEPS, _FIRST = 128, 40, 15
"""Samples of an area's composition; the first sweeps do not count."""


class AreaAmounts(NamedTuple):
    """Means and standard uncertainties of areas.

    ``pixels``, ``thickness``, ``thickness_std``, ``value`` and ``value_std`` have shape
    (n_areas,), ``share`` and ``share_std`` (n_areas, n_phases).
    """

    pixels: NDArray[np.int64]
    thickness: NDArray[np.float64]
    thickness_std: NDArray[np.float64]
    share: NDArray[np.float64]
    share_std: NDArray[np.float64]
    value: NDArray[np.float64] | None
    value_std: NDArray[np.float64] | None


class AreaErrors(NamedTuple):
    """Errors of the spectra that an area's mean does not lose, or only in part.

    Parameters
    ----------
    dispersion : float
        How far spectra scatter about the references.
    smoothing : float
        Factor on a pixel's variance from moving the images. The mean of many pixels is no surer by
        it, for neighbors then share their noise.
    common_std : ndarray of shape (n_energies,), optional
        Error of the OD that all pixels of an image share, that of I0.
    reference_std : ndarray of shape (n_phases, n_energies), optional
        Errors of the references, which all pixels share too.
    reference_change : ndarray of shape (n_phases, n_energies), optional
        Change of the references that the scan asks for and that was not made, such as another
        energy axis: an error of one standard deviation, of all energies together.
    """

    dispersion: float
    smoothing: float = 1.0
    common_std: NDArray[np.float64] | None = None
    reference_std: NDArray[np.float64] | None = None
    reference_change: NDArray[np.float64] | None = None


class AreaSums(NamedTuple):
    """`members_of` areas, and `area_sums` of all spectra."""

    members: NDArray[np.bool_]
    sums: NDArray[np.float64]


def area_amounts(
    spectra: CountedSpectra,
    areas: NDArray[np.bool_],
    errors: AreaErrors,
    *,
    values: NDArray[np.float64] | None = None,
    known: AreaSums | None = None,
) -> AreaAmounts:
    """Return how much of each reference whole areas hold.

    Parameters
    ----------
    spectra : CountedSpectra
    areas : ndarray of bool, shape (n_areas, n_spectra)
    errors : AreaErrors
    values : ndarray of shape (n_phases,), optional
    known : AreaSums, optional
        Sums over the areas, if they are known already.

    Notes
    -----
    Every spectrum is fitted with all references at once, with either sign. Such amounts are
    uncertain, but they are not biased, so that their sum is the area's whatever its pixels
    are: pure, mixed or in layers. Only the sum must not be negative. The result is the most
    probable one; the uncertainty is that of its normal distribution where all amounts are
    positive, by samples along the principal axes, about that result.
    """
    members, sums = _sums_of(spectra, areas) if known is None else known
    mean, covariance = _means(sums, len(spectra.references))
    gain = max(errors.dispersion, spectra.noise.gain) / errors.smoothing
    covariance *= gain
    _add_shared_errors(mean, covariance, spectra, mean_spectra(*spectra[:2], members, gain), errors)
    best, samples = _positive(mean, covariance)
    thickness, thickness_std = _best_and_std(best.sum(axis=1), samples.sum(axis=2))
    # brighter than I0: the error is as large as what is less than nothing
    thickness_std = np.where(
        thickness > 0, thickness_std, np.hypot(thickness_std, mean.sum(axis=1))
    )
    share, shares = _shares(best), _shares(samples)
    value = value_std = None
    if values is not None:
        best_value, of_samples = (share * values).sum(axis=1), (shares * values).sum(axis=2)
        value, value_std = _best_and_std(best_value, of_samples)
    # pixels with fewer energies than phases are as the others of their area
    return AreaAmounts(
        areas.sum(axis=1),
        thickness,
        thickness_std,
        *_best_and_std(share, shares),
        value,
        value_std,
    )


def _sums_of(spectra: CountedSpectra, areas: NDArray[np.bool_]) -> AreaSums:
    members = members_of(areas, spectra.photons, len(spectra.references))
    parts = each_part(lambda part, found: area_sums(found, members[:, part]), spectra)
    return AreaSums(members, np.sum(parts, axis=0))


def _add_shared_errors(
    mean: NDArray[np.float64],
    covariance: NDArray[np.float64],
    spectra: CountedSpectra,
    of_areas: tuple[NDArray[np.float64], NDArray[np.float64]],
    errors: AreaErrors,
) -> None:
    """Take the background that an area shares from its amounts, and add the errors it shares.

    ``of_areas`` are the areas' `mean_spectra` and their variance.
    """
    operator = _common_operator(spectra)
    for k, (each, mean_od, counted) in enumerate(zip(mean, *of_areas, strict=True)):
        variance = np.zeros(len(mean_od))
        if errors.common_std is not None:
            variance += errors.common_std**2
        thick = np.maximum(each, 0)
        thick *= max(each.sum(), 0) / max(thick.sum(), 1e-12)
        if errors.reference_change is not None:
            changed = product(operator, product(thick[None], errors.reference_change).T)
            covariance[k] += product(changed, changed.T)
        if errors.reference_std is not None:
            variance += np.square(thick[:, None] * errors.reference_std).sum(axis=0)
        shared = shared_error(mean_od, counted + variance, spectra.references, spectra.noise)
        variance += shared.misfit_std**2
        mean[k] -= product(operator, shared.background[:, None])[:, 0]
        covariance[k] += product(operator * variance, operator.T)
        of_background = product(operator, shared.shapes.T)
        covariance[k] += product(of_background, of_background.T)


def _shares(amounts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the shares of amounts (..., n_phases), all the same where there is nothing."""
    total = amounts.sum(axis=-1, keepdims=True)
    some = np.maximum(total, np.finfo(np.float64).tiny)
    return np.asarray(np.where(total > 0, amounts / some, 1 / amounts.shape[-1]))


def _best_and_std(
    best: NDArray[np.float64], samples: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the best value and the deviation of the samples (n_areas, n_samples, ...) from it."""
    return best, np.hypot(samples.std(axis=1), samples.mean(axis=1) - best)


def area_sums(found: Products, members: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return sums over areas of the amounts, their covariance without its scale, and the pixels.

    Shape (n_areas, n_phases + n_phases**2 + 1).

    Parameters
    ----------
    found : Products
        Of some spectra.
    members : ndarray of bool, shape (n_areas, n_spectra)
    """
    n_phases = len(found.along)
    of_each = _inverses(found.gram(), found.along)
    amounts = np.einsum("ijn,jn->in", of_each, found.along)
    rows = [amounts, of_each.reshape(n_phases**2, -1), np.ones_like(amounts[:1])]
    return inner_product(members.astype(np.float64), np.concatenate(rows))


def _means(
    sums: NDArray[np.float64], n_phases: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean amounts (n_areas, n_phases) and their covariance without its scale."""
    known = np.maximum(sums[:, -1:], 1)
    covariance = sums[:, n_phases:-1] / known**2
    return sums[:, :n_phases] / known, covariance.reshape(len(sums), n_phases, n_phases)


def members_of(
    areas: NDArray[np.bool_], photons: NDArray[np.floating], n_phases: int
) -> NDArray[np.bool_]:
    """Return the spectra of each area (n_areas, n_spectra) that say how much it holds.

    Those with fewer energies than phases do not, if others have more.
    """
    enough = np.broadcast_to(n_measured(photons) > n_phases, areas.shape[1])
    return areas & enough if enough.any() else areas


def _inverses(gram: NDArray[np.float64], along: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the inverses (n_phases, n_phases, n), also of references that are alike."""
    diagonal = np.arange(len(gram))
    thickness = np.maximum((along / gram[diagonal, diagonal]).max(axis=0), 1e-3)
    gram[diagonal, diagonal] += 1 / (_WIDEST * thickness) ** 2
    return inverses(gram)


def _common_operator(spectra: CountedSpectra) -> NDArray[np.float64]:
    """Return by how much an OD at one energy changes the amounts, (n_phases, n_energies)."""
    _, photons, references, noise = spectra
    n_energies = references.shape[1]
    some = photons[:, at_least(_TYPICAL_SPECTRA, photons.shape[1])]
    typical = np.maximum(typical_photons(some).astype(np.float64), 1e-9)
    weight = np.repeat(typical[:, None], n_energies, axis=1)
    in_photons = noise.baseline.in_units_of(noise.gain)
    found = products(np.eye(n_energies), weight, references, in_photons)
    gram = found.gram()[:, :, 0]
    gram += np.diag(np.diag(gram)) * 1e-9
    return product(inverse(gram), found.along)


def _positive(
    mean: NDArray[np.float64], covariance: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the most probable amounts (n_areas, n_phases) that are not negative, and samples.

    Samples have shape (n_areas, n_samples, n_phases).
    """
    from scipy.optimize import nnls
    from scipy.special import ndtr, ndtri

    rng, least = np.random.default_rng(0), 1e-9
    best, axes, to_axes = [], [], []
    for m, c in zip(mean, covariance, strict=True):
        values, vectors = np.linalg.eigh(c)
        root = np.sqrt(np.maximum(values, 1e-14 * max(values[-1], 1e-30)))
        whitening = (vectors / root).T
        best.append(nnls(whitening, product(whitening, m[:, None])[:, 0])[0])
        axes.append(vectors * root)
        to_axes.append(whitening)
    found, axis, inverse_axis = np.array(best), np.array(axes), np.array(to_axes)
    start = found + least * np.maximum(found.sum(axis=1, keepdims=True), 1e-6)
    amounts = np.repeat(start[:, None], _CHAINS, axis=1)
    place = np.einsum("akj,acj->ack", inverse_axis, amounts - mean[:, None])
    kept = []
    for sweep in range(_SWEEPS):
        for d in range(mean.shape[1]):
            along = axis[:, None, :, d]
            with np.errstate(divide="ignore", invalid="ignore"):
                reach = -amounts / along
            low = np.where(along > 0, reach, -np.inf).max(axis=2) + place[:, :, d]
            high = np.where(along < 0, reach, np.inf).min(axis=2) + place[:, :, d]
            first, last = ndtr(low), ndtr(high)
            drawn = ndtri(first + rng.random(first.shape) * (last - first))
            # far in a tail the two are the same number: the nearest end is where it is likely
            drawn = np.where(np.isfinite(drawn) & (last > first), drawn, np.clip(0.0, low, high))
            drawn = np.clip(drawn, np.minimum(low, high), np.maximum(low, high))
            amounts = amounts + along * (drawn - place[:, :, d])[:, :, None]
            np.maximum(amounts, 0.0, out=amounts)
            place[:, :, d] = drawn
        if sweep >= _FIRST:
            kept.append(amounts)
    return found, np.concatenate(kept, axis=1)
