"""Composition of pixels that changes gradually along the series of the references."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.even_selection import at_least
from stxm_live.core.products import product
from stxm_live.core.series import Series
from stxm_live.phase_mapping.composition.models import Gradual, smooth_posterior
from stxm_live.phase_mapping.composition.neighborhood import cropped
from stxm_live.phase_mapping.composition.nodes import (
    Nodes,
    likelihoods,
    nodes_along,
    of_background,
    share_stds,
    steps_for,
)
from stxm_live.phase_mapping.counted_spectra import CountedSpectra
from stxm_live.phase_mapping.fitted_products import each_part, fitted_products
from stxm_live.phase_mapping.pixel_amounts import PixelAmounts
from stxm_live.phase_mapping.weighted_products import Products

_TYPICAL_SPECTRA = 1_000
"""An even selection, from which the steps of the composition are chosen."""


class SmoothPixels(NamedTuple):
    """Amounts of each spectrum, and the probability that each reference is the nearest.

    ``probability`` has shape (n_phases, n_spectra).
    """

    amounts: PixelAmounts
    probability: NDArray[np.float32]


def smooth_pixels(
    spectra: CountedSpectra,
    mask: NDArray[np.bool_],
    series: Series,
    *,
    gradual: Gradual,
    scatter: float,
    shared_std: float = 0.0,
) -> SmoothPixels:
    """Return the composition of each spectrum, by itself and its neighbors.

    Parameters
    ----------
    spectra : CountedSpectra
    mask : ndarray of bool, shape (ny, nx)
        Where the spectra are from, in row-major order.
    series : Series
    gradual : Gradual
    scatter : float
        Variance of the photons over their mean, as spectra scatter about mixtures.
    shared_std : float
        Error of the OD that all pixels share, that of I0. Neighbors do not make it smaller.

    Notes
    -----
    Values of every node count by their posterior: its own spectrum, thickness integrated out,
    times what the neighbors make probable. Mean and standard deviation are the result.
    """
    typical = fitted_products(spectra.at(at_least(_TYPICAL_SPECTRA, spectra.n_spectra)))
    per_gap, factor = steps_for(float(share_stds(typical, series.order, scatter).min()))
    nodes = nodes_along(series.order, series.values, per_gap=per_gap)
    scatter *= factor
    baseline = spectra.noise.baseline.in_units_of(spectra.noise.gain)
    of_neighbors = of_background(typical, series.order, baseline)

    def of_part(part: slice, found: Products) -> NDArray[np.float32]:
        along, square = found.of_shares(nodes.shares)
        likelihood = likelihoods(found, nodes.shares, scatter)
        return np.stack([likelihood, along / square, scatter / square]).astype(np.float32)

    likelihood, thick, thick_variance = np.concatenate(each_part(of_part, spectra), axis=2)
    anything = product(nodes.weight[None], likelihood)[0]
    posterior = smooth_posterior(likelihood, anything, nodes, cropped(mask), gradual)
    # one over the variance of the OD
    of_noise = np.maximum(spectra.photons, 1).mean(axis=0) / scatter
    alone = _x_variance(likelihood, nodes)
    of_shared = alone * of_noise * shared_std**2
    thickness = (posterior * thick).sum(axis=0)
    variance = (posterior * (thick_variance + np.square(thick - thickness))).sum(axis=0)
    share, share_std, x, x_variance = _shares_and_x(posterior, nodes)
    # what neighbors took from the variance of the background is still there
    x_variance += of_shared + of_neighbors * np.maximum(alone - x_variance, 0)
    amounts = PixelAmounts(
        share,
        share_std,
        thickness.astype(np.float32),
        np.sqrt(variance).astype(np.float32),
        x,
        np.sqrt(x_variance).astype(np.float32),
    )
    nearest = np.eye(len(spectra.references))[nodes.shares.argmax(axis=1)].T
    return SmoothPixels(amounts, product(nearest, posterior).astype(np.float32))


def _x_variance(likelihood: NDArray[np.float32], nodes: Nodes) -> NDArray[np.float64]:
    """Return the variance of the series' number of each spectrum by itself, (n_spectra,)."""
    alone = likelihood * nodes.weight[:, None]
    alone /= alone.sum(axis=0)
    x, x_square = product(np.stack([nodes.x, nodes.x**2]), alone)
    return np.asarray(x_square - x**2)


def _shares_and_x(
    posterior: NDArray[np.floating], nodes: Nodes
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Return the shares (n_phases, n_spectra) and their deviations, the number and its variance."""
    of_nodes = np.concatenate([nodes.shares.T, nodes.x[None]])
    both = np.concatenate([of_nodes, np.square(of_nodes)])
    mean, square = np.split(product(both, posterior), 2)
    variance = np.maximum(square - mean**2, 0)
    mean, std = mean.astype(np.float32), np.sqrt(variance[:-1]).astype(np.float32)
    return mean[:-1], std, mean[-1], variance[-1].astype(np.float64)
