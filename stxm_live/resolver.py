"""Ambiguous pixels go to the nearest cluster in latent space (the paper's section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Candidates = Literal["pair", "all"]
"""Among which clusters the nearest is looked for: the two phases in question, or all."""

CANDIDATES: tuple[Candidates, ...] = ("pair", "all")

MEMBERS_PER_DIMENSION = 10
"""A cluster with fewer members per latent dimension has no covariance worth the name."""


@dataclass(frozen=True, eq=False)
class Clusters:
    """Where the spectra of each phase lie in latent space.

    Parameters
    ----------
    mean : ndarray of shape (n_phases, n_latent)
        NaN for a phase without members.
    covariance : ndarray of shape (n_phases, n_latent, n_latent)
        Shrunk towards a sphere, so that it can be inverted; NaN for a phase without members.
    counts : ndarray of shape (n_phases,)
        How many unambiguous spectra of the training set each phase had.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    counts: NDArray[np.int64]

    def __post_init__(self) -> None:
        n_phases, n_latent = self.mean.shape
        expected = ((n_phases, n_latent, n_latent), (n_phases,))
        if (self.covariance.shape, self.counts.shape) != expected:
            raise ValueError(
                f"clusters: means of shape {self.mean.shape} need covariances and counts of shape "
                f"{expected[0]} and {expected[1]}, got {self.covariance.shape} and "
                f"{self.counts.shape}"
            )

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Which phases have enough members, at least 10 per latent dimension."""
        enough: NDArray[np.bool_] = self.counts >= MEMBERS_PER_DIMENSION * self.mean.shape[1]
        return enough

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Its arrays by name, as they are stored."""
        return {"mean": self.mean, "covariance": self.covariance, "counts": self.counts}


def squared_mahalanobis(latent: NDArray[np.floating], clusters: Clusters) -> NDArray[np.float64]:
    """Squared Mahalanobis distance of every spectrum to every cluster.

    The paper's formula has no root; the nearest cluster is the same with and without.

    Parameters
    ----------
    latent : ndarray of shape (n_spectra, n_latent)

    Returns
    -------
    ndarray of shape (n_phases, n_spectra)
        Infinite for phases with too few members; NaN where a coordinate is not finite.
    """
    distance = np.full((len(clusters.mean), len(latent)), np.inf)
    for k in np.flatnonzero(clusters.usable):
        # |L^-1 (z - mean)|^2 with covariance = L L^T
        whiten = np.linalg.inv(np.linalg.cholesky(clusters.covariance[k]))
        distance[k] = (((latent - clusters.mean[k]) @ whiten.T) ** 2).sum(axis=1)
    return distance


def mahalanobis_resolve(
    latent: NDArray[np.floating],
    phase_index: NDArray[np.integer],
    ambiguous: NDArray[np.bool_],
    pair: NDArray[np.integer],
    clusters: Clusters,
    candidates: Candidates = "pair",
) -> NDArray[np.int8]:
    """Phase of every spectrum after the paper's rule.

    Only ambiguous spectra may change: they go to the cluster of the smallest squared Mahalanobis
    distance, among the two phases in question (``"pair"``, section 3.4) or among all
    (``"all"``, section 3.3). Where the best phase's own cluster has too few members there is
    nothing to compare with, and the spectrum keeps its phase; so it does where a latent
    coordinate is not finite.

    Parameters
    ----------
    latent : ndarray of shape (n_spectra, n_latent)
        Encoder output z_mean.
    phase_index : ndarray of shape (n_spectra,)
        Phase of the largest Pearson coefficient, -1 for none.
    ambiguous : ndarray of bool, shape (n_spectra,)
    pair : ndarray of shape (2, n_spectra)
        Best and second-best phase; read only where ambiguous.
    clusters : Clusters
    candidates : {"pair", "all"}

    Returns
    -------
    ndarray of int8, shape (n_spectra,)

    Examples
    --------
    >>> clusters = Clusters(np.array([[0.0], [4.0]]), np.ones((2, 1, 1)), np.array([99, 99]))
    >>> mahalanobis_resolve(np.array([[3.0], [3.0]]), np.array([0, 0]), np.array([True, False]),
    ...                     np.array([[0, 0], [1, 1]]), clusters)
    array([1, 0], dtype=int8)
    """
    resolved = phase_index.astype(np.int8)
    open_to_change = ambiguous & (phase_index >= 0) & np.isfinite(latent).all(axis=1)
    open_to_change &= clusters.usable[phase_index]
    rows = np.flatnonzero(open_to_change)
    distance = squared_mahalanobis(latent[rows], clusters)
    if candidates == "all":
        resolved[rows] = distance.argmin(axis=0)
        return resolved
    first, second = pair[:, rows]
    column = np.arange(len(rows))
    nearer = distance[second, column] < distance[first, column]
    resolved[rows] = np.where(nearer, second, first)
    return resolved
