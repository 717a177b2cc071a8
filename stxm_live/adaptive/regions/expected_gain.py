"""Wrong labels that a scan with more photons or a finer step is expected to remove."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stxm_live.adaptive.mistaken_phases import mistaken, squared_distance
from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.phase_mapping.weighted_products import Baseline, products

_AT_AN_EDGE = 1 / 8
"""Share of a pixel that belongs to the phase beyond one of its sides.

A boundary between the centers of two pixels is anywhere between them: on this side with a
probability of 1/2, and then a quarter of a pixel from the side on average."""

_AROUND_PX = 9
"""Side of the square around a pixel that counts as its surroundings."""

_TRUST = 0.5
"""Weight of the surroundings' frequencies as a prior; 0 is no weight, 1 is the full prior."""

_LEAST = 1e-3
"""Probability of a wrong label below which a pixel is skipped."""

_CHUNK = 4096
"""Spectra taken at once: their products stay in the processor's cache."""

_TINY = np.finfo(np.float64).tiny

_NEAREST = 1e-6
"""Lowest probability of a rival phase."""


@dataclass(frozen=True)
class Improvement:
    """Difference between a further scan and the one of the maps.

    Parameters
    ----------
    photons : float
        Photons per pixel and energy, relative to those of the map's pixels.
    step : float
        Distance of the pixels, relative to that of the map's.
    """

    photons: float = 1.0
    step: float = 1.0


def doubt_removed(maps: PhaseMaps, improvement: Improvement) -> NDArray[np.float32]:
    """Return the wrong labels that are expected to be removed, in pixels of the map.

    Parameters
    ----------
    maps : PhaseMaps
        Maps with probabilities.
    improvement : Improvement

    Returns
    -------
    ndarray of shape (ny, nx), float32
        0 where nothing is mapped.

    Notes
    -----
    Two kinds of errors are expected in a pixel. Its label is wrong with probability ``1 - p``,
    where p also depends on the pixel's surroundings; this is smaller after more photons
    (`stxm_live.adaptive.mistaken_phases`). The distance of two phases follows from the pixel's own
    thickness and counts, so a thin or an opaque pixel has little to gain. Second, a part of the
    pixel belongs to the phase next to it: that part shrinks with the step.
    """
    mapped = maps.phase_index >= 0
    removed = np.zeros(mapped.shape, dtype=np.float32)
    if maps.probability is None or not mapped.any():
        return removed
    field = in_its_surroundings(np.where(mapped, maps.probability, np.float32(0)), mapped)
    wrong = np.where(mapped, 1 - field.max(axis=0), np.float32(0))
    doubtful = wrong > _LEAST
    probability = field[:, doubtful]
    best = probability.argmax(axis=0)
    apart = separation(maps, doubtful, best, photons=improvement.photons)
    left = still_wrong(probability, apart)
    removed[doubtful] = wrong[doubtful] - left
    return removed + np.float32(max(0.0, 1 - improvement.step)) * foreign_share(field, mapped)


def in_its_surroundings(
    probability: NDArray[np.float32], mapped: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Return probabilities with the phase frequencies around each pixel as a prior.

    Parameters
    ----------
    probability : ndarray of shape (n_phases, ny, nx)
        0 where nothing is mapped.
    mapped : ndarray of bool, shape (ny, nx)

    Notes
    -----
    The shape is (n_phases, ny, nx). The maps' probabilities already include neighbors, but not the
    whole particle. In a particle of one phase an uncertain pixel most likely has that phase too;
    in one of several phases it does not.
    """
    from scipy.ndimage import uniform_filter

    size = min(_AROUND_PX, *mapped.shape)
    frequency = np.stack([uniform_filter(p, size, mode="constant") for p in probability])
    frequency /= np.maximum(frequency.sum(axis=0), np.float32(1e-12))
    weighted = probability * np.maximum(frequency, np.float32(1e-9)) ** np.float32(_TRUST)
    weighted /= np.maximum(weighted.sum(axis=0), np.float32(1e-12))
    return np.where(mapped, weighted, np.float32(0))


def separation(
    maps: PhaseMaps, chosen: NDArray[np.bool_], best: NDArray[np.intp], *, photons: float = 1.0
) -> NDArray[np.float32]:
    """Return each phase's distance from the most probable one, in standard deviations.

    Parameters
    ----------
    maps : PhaseMaps
    chosen : ndarray of bool, shape (ny, nx)
    best : ndarray of shape (n_spectra,)
        The most probable phase of the chosen pixels.
    photons : float
        Photons of a further scan relative to those of the map.

    Returns
    -------
    ndarray of shape (n_phases, n_spectra), float32
        0 for the most probable phase itself. The thickness of the rival is free, and constant and
        slope of a spectrum are as uncertain as for the labels of the map.
    """
    od, energies = maps.od[:, chosen], np.array(maps.energies_ev)
    i0 = maps.i0 * photons / (maps.dispersion or 1.0)
    baseline = Baseline.of_std(energies, maps.provenance.get("baseline_std") or ())
    apart = np.empty((len(maps.reference_od), od.shape[1]), dtype=np.float32)
    for start in range(0, od.shape[1], _CHUNK):
        part = slice(start, start + _CHUNK)
        apart[:, part] = _apart(od[:, part], i0, maps.reference_od, best[part], baseline)
    return apart


def _apart(
    od: NDArray[np.float32],
    i0: NDArray[np.float64],
    references: NDArray[np.float64],
    best: NDArray[np.intp],
    baseline: Baseline,
) -> NDArray[np.float64]:
    """Return the result of `separation` for one group of pixels."""
    y = od.astype(np.float64)
    known = np.isfinite(y)  # what an image lacks has no weight
    y[~known] = 0.0
    found = products(y, known * i0[:, None] * np.exp(-y), references, baseline)
    gram, columns = found.gram(), np.arange(len(best))
    own = gram[best, best, columns]
    thickness = np.maximum(found.along[best, columns], 0) / np.maximum(own, _TINY)
    apart = squared_distance(own, gram[best, :, columns].T, np.einsum("kkn->kn", gram))
    apart[best, columns] = 0
    return np.asarray(thickness * np.sqrt(apart))


def still_wrong(
    probability: NDArray[np.floating], apart: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Return the probability of a wrong label after a further spectrum, shape (n_spectra,).

    Parameters
    ----------
    probability : ndarray of shape (n_phases, n_spectra)
        Probabilities before it.
    apart : ndarray of shape (n_phases, n_spectra)
        Result of `separation` for the further spectrum.

    Examples
    --------
    >>> even = np.array([[0.5], [0.5]])
    >>> still_wrong(even, np.array([[0.0], [2.0]])).round(4)  # Phi(-1)
    array([0.1587], dtype=float32)
    >>> still_wrong(even, np.array([[0.0], [0.0]])).round(4)
    array([0.5], dtype=float32)
    """
    best = probability.argmax(axis=0)
    most = np.take_along_axis(probability, best[None], axis=0)[0]
    left = np.zeros(probability.shape[1], dtype=np.float32)
    for k, p in enumerate(probability):
        rival = np.flatnonzero((best != k) & (p > _NEAREST))
        d2, odds = apart[k, rival] ** 2, np.log(most[rival] / p[rival])
        wrong = most[rival] * mistaken(odds, d2) + p[rival] * mistaken(-odds, d2)
        left[rival] += wrong.astype(np.float32)
    return left


def foreign_share(
    probability: NDArray[np.float32], mapped: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Return the share of each pixel expected to be of the phase next to it, (ny, nx).

    Parameters
    ----------
    probability : ndarray of shape (n_phases, ny, nx)
        0 where nothing is mapped.
    mapped : ndarray of bool, shape (ny, nx)
    """
    share = np.zeros(mapped.shape, dtype=np.float32)
    for here, there in _SIDES:
        alike = np.einsum("kyx,kyx->yx", probability[:, *here], probability[:, *there])
        beyond = np.where(mapped[here] & mapped[there], _AT_AN_EDGE * (1 - alike), np.float32(0))
        share[here] += beyond
        share[there] += beyond
    return share


_ALL, _BUT_LAST, _BUT_FIRST = slice(None), slice(None, -1), slice(1, None)

_SIDES = (((_BUT_LAST, _ALL), (_BUT_FIRST, _ALL)), ((_ALL, _BUT_LAST), (_ALL, _BUT_FIRST)))
"""Each pixel and its neighbor below, each pixel and its neighbor to the right."""
