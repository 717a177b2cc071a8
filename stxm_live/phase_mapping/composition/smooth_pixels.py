"""Composition of pixels, by themselves and their neighbors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.even_selection import at_least
from stxm_live.core.products import product
from stxm_live.core.series import Series
from stxm_live.core.threads import in_threads
from stxm_live.phase_mapping.composition.meeting import Mixtures, meeting
from stxm_live.phase_mapping.composition.models import Gradual, smooth_prior
from stxm_live.phase_mapping.composition.neighborhood import Witnesses, cropped
from stxm_live.phase_mapping.composition.nodes import (
    Nodes,
    likelihoods,
    likelihoods_of,
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
    times what the neighbors make probable: a composition that changes gradually, and where they
    are of several phases, mixtures of every two of them. Mean and standard deviation are the
    result.
    """
    chosen = at_least(_TYPICAL_SPECTRA, spectra.n_spectra)
    typical, mask = fitted_products(spectra.at(chosen)), cropped(mask)
    per_gap, factor = steps_for(float(share_stds(typical, series.order, scatter).min()))
    path = nodes_along(series.order, series.values, per_gap=per_gap)
    scatter *= factor

    def fitted(part: slice, products: Products) -> tuple[slice, Products, NDArray[np.float32]]:
        return part, products, likelihoods(products, path.shares, scatter).astype(np.float32)

    places, found, of_parts = zip(*each_part(fitted, spectra), strict=True)
    likelihood = np.concatenate(of_parts, axis=1)
    anything = product(path.weight[None], likelihood)[0]
    gradually = smooth_prior(likelihood, anything, path, mask, gradual)
    met = meeting(Witnesses.of(likelihood[::per_gap], anything, mask))
    del likelihood
    mixtures = Mixtures.of(path, typical, series, scatter)
    often = mixtures.share(typical, gradually[:, chosen], met[:, chosen], scatter)

    def of_part(part: slice, products: Products) -> NDArray[np.float32]:
        prior = mixtures.prior(gradually[:, part], met[:, part], often)
        return _moments(products, mixtures, prior, path, scatter)

    rows = np.concatenate(in_threads(of_part, places, found), axis=1)
    n_phases = len(spectra.references)
    share, share_std, (thickness, thickness_std, x, variance, alone), probability = np.split(
        rows, np.cumsum([n_phases, n_phases, 5])
    )
    baseline = spectra.noise.baseline.in_units_of(spectra.noise.gain)
    # what neighbors took from the variance of the background is still there
    variance += of_background(typical, series.order, baseline) * np.maximum(alone - variance, 0)
    # one over the variance of the OD
    of_noise = np.maximum(spectra.photons, 1).mean(axis=0) / scatter
    variance += alone * of_noise * shared_std**2
    amounts = PixelAmounts(share, share_std, thickness, thickness_std, x, np.sqrt(variance))
    return SmoothPixels(amounts, probability)


def _moments(
    found: Products,
    mixtures: Mixtures,
    prior: NDArray[np.float64],
    path: Nodes,
    scatter: float,
) -> NDArray[np.float32]:
    """Return what the posterior says of spectra, (3 n_phases + 5, n_spectra).

    Shares and their deviations; thickness and its deviation, the series' number and its variance,
    that of each spectrum by itself; probability that each reference is the nearest.
    """
    along, square = found.of_shares(mixtures.shares)
    own = likelihoods_of(along, square, scatter)
    posterior = prior * own
    posterior /= posterior.sum(axis=0)
    of_nodes = np.concatenate([mixtures.shares.T, mixtures.x[None]])
    nearest = np.eye(len(found.along))[mixtures.shares.argmax(axis=1)].T
    sums = product(np.concatenate([of_nodes, np.square(of_nodes), nearest]), posterior)
    mean, square_mean, probability = np.split(sums, [len(of_nodes), 2 * len(of_nodes)])
    variance = np.maximum(square_mean - mean**2, 0)
    along /= square
    thickness = np.einsum("in,in->n", posterior, along)
    along -= thickness
    of_thickness = np.einsum("in,in->n", posterior, scatter / square + np.square(along))
    alone = own[: len(path.x)] * path.weight[:, None]
    alone /= alone.sum(axis=0)
    x, x_square = product(np.stack([path.x, path.x**2]), alone)
    others = [thickness, np.sqrt(of_thickness), mean[-1], variance[-1], x_square - x**2]
    rows = [mean[:-1], np.sqrt(variance[:-1]), np.stack(others), probability]
    return np.concatenate(rows).astype(np.float32)
