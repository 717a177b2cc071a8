"""Errors that all spectra of an area share: background, and what no mixture describes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.products import inner_product_of_blocks, inverse, product
from stxm_live.phase_mapping.likelihood import unbiased
from stxm_live.phase_mapping.spectrum_noise import SpectrumNoise

_ROUNDS = 4
"""Estimates of the misfit, each with the background of the one before."""


class SharedError(NamedTuple):
    """Error of the mean OD of an area.

    ``background`` has shape (n_energies,); ``shapes`` (n_terms, n_energies) are errors that are one
    standard deviation each, and ``misfit_std`` is that of each energy besides.
    """

    background: NDArray[np.float64]
    shapes: NDArray[np.float64]
    misfit_std: float


def mean_spectra(
    od: NDArray[np.floating],
    photons: NDArray[np.floating],
    members: NDArray[np.bool_],
    gain: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean OD of areas, and its variance by counting, (n_areas, n_energies) each.

    Of spectra that have all energies; the variance is infinite where an area has none.

    Parameters
    ----------
    od, photons : ndarray of shape (n_energies, n_spectra)
    members : ndarray of bool, shape (n_areas, n_spectra)
    gain : float
        Variance of the photons over their mean.
    """
    whole = np.asarray(photons.all(axis=0))
    n = np.maximum((members & whole).sum(axis=1), 0.5)[:, None]

    def known(areas: slice, part: slice) -> NDArray[np.float64]:
        return (members[areas, part] & whole[part]).astype(np.float64)

    def least(energies: slice, part: slice) -> NDArray[np.float64]:
        return np.where(whole[part], photons[energies, part], 1).astype(np.float64)

    def expected(energies: slice, part: slice) -> NDArray[np.float64]:
        values = unbiased(od[energies, part], least(energies, part), gain)
        return np.where(whole[part], values, 0)

    def variances(energies: slice, part: slice) -> NDArray[np.float64]:
        return gain / least(energies, part)

    shape = len(members), *od.shape
    mean = inner_product_of_blocks(known, expected, shape) / n
    variance = inner_product_of_blocks(known, variances, shape) / n**2
    return mean, np.where(n < 1, np.inf, variance)


def shared_error(
    mean_od: NDArray[np.float64],
    variance: NDArray[np.float64],
    references: NDArray[np.float64],
    noise: SpectrumNoise,
) -> SharedError:
    """Return what the mean spectrum of an area has besides its phases.

    Parameters
    ----------
    mean_od, variance : ndarray of shape (n_energies,)
        The variance is of all that is known of its errors.
    references : ndarray of shape (n_phases, n_energies)
    noise : SpectrumNoise
        Its baseline is that of a single spectrum; one that all have is as large.

    Notes
    -----
    A spectrum's own constant and slope are hardly known, and what all spectra share does not
    become less in their mean. The mean spectrum shows it: the fit of all references and of the
    baseline. What that leaves beyond the known errors is an error of the references or of the
    energy axis, and as large along the references as across them.
    """
    shapes = noise.baseline.shapes
    if not np.isfinite(variance).all():
        return SharedError(np.zeros(len(mean_od)), _prior(noise), 0.0)
    design = np.concatenate([references, shapes])
    n_phases, degrees = len(references), len(mean_od) - len(design)
    precision = np.concatenate([np.full(n_phases, 1e-9), noise.baseline.precision])
    misfit = 0.0
    for _ in range(_ROUNDS):
        weight = 1 / (variance + misfit)
        weighted = design * weight
        gram = product(weighted, design.T)
        gram[np.diag_indices(len(gram))] *= 1 + 1e-9
        covariance = inverse(gram + np.diag(precision))
        found = product(covariance, product(weighted, mean_od[:, None]))[:, 0]
        if degrees < 1:
            break
        left = np.square(mean_od - product(found[None], design)[0])
        misfit = max(0.0, float(left.sum() / degrees - variance.mean()))
    own = covariance[n_phases:, n_phases:]
    values, vectors = np.linalg.eigh(own) if len(own) else (np.empty(0), own)
    errors = product((vectors * np.sqrt(np.maximum(values, 0))).T, shapes)
    return SharedError(product(found[None, n_phases:], shapes)[0], errors, float(np.sqrt(misfit)))


def _prior(noise: SpectrumNoise) -> NDArray[np.float64]:
    """Return the baseline as large as it is expected to be; nothing for one that is free."""
    sizes = [0.0 if size is None else size for size in noise.baseline.std]
    return np.asarray(noise.baseline.shapes * np.array(sizes)[:, None])
