"""Where the phases lie in latent space, and how the paper's rule does on known truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stxm_live import correlation
from stxm_live.resolver import CANDIDATES, Clusters, mahalanobis_resolve
from stxm_live.training.data import TrainingSet


def cluster_statistics(latent: NDArray[np.floating], data: TrainingSet) -> Clusters:
    """Mean and covariance of each phase's unambiguous spectra, labelled by Pearson correlation.

    As in the paper's section 3.3. Covariances are shrunk towards a sphere after Ledoit and Wolf,
    so that they can be inverted.

    Parameters
    ----------
    latent : ndarray of shape (n_spectra, n_latent)
        Of the same spectra.
    """
    from sklearn.covariance import LedoitWolf

    best = correlation.best_two(correlation.pearson(data.spectra.T, data.reference_od))
    clear = (best.first - best.second) >= np.float32(data.ambiguity_threshold)
    n_phases, n_latent = data.references.n_phases, latent.shape[1]
    mean = np.full((n_phases, n_latent), np.nan)
    covariance = np.full((n_phases, n_latent, n_latent), np.nan)
    counts = np.zeros(n_phases, dtype=np.int64)
    for k in range(n_phases):
        members = latent[clear & (best.first_index == k)].astype(np.float64)
        counts[k] = len(members)
        if len(members) > 1:
            estimate = LedoitWolf().fit(members)
            mean[k], covariance[k] = estimate.location_, estimate.covariance_
    return Clusters(mean, covariance, counts)


def accuracies(
    latent: NDArray[np.floating], data: TrainingSet, clusters: Clusters
) -> dict[str, float]:
    """Share of spectra with the right phase, by correlation and after the paper's rule.

    Empty where the true phases are not known.
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
