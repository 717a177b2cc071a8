"""The phases in latent space: clusters, labelled points, references."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.products import inner_product

MEMBERS_PER_DIMENSION = 10
"""A cluster with fewer members per latent dimension has no covariance worth the name."""

MOST_MEMBERS = 1000
"""Labelled points kept of each phase."""


@dataclass(frozen=True, eq=False)
class Clusters:
    """Clusters of the spectra of each phase in latent space.

    Parameters
    ----------
    mean : ndarray of shape (n_phases, n_latent)
        NaN for a phase without members.
    covariance : ndarray of shape (n_phases, n_latent, n_latent)
        Shrunk towards a sphere, so that it can be inverted; NaN for a phase without members.
    counts : ndarray of shape (n_phases,)
        How many unambiguous spectra each phase had.
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
        """Return True for phases with enough members, at least 10 per latent dimension."""
        enough: NDArray[np.bool_] = self.counts >= MEMBERS_PER_DIMENSION * self.mean.shape[1]
        return enough

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Its arrays by name, as they are stored."""
        return {"mean": self.mean, "covariance": self.covariance, "counts": self.counts}


@dataclass(frozen=True, eq=False)
class Members:
    """Points of latent space whose phase is known.

    Parameters
    ----------
    latent : ndarray of shape (n_members, n_latent)
    phase_index : ndarray of shape (n_members,)
    """

    latent: NDArray[np.float32]
    phase_index: NDArray[np.int8]

    def __post_init__(self) -> None:
        if self.latent.ndim != 2 or self.phase_index.shape != self.latent.shape[:1]:
            raise ValueError(
                f"members: {self.latent.shape} coordinates need as many phases, got "
                f"{self.phase_index.shape}"
            )

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Its arrays by name, as they are stored."""
        return {"member_latent": self.latent, "member_phase_index": self.phase_index}


@dataclass(frozen=True, eq=False)
class Landmarks:
    """All that a spectrum's place in latent space is compared with.

    Parameters
    ----------
    clusters : Clusters
    references : ndarray of shape (n_phases, n_latent)
        The projected references.
    members : Members or None
        None where none were kept.
    """

    clusters: Clusters
    references: NDArray[np.float64]
    members: Members | None = None

    def beside(
        self,
        latent: NDArray[np.floating],
        phase_index: NDArray[np.integer],
        clear: NDArray[np.bool_],
        *,
        of_scan: bool = False,
    ) -> Landmarks:
        """For the spectra of a scan: with ``of_scan``, its own clusters and labelled points.

        Labelled points are the scan's own too where the training kept none. Parameters are those
        of `fit_clusters`.
        """
        clusters, members = self.clusters, self.members
        if of_scan:
            clusters = fit_clusters(latent, phase_index, clear, len(self.references))
        if of_scan or members is None:
            members = thinned_members(latent, phase_index, clear)
        return Landmarks(clusters, self.references, members)


def fit_clusters(
    latent: NDArray[np.floating],
    phase_index: NDArray[np.integer],
    clear: NDArray[np.bool_],
    n_phases: int,
) -> Clusters:
    """Mean and covariance of each phase's unambiguous spectra (the paper's section 3.3).

    Covariances are shrunk towards a sphere after Ledoit and Wolf (2004), so that they can be
    inverted.

    Parameters
    ----------
    latent : ndarray of shape (n_spectra, n_latent)
        Spectra with a coordinate that is not finite are left out.
    phase_index : ndarray of shape (n_spectra,)
        Phase of the largest Pearson coefficient, -1 for none.
    clear : ndarray of bool, shape (n_spectra,)
        Not ambiguous.
    n_phases : int
    """
    n_latent = latent.shape[1]
    known = clear & np.isfinite(latent).all(axis=1)
    mean = np.full((n_phases, n_latent), np.nan)
    covariance = np.full((n_phases, n_latent, n_latent), np.nan)
    counts = np.zeros(n_phases, dtype=np.int64)
    for k in range(n_phases):
        points = latent[known & (phase_index == k)].astype(np.float64)
        counts[k] = len(points)
        if len(points) > 1:
            mean[k], covariance[k] = points.mean(axis=0), shrunk_covariance(points)
    return Clusters(mean, covariance, counts)


def shrunk_covariance(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Covariance of points, shrunk towards a sphere as far as their number demands.

    Ledoit and Wolf, J. Multivariate Anal. 88 (2004) 365, equation 14.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_latent)

    Returns
    -------
    ndarray of shape (n_latent, n_latent)
    """
    n, dimension = points.shape
    centred = points - points.mean(axis=0)
    sample: NDArray[np.float64] = inner_product(centred.T, centred.T) / n
    sphere = np.trace(sample) / dimension * np.eye(dimension)
    distance = ((sample - sphere) ** 2).sum()
    noise = ((centred**2).sum(axis=1) ** 2).sum() / n**2 - (sample**2).sum() / n
    share = min(1.0, noise / distance) if distance > 0 else 0.0
    shrunk: NDArray[np.float64] = (1 - share) * sample + share * sphere
    return shrunk


def thinned_members(
    latent: NDArray[np.floating], phase_index: NDArray[np.integer], clear: NDArray[np.bool_]
) -> Members:
    """Unambiguous spectra with their phases, at most 1000 of each, evenly spaced in the list.

    So a common phase does not outvote its neighbors by number alone. Parameters are those of
    `fit_clusters`.
    """
    known = clear & (phase_index >= 0) & np.isfinite(latent).all(axis=1)
    kept = [_spaced(np.flatnonzero(known & (phase_index == k))) for k in np.unique(phase_index)]
    rows = np.concatenate(kept) if kept else np.zeros(0, dtype=np.intp)
    return Members(latent[rows].astype(np.float32), phase_index[rows].astype(np.int8))


def _spaced(rows: NDArray[np.intp]) -> NDArray[np.intp]:
    if len(rows) <= MOST_MEMBERS:
        return rows
    return rows[np.linspace(0, len(rows) - 1, MOST_MEMBERS).astype(np.intp)]
