"""Groups of spectra by scikit-learn's k-means, and their mean spectra with errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.unidentified_spectrum import unidentified_spectrum
from stxm_live.phase_mapping.exploration.components import Principal
from stxm_live.phase_mapping.exploration.spectra import ExploredSpectra
from stxm_live.preprocessing.reference_extraction import MeasuredSpectrum

ClusterBy = Literal["shape", "od"]

MOST_CLUSTERS = 50
"""Most clusters; more could not be shown."""

_SOME = 2000
"""Rows that are compared first."""

_STARTS = 10
"""Of k-means; the best one counts."""


@dataclass(frozen=True, eq=False)
class Clusters:
    """Groups of pixels with similar spectra, the largest first.

    Parameters
    ----------
    index : ndarray of shape (n_pixels,)
        Number of each pixel's cluster, from 0.
    shares : ndarray of shape (n_clusters,)
        Share of the specimen.
    spectra : tuple of MeasuredSpectrum
        Mean spectra with standard errors; their names are the numbers.
    scatter : ndarray of shape (n_clusters, n_energies)
        Standard deviation of single pixels' OD, the differences of their thickness taken out; NaN
        for one pixel.
    """

    index: NDArray[np.intp]
    shares: NDArray[np.float64]
    spectra: tuple[MeasuredSpectrum, ...]
    scatter: NDArray[np.float64]


def by_shape(pca: Principal) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what k-means compares so that thickness does not count, and the weights of pixels.

    Returns
    -------
    spectra : ndarray of shape (n_pixels, n_energies)
        Restored from the components above the noise, less their mean, of unit length. The squared
        distance of two is 2 (1 - PCC), so clusters are of spectra that correlate.
    weights : ndarray of shape (n_pixels,)
        Squared length before: thin pixels, whose shape is uncertain, count less.
    """
    restored = pca.restored(max(pca.n_above_noise, 1))
    centred = restored - restored.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1)
    tiny = np.finfo(np.float64).tiny
    return centred / np.maximum(length, tiny)[:, None], length**2


def clusters_of(
    spectra: ExploredSpectra,
    pca: Principal,
    n: int,
    *,
    by: ClusterBy = "shape",
    seed: int = 0,
) -> Clusters:
    """Return ``n`` clusters of the spectra, or fewer if there are not so many different ones.

    Parameters
    ----------
    spectra : ExploredSpectra
    pca : Principal
        Its components above the noise are compared.
    n : int
    by : {"shape", "od"}
        Compare the shape of spectra (`by_shape`), or the optical density itself, which groups
        pixels mostly by their thickness.
    seed : int

    Raises
    ------
    ValueError
        If there are more clusters than pixels, or than `MOST_CLUSTERS`.
    """
    from sklearn.cluster import KMeans

    most = min(MOST_CLUSTERS, spectra.n_pixels)
    if not 1 <= n <= most:
        raise ValueError(
            f"{n} clusters of {spectra.n_pixels} specimen pixels cannot be made; ask for 1 to "
            f"{most}"
        )
    if by == "shape":
        compared, weights = by_shape(pca)
    else:
        compared, weights = pca.scores[:, : max(pca.n_above_noise, 1)], None
    n_different = _n_different(compared.round(9), n)
    k_means = KMeans(n_different, n_init=_STARTS, random_state=seed)
    labels = k_means.fit(compared, sample_weight=weights).labels_
    counts = np.bincount(labels, minlength=n_different)
    order = np.argsort(-counts, kind="stable")
    index = np.argsort(order)[labels]
    means = [_mean_spectrum(spectra, index == k, str(k)) for k in range(n_different)]
    return Clusters(
        index=index,
        shares=counts[order] / len(labels),
        spectra=tuple(mean for mean, _ in means),
        scatter=np.array([scatter for _, scatter in means]),
    )


def _n_different(rows: NDArray[np.float64], most: int) -> int:
    """Return the number of different rows, at most ``most``.

    Some rows have so many as a rule; to sort all of them would hold the interpreter, and a scan.
    """
    step = -(-len(rows) // _SOME)
    found = min(most, len(np.unique(rows[::step], axis=0)))
    return found if found == most or step == 1 else min(most, len(np.unique(rows, axis=0)))


def _mean_spectrum(
    spectra: ExploredSpectra, members: NDArray[np.bool_], name: str
) -> tuple[MeasuredSpectrum, NDArray[np.float64]]:
    """Return the mean spectrum of some pixels with its errors, and the scatter of the pixels."""
    mask = np.zeros(spectra.pixels.shape, dtype=bool)
    mask[spectra.pixels] = members
    variance = np.square(spectra.raw_noise_std[members])
    found = unidentified_spectrum(
        spectra.cube,
        mask,
        spectra.n_pixels,
        noise_variance=variance.T,
        common_std=spectra.i0_std,
    )
    assert found is not None  # every cluster has a pixel, without gaps
    # values that were estimated make no mean surer
    measured = np.maximum(spectra.measured[members].mean(axis=0), 1 / len(variance))
    spectrum = MeasuredSpectrum(
        name=name,
        energies_ev=spectra.energies_ev,
        # the mean of ln of few counts is too low by half the variance
        od=found.od - 0.5 * variance.mean(axis=0),
        std=found.od_std / np.sqrt(measured),
        source=f"{spectra.key}, cluster {name}, mean OD of {found.n_pixels} pixels",
    )
    return spectrum, found.od_scatter
