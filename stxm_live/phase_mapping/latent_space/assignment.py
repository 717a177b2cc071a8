"""Ambiguous pixels go to the nearest phase in latent space (the paper's section 3.3)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.products import product
from stxm_live.phase_mapping.latent_space.clusters import Clusters, Landmarks, Members

Candidates = Literal["pair", "all"]
"""Among which phases the nearest is looked for: the two in question, or all."""

CANDIDATES: tuple[Candidates, ...] = ("pair", "all")

Strategy = Literal["mahalanobis", "euclidean", "knn", "centroid"]
"""The measure of distance; see `distance_by`."""

STRATEGIES: tuple[Strategy, ...] = ("mahalanobis", "euclidean", "knn", "centroid")

NEIGHBORS = 15
"""Labelled points that vote for a spectrum's phase."""

Distance = Callable[[NDArray[np.floating]], NDArray[np.float64]]
"""From latent coordinates (n_spectra, n_latent) to distances (n_phases, n_spectra), infinite for
a phase of which too little is known."""


def distance_by(strategy: Strategy, landmarks: Landmarks) -> Distance:
    """Return the distance of one of the paper's strategies.

    ``mahalanobis``: to the phase's cluster, in units of its own spread. ``euclidean``: to the
    projected reference. ``centroid``: to the mean of the cluster. ``knn``: 15 votes less those
    that the nearest labelled points give to the phase.
    """
    distances: dict[str, Distance] = {
        "mahalanobis": partial(squared_mahalanobis, clusters=landmarks.clusters),
        "euclidean": partial(squared_euclidean, points=landmarks.references),
        "centroid": partial(squared_euclidean, points=_centroids(landmarks.clusters)),
        "knn": partial(
            votes_against, members=landmarks.members, n_phases=len(landmarks.references)
        ),
    }
    return distances[strategy]


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
        distance[k] = (product(latent - clusters.mean[k], whiten.T) ** 2).sum(axis=1)
    return distance


def squared_euclidean(
    latent: NDArray[np.floating], points: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Squared Euclidean distance of every spectrum to one point per phase.

    Parameters
    ----------
    latent : ndarray of shape (n_spectra, n_latent)
    points : ndarray of shape (n_phases, n_latent)
        NaN for a phase that has none.

    Returns
    -------
    ndarray of shape (n_phases, n_spectra)
        Infinite for a phase without a point.
    """
    distance = np.full((len(points), len(latent)), np.inf)
    for k in np.flatnonzero(np.isfinite(points).all(axis=1)):
        distance[k] = ((latent.astype(np.float64) - points[k]) ** 2).sum(axis=1)
    return distance


def _centroids(clusters: Clusters) -> NDArray[np.float64]:
    """Means of the clusters, NaN for those with too few members."""
    return np.where(clusters.usable[:, None], clusters.mean, np.nan)


def votes_against(
    latent: NDArray[np.floating], members: Members | None, n_phases: int
) -> NDArray[np.float64]:
    """Return the number of the nearest labelled points that are not of a phase.

    Among phases with equal votes, the one with the nearest voter is less far by a part of a
    vote.

    Parameters
    ----------
    latent : ndarray of shape (n_spectra, n_latent)
        All finite.

    Returns
    -------
    ndarray of shape (n_phases, n_spectra)
        From 0 to `NEIGHBORS`, or below one vote more; infinite for a phase without members.
    """
    from scipy.spatial import cKDTree

    against = np.full((n_phases, len(latent)), np.inf)
    if members is None or len(members.latent) == 0 or len(latent) == 0:
        return against
    k = min(NEIGHBORS, len(members.latent))
    distance, rows = cKDTree(members.latent).query(latent, k=range(1, k + 1))
    voted = members.phase_index[rows]
    for phase in np.unique(members.phase_index):
        own = voted == phase
        nearest = np.where(own, distance, np.inf).min(axis=1)
        with np.errstate(invalid="ignore"):
            late = np.where(np.isfinite(nearest), nearest / (1 + nearest), 1.0)
        against[phase] = NEIGHBORS - own.sum(axis=1) + 0.5 * late
    return against


def resolve(
    latent: NDArray[np.floating],
    phase_index: NDArray[np.integer],
    ambiguous: NDArray[np.bool_],
    pair: NDArray[np.integer],
    distance: Distance,
    candidates: Candidates = "pair",
) -> NDArray[np.int8]:
    """Phase of every spectrum after the paper's rule.

    Only ambiguous spectra may change: they go to the phase of the smallest distance, among the
    two phases in question (``"pair"``, section 3.4) or among all (``"all"``, section 3.3). Where
    the distance to the best phase is not finite there is nothing to compare with, and the
    spectrum keeps its phase; so it does where a latent coordinate is not finite.

    Parameters
    ----------
    latent : ndarray of shape (n_spectra, n_latent)
        Encoder output z_mean.
    phase_index : ndarray of shape (n_spectra,)
        Phase of the largest Pearson coefficient, -1 for none.
    ambiguous : ndarray of bool, shape (n_spectra,)
    pair : ndarray of shape (2, n_spectra)
        Best and second-best phase; read only where ambiguous.
    distance : callable
        Such as `distance_by` returns.
    candidates : {"pair", "all"}

    Returns
    -------
    ndarray of int8, shape (n_spectra,)

    Examples
    --------
    >>> to_points = partial(squared_euclidean, points=np.array([[0.0], [4.0]]))
    >>> resolve(np.array([[3.0], [3.0]]), np.array([0, 0]), np.array([True, False]),
    ...         np.array([[0, 0], [1, 1]]), to_points)
    array([1, 0], dtype=int8)
    """
    resolved = phase_index.astype(np.int8)
    rows = np.flatnonzero(ambiguous & (phase_index >= 0) & np.isfinite(latent).all(axis=1))
    away = distance(latent[rows])
    column = np.arange(len(rows))
    comparable = np.isfinite(away[phase_index[rows], column])
    if candidates == "all":
        choice = away.argmin(axis=0)
    else:
        first, second = pair[:, rows]
        choice = np.where(away[second, column] < away[first, column], second, first)
    resolved[rows[comparable]] = choice[comparable]
    return resolved


def mahalanobis_resolve(
    latent: NDArray[np.floating],
    phase_index: NDArray[np.integer],
    ambiguous: NDArray[np.bool_],
    pair: NDArray[np.integer],
    clusters: Clusters,
    candidates: Candidates = "pair",
) -> NDArray[np.int8]:
    """`resolve` by the squared Mahalanobis distance: what the paper does."""
    distance = partial(squared_mahalanobis, clusters=clusters)
    return resolve(latent, phase_index, ambiguous, pair, distance, candidates)


MARGIN = 2.0
"""By how much another cluster's squared Mahalanobis distance must be smaller.

On simulated particles of 2000 photons, 3 to 7 % of the clear pixels are then suspected, and their
phase is wrong 3 to 7 times as often as that of all clear pixels (30 to 40 % of them). Without a
margin almost half are suspected. The nearest cluster is seldom the true phase."""


def contradicted(
    latent: NDArray[np.floating],
    phase_index: NDArray[np.integer],
    clear: NDArray[np.bool_],
    distance: Distance,
    margin: float,
) -> NDArray[np.int8]:
    """Clear spectra that lie nearer to another phase than to their own (Figs. S6 and S7).

    The paper's rule never touches them, for their two best coefficients differ enough; yet some
    are false assignments. This is a list to look at, not a correction.

    Parameters
    ----------
    latent, phase_index
        As for `resolve`.
    clear : ndarray of bool, shape (n_spectra,)
        Not ambiguous.
    distance : callable
    margin : float
        By how much the other phase must be nearer.

    Returns
    -------
    ndarray of int8, shape (n_spectra,)
        The nearest phase of a contradicted spectrum, -1 for the others.
    """
    suspected = np.full(len(latent), -1, dtype=np.int8)
    rows = np.flatnonzero(clear & (phase_index >= 0) & np.isfinite(latent).all(axis=1))
    away = distance(latent[rows])
    own = away[phase_index[rows], np.arange(len(rows))]
    nearer = np.isfinite(own) & (own - away.min(axis=0, initial=np.inf) > margin)
    suspected[rows[nearer]] = away[:, nearer].argmin(axis=0)
    return suspected
