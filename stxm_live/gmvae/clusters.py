"""Clusters of the phases in latent space, and scores of the paper's rule on known truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stxm_live.gmvae.data import TrainingSet
from stxm_live.phase_mapping import correlation
from stxm_live.phase_mapping.latent_space.assignment import CANDIDATES, mahalanobis_resolve
from stxm_live.phase_mapping.latent_space.clusters import (
    Clusters,
    Members,
    fit_clusters,
    thinned_members,
)


def cluster_statistics(latent: NDArray[np.floating], data: TrainingSet) -> Clusters:
    """Return mean and covariance of each phase's unambiguous spectra in latent space.

    Spectra are labeled by Pearson correlation, as in the paper's section 3.3.

    Parameters
    ----------
    latent : ndarray of shape (n_spectra, n_latent)
        Latent coordinates of the same spectra.
    """
    first_index, clear = _labels(data)
    return fit_clusters(latent, first_index, clear, data.references.n_phases)


def labelled_members(latent: NDArray[np.floating], data: TrainingSet) -> Members:
    """Return unambiguous spectra of each phase, labeled by Pearson correlation."""
    return thinned_members(latent, *_labels(data))


def phases_of(data: TrainingSet) -> NDArray[np.integer]:
    """Return true phases if they are known, else those of the largest coefficient."""
    return _labels(data)[0] if data.labels is None else data.labels


def _labels(data: TrainingSet) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """Return the phase of the largest coefficient, and True where it leads by enough."""
    best = correlation.best_two(correlation.pearson(data.spectra.T, data.reference_od))
    return best.first_index, (best.first - best.second) >= np.float32(data.ambiguity_threshold)


def accuracies(
    latent: NDArray[np.floating], data: TrainingSet, clusters: Clusters
) -> dict[str, float]:
    """Return shares of spectra with the right phase, by correlation and by the paper's rule.

    The result is empty if the true phases are not known.
    """
    if data.labels is None:
        return {}
    best = correlation.best_two(correlation.pearson(data.spectra.T, data.reference_od))
    ambiguous = correlation.ambiguous(best, data.ambiguity_threshold)
    pair = np.stack([best.first_index, best.second_index])
    scores = {
        "ambiguous_share": ambiguous.mean(),
        "pearson_accuracy": (best.first_index == data.labels).mean(),
    }
    for candidates in CANDIDATES:
        resolved = mahalanobis_resolve(
            latent, best.first_index, ambiguous, pair, clusters, candidates
        )
        scores[f"mahalanobis_{candidates}_accuracy"] = (resolved == data.labels).mean()
    return {name: float(score) for name, score in scores.items()}
