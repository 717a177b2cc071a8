"""Composition and thickness of single pixels, by the likelihood of the labels."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.even_selection import at_least
from stxm_live.core.products import product
from stxm_live.core.threads import in_threads
from stxm_live.phase_mapping.counted_spectra import CountedSpectra
from stxm_live.phase_mapping.fitted_products import each_part
from stxm_live.phase_mapping.likelihood import dispersion_of, n_measured
from stxm_live.phase_mapping.pair_posterior import (
    frequencies_of_pairs,
    pair_posterior,
    pairs,
)
from stxm_live.phase_mapping.weighted_products import Products

_TYPICAL_SPECTRA = 4_000
"""An even selection, from which it is seen which mixtures a scan holds."""


class PixelAmounts(NamedTuple):
    """Means and standard uncertainties for each spectrum.

    ``share`` and ``share_std`` have shape (n_phases, n_spectra), the others (n_spectra,).
    ``value`` and ``value_std`` are None where phases have no values.
    """

    share: NDArray[np.float32]
    share_std: NDArray[np.float32]
    thickness: NDArray[np.float32]
    thickness_std: NDArray[np.float32]
    value: NDArray[np.float32] | None
    value_std: NDArray[np.float32] | None

    @classmethod
    def of(cls, rows: NDArray[np.float32], *, known: bool) -> PixelAmounts:
        """Return the rows of `moments`; the value only if it is known."""
        n_phases = len(rows) // 2 - 2
        thickness, thickness_std, value, value_std = rows[2 * n_phases :]
        return cls(
            rows[:n_phases],
            rows[n_phases : 2 * n_phases],
            thickness,
            thickness_std,
            value if known else None,
            value_std if known else None,
        )


class CommonMixtures(NamedTuple):
    """Mixtures of two references that the spectra of a scan are.

    ``frequency`` is how often each two occur, (n_pairs,), as `pair_posterior.pairs` counts them;
    ``dispersion`` is the variance of the photons over their mean, as spectra scatter about them.
    """

    frequency: NDArray[np.float64]
    dispersion: float


def common_mixtures(spectra: CountedSpectra) -> CommonMixtures:
    """Return which mixtures a scan holds, from an even selection of its spectra.

    The gain of the noise is the least dispersion.
    """
    some, gain = spectra.at(at_least(_TYPICAL_SPECTRA, spectra.n_spectra)), spectra.noise.gain
    fitted = each_part(lambda _, found: found, some)
    found = in_threads(partial(pair_posterior, scale=gain), fitted)
    degrees = n_measured(some.photons) - 2 - some.noise.baseline.n_free
    misfit = np.concatenate([each.misfit for each in found])
    scatter = max(dispersion_of(misfit, degrees, otherwise=gain), gain)
    if scatter > gain:
        found = in_threads(partial(pair_posterior, scale=scatter), fitted)
    likelihood = np.concatenate([each.likelihood for each in found], axis=1)
    return CommonMixtures(frequencies_of_pairs(likelihood), scatter)


def pixel_amounts(
    spectra: CountedSpectra,
    mixtures: CommonMixtures,
    values: NDArray[np.float64] | None = None,
) -> PixelAmounts:
    """Return how much of each reference is in each spectrum.

    Parameters
    ----------
    spectra : CountedSpectra
    mixtures : CommonMixtures
    values : ndarray of shape (n_phases,), optional
        A number for each phase, which is averaged over the composition.

    Notes
    -----
    A spectrum is a mixture of two references, beside the constant and slope that labels allow
    for. Each two are as probable beforehand as they are common in the scan, and of any share and
    thickness (`pair_posterior`). Results are mean and standard deviation of that posterior; the
    mean shares are not negative.
    """
    found = each_part(lambda _, fitted: moments(fitted, mixtures, values), spectra)
    return PixelAmounts.of(np.concatenate(found, axis=1), known=values is not None)


def moments(
    found: Products, mixtures: CommonMixtures, values: NDArray[np.float64] | None = None
) -> NDArray[np.float32]:
    """Return the rows of `PixelAmounts`, (2 n_phases + 4, n_spectra)."""
    n_phases = len(found.along)
    posterior = pair_posterior(found, mixtures.dispersion)
    weighted = np.empty((3, *posterior.share.shape))
    p, first, second = weighted
    np.multiply(posterior.likelihood, mixtures.frequency[:, None], out=p)
    p /= np.maximum(p.sum(axis=0), np.finfo(np.float64).tiny)
    np.multiply(p, posterior.share, out=first)
    np.multiply(first, posterior.share, out=second)
    second += p * posterior.share_variance
    known = (0.0,) * n_phases if values is None else tuple(map(float, values))
    sums = product(_sums(known), weighted.reshape(3 * len(p), -1))
    share, square = sums[:n_phases], sums[n_phases + 1 : -1]
    deviation = _deviation(share, square)
    np.maximum(share, 0, out=share)
    share /= share.sum(axis=0)
    value, value_std = sums[n_phases], _deviation(sums[n_phases], sums[-1])
    thickness = (p * posterior.thickness).sum(axis=0)
    of_square = (p * (posterior.thickness**2 + posterior.thickness_variance)).sum(axis=0)
    others = [thickness, _deviation(thickness, of_square), value, value_std]
    return np.concatenate([share, deviation, np.stack(others)]).astype(np.float32)


@lru_cache(maxsize=8)
def _sums(of_phases: tuple[float, ...]) -> NDArray[np.float64]:
    """Return the matrix from moments of the pairs' shares to those of phases and of the value.

    Shape (2 n_phases + 2, 3 n_pairs): probability, first and second moment of the share of the
    second phase of each two; mean share of each phase, mean value, and the means of their squares.
    """
    n_phases, values = len(of_phases), np.array(of_phases)
    first, second = pairs(n_phases)
    of_first, of_second = (np.eye(n_phases)[which].T for which in (first, second))
    start, step = values[first][None], (values[second] - values[first])[None]
    zero, none = np.zeros_like(of_first), np.zeros_like(start)
    return np.block(
        [
            [of_first, of_second - of_first, zero],
            [start, step, none],
            [of_first, -2 * of_first, of_first + of_second],
            [start**2, 2 * start * step, step**2],
        ]
    )


def _deviation(mean: NDArray[np.float64], square: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(np.maximum(square - mean**2, 0)))
