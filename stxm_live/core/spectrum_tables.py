"""Spectra as tables: their noise, and what a Gaussian makes of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.products import product

_LONG_TABLE, _AT_ONCE, _REACH = 2000, 256, 9.0
"""Rows from which only those near the wanted energies count; energies at once; reach in widths."""

_FEWEST_POINTS = 60
"""Points of a spectrum from which most of them are on no peak, so that its roughness is noise."""

_WHITE = 0.7
"""Noise in fourth differences over that in third ones: of peaks they hold less and less, of noise
the same."""


def roughness(od: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard deviation of the noise of each spectrum, (n_phases,), 0 if none is seen.

    From third differences of points beside each other, to which peaks add little, by their median:
    most points are on no peak.

    Parameters
    ----------
    od : ndarray of shape (n_phases, n_energies)
        Of fewer than `_FEWEST_POINTS` energies nothing is seen.

    Examples
    --------
    >>> peak = np.exp(-(np.linspace(-3, 3, 200) ** 2))
    >>> noise = np.random.default_rng(1).normal(scale=0.02, size=200)
    >>> roughness(np.stack([peak, peak + noise])).round(2)
    array([0.  , 0.02])
    """
    if od.shape[1] < _FEWEST_POINTS:
        return np.zeros(len(od))
    third, fourth = (
        np.median(np.abs(np.diff(od, n=n, axis=1)), axis=1) / (0.6745 * np.sqrt(square))
        for n, square in ((3, 20), (4, 70))
    )
    return np.where(fourth > _WHITE * third, third, 0.0)


def broadened(
    energies_ev: NDArray[np.float64],
    od: NDArray[np.float64],
    wanted: NDArray[np.float64],
    width_ev: float,
) -> NDArray[np.float64]:
    """Return the OD (n_phases, n_wanted) at other energies after a Gaussian.

    Parameters
    ----------
    energies_ev : ndarray of shape (n_energies,)
        Ascending; the spectra are linear between them and beyond.
    od : ndarray of shape (n_phases, n_energies)
    wanted : ndarray of shape (n_wanted,)
    width_ev : float
        Standard deviation of the Gaussian, above 0.
    """
    if len(energies_ev) <= _LONG_TABLE:
        return _broadened(energies_ev, od, wanted, width_ev)
    found = np.empty((len(od), len(wanted)))
    order = np.argsort(wanted, kind="stable")
    for some in np.array_split(order, len(order) // _AT_ONCE + 1):
        reach_ev = wanted[some[[0, -1]]] + width_ev * np.array([-_REACH, _REACH])
        first, last = np.searchsorted(energies_ev, reach_ev)
        near = slice(max(first - 2, 0), last + 2)
        found[:, some] = _broadened(energies_ev[near], od[:, near], wanted[some], width_ev)
    return found


def _broadened(
    energies_ev: NDArray[np.float64],
    od: NDArray[np.float64],
    wanted: NDArray[np.float64],
    width_ev: float,
) -> NDArray[np.float64]:
    """Return what a Gaussian leaves, from all of the table."""
    from scipy.special import ndtr

    slopes = np.diff(od, axis=1) / np.diff(energies_ev)
    line = od[:, :1] + slopes[:, :1] * (wanted - energies_ev[0])
    # every bend of the polygon is a ramp; a ramp under a Gaussian has a closed form
    x = (wanted - energies_ev[1:-1, None]) / width_ev
    ramps = width_ev * (x * ndtr(x) + np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi))
    return np.asarray(line + product(np.diff(slopes, axis=1), ramps))


def subdivided(energies_ev: NDArray[np.float64], longest_ev: float) -> NDArray[np.float64]:
    """Return the energies with up to nine more in each step, so that none need be longer."""
    counts = np.clip(np.ceil(np.diff(energies_ev) / longest_ev), 1, 10).astype(np.intp)
    place = np.concatenate([[0], np.cumsum(counts)])
    return np.interp(np.arange(place[-1] + 1), place, energies_ev)
