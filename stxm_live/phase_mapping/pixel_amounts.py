"""Composition and thickness of single pixels, by the likelihood of the labels."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.threads import in_threads
from stxm_live.phase_mapping.likelihood import best_model_photons, photons_worth, unbiased
from stxm_live.phase_mapping.spectrum_noise import SpectrumNoise
from stxm_live.phase_mapping.weighted_products import Products, products

_NODES = 6
"""Nodes of each mixture's share, where it is probable."""

_REACH = 4.0
"""Standard deviations on either side of the best share."""

_BEYOND = 0.1
"""Shares that are tried below 0 and above 1: with less a pure pixel is always thought mixed."""

_SURE = 6.0
"""Thickness in standard deviations from which none is negative."""

_CHUNK = 2048
_SHARES = 8
"""Spectra taken at once, and parts that threads share; the result does not depend on it."""


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


def pixel_amounts(
    od: NDArray[np.floating],
    photons: NDArray[np.floating],
    references: NDArray[np.float64],
    noise: SpectrumNoise,
    *,
    dispersion: float,
    values: NDArray[np.float64] | None = None,
) -> PixelAmounts:
    """Return how much of each reference is in each spectrum.

    Parameters
    ----------
    od, photons : ndarray of shape (n_energies, n_spectra)
        0 photons where a spectrum was not measured.
    references : ndarray of shape (n_phases, n_energies)
        Optical density of one unit of thickness.
    noise : SpectrumNoise
    dispersion : float
        How far spectra scatter about the references; more than the noise makes amounts less sure.
    values : ndarray of shape (n_phases,), optional
        A number for each phase, which is averaged over the composition.

    Notes
    -----
    A spectrum is a mixture of two references, each two with the same probability, of any share
    and thickness with a flat prior, beside the constant and slope that labels allow for.
    Results are mean and standard deviation of that posterior: the thickness in closed form, the
    share by quadrature. Shares may be a little below 0 and above 1, so that a pure pixel is
    in the middle of what is tried; their means are not negative.
    """
    n_phases, n_spectra = len(references), od.shape[1]
    found = np.empty((2 * n_phases + 4, n_spectra), dtype=np.float32)
    in_photons, scale = noise.baseline.in_units_of(noise.gain), max(dispersion, noise.gain)
    numbers = np.zeros(n_phases) if values is None else values

    def fit(parts: Iterable[slice]) -> None:
        for part in parts:
            n = photons[:, part].astype(np.float64)
            y = od[:, part].astype(np.float64)
            expected = best_model_photons(unbiased(y, n, noise.gain), n, references, in_photons)
            y = unbiased(y, expected, noise.gain)
            if noise.of_references is not None:
                expected = photons_worth(expected, noise.of_references[:, part], noise.gain)
            fitted = products(y, expected, references, in_photons)
            found[:, part] = _moments(fitted, scale, numbers)

    parts = [slice(start, start + _CHUNK) for start in range(0, n_spectra, _CHUNK)]
    if parts:
        in_threads(fit, [parts[k::_SHARES] for k in range(min(_SHARES, len(parts)))])
    share, share_std = found[:n_phases], found[n_phases : 2 * n_phases]
    thickness, thickness_std, value, value_std = found[2 * n_phases :]
    known = values is not None
    return PixelAmounts(
        share,
        share_std,
        thickness,
        thickness_std,
        value if known else None,
        value_std if known else None,
    )


def _moments(found: Products, scale: float, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return share, its deviation, thickness, its deviation, value and its deviation, stacked."""
    gram, along = found.gram() / scale, found.along / scale
    n_phases, n = along.shape
    pairs = list(combinations(range(n_phases), 2))
    exponent = np.empty((len(pairs), _NODES, n))
    weight, share, thick = (np.empty_like(exponent) for _ in range(3))
    inverse = np.empty_like(exponent)
    for q, (i, j) in enumerate(pairs):
        of_pair = _Pair(gram[i, i], gram[i, j], gram[j, j], along[i], along[j])
        exponent[q], weight[q], share[q], thick[q], inverse[q] = of_pair.nodes()
    exponent -= exponent.max(axis=(0, 1))
    p = np.exp(exponent, out=exponent)
    p *= weight
    p /= np.einsum("qkn->n", p)
    first, second = np.zeros((n_phases, n)), np.zeros((n_phases, n))
    value, value2 = np.zeros(n), np.zeros(n)
    for q, (i, j) in enumerate(pairs):
        one = np.einsum("kn->n", p[q])
        s = np.einsum("kn,kn->n", p[q], share[q])
        s2 = np.einsum("kn,kn,kn->n", p[q], share[q], share[q])
        first[i] += one - s
        first[j] += s
        second[i] += one - 2 * s + s2
        second[j] += s2
        step = values[j] - values[i]
        value += values[i] * one + step * s
        value2 += values[i] ** 2 * one + 2 * values[i] * step * s + step**2 * s2
    mean = np.einsum("qkn,qkn->n", p, thick)
    square = np.einsum("qkn,qkn,qkn->n", p, thick, thick) + np.einsum("qkn,qkn->n", p, inverse)
    deviation = _deviation(first, second)
    np.maximum(first, 0, out=first)
    first /= first.sum(axis=0)
    of_value = [mean, _deviation(mean, square), value, _deviation(value, value2)]
    return np.concatenate([first, deviation, np.stack(of_value)])


def _deviation(mean: NDArray[np.float64], square: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(np.maximum(square - mean**2, 0)))


@cache
def _quadrature() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return nodes from -1 to 1, and their weights."""
    return np.polynomial.legendre.leggauss(_NODES)


class _Pair(NamedTuple):
    """Weighted products of two references and of them with the spectra, each (n_spectra,)."""

    first: NDArray[np.float64]
    across: NDArray[np.float64]
    second: NDArray[np.float64]
    along_first: NDArray[np.float64]
    along_second: NDArray[np.float64]

    def at(self, share: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Products of a mixture with the spectrum and with itself."""
        rest = 1 - share
        along = rest * self.along_first + share * self.along_second
        square = rest**2 * self.first + 2 * rest * share * self.across + share**2 * self.second
        return along, np.maximum(square, np.finfo(np.float64).tiny)

    def nodes(self) -> tuple[NDArray[np.float64], ...]:
        """Exponent, weight, share of the second, thickness and its variance at each node.

        Each of shape (n_nodes, n_spectra).
        """
        low, high = self._range()
        node, weight = _quadrature()
        middle, half = (low + high) / 2, (high - low) / 2
        share = middle + half * node[:, None]
        along, square = self.at(share)
        thickness = along / square
        root = np.sqrt(square)
        exponent, weights = 0.5 * along * thickness, weight[:, None] * half / root
        sigmas = along / root
        if sigmas.min(initial=_SURE) < _SURE:
            from scipy.special import log_ndtr

            exponent += log_ndtr(sigmas)
        return exponent, weights, share, np.maximum(thickness, 0, out=thickness), 1 / square

    def _range(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the least and the largest share that are probable, each (n_spectra,)."""
        determinant = self.first * self.second - self.across**2
        determinant = np.maximum(determinant, 1e-12 * self.first * self.second)
        one = (self.second * self.along_first - self.across * self.along_second) / determinant
        other = (self.first * self.along_second - self.across * self.along_first) / determinant
        thickness = one + other
        share = other / np.where(thickness > 0, thickness, 1.0)
        better = self.along_second / np.sqrt(self.second) > self.along_first / np.sqrt(self.first)
        end = np.where(better, 1 + _BEYOND, -_BEYOND)
        inside = (thickness > 0) & (share > -_BEYOND) & (share < 1 + _BEYOND)
        best = np.where(inside, share, end)
        along, square = self.at(best)
        thickness = np.maximum(along / square, 1e-3)
        step = (1 - best) * (self.across - self.first) + best * (self.second - self.across)
        apart = self.first - 2 * self.across + self.second - step**2 / square
        std = 1 / (thickness * np.sqrt(np.maximum(apart, 1e-12)))
        reach = _REACH * std
        return np.maximum(best - reach, -_BEYOND), np.minimum(best + reach, 1 + _BEYOND)
