"""The paper's second step: ambiguous pixels by their place in latent space (section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.recipe_options import ResolverOptions
from stxm_live.phase_mapping.correlation import BestTwo
from stxm_live.phase_mapping.latent_space.assignment import (
    MARGIN,
    STRATEGIES,
    contradicted,
    distance_by,
    resolve,
)
from stxm_live.phase_mapping.latent_space.model import LatentModel


@dataclass(frozen=True, eq=False)
class LatentMap:
    """Latent coordinates of the spectra, and the labels by them.

    Parameters
    ----------
    latent : ndarray of shape (n_spectra, n_latent), float32
        Encoder output z_mean.
    index : ndarray of shape (n_spectra,), int8
        Phase of every spectrum, ambiguous ones by their place in latent space.
    contradicted : ndarray of bool, shape (n_spectra,)
        Clear by correlation, nearer to another phase in latent space.
    notes : tuple of str
    """

    latent: NDArray[np.float32]
    index: NDArray[np.int8]
    contradicted: NDArray[np.bool_]
    notes: tuple[str, ...] = ()


def latent_map(
    od: NDArray[np.float32],
    best: BestTwo,
    ambiguous: NDArray[np.bool_],
    model: LatentModel,
    options: ResolverOptions,
) -> LatentMap:
    """Encode spectra and resolve the ambiguous ones.

    By the recipe's strategy, or the paper's own where the recipe chooses none.

    Parameters
    ----------
    od : ndarray of shape (n_energies, n_spectra)
    best : BestTwo
        By correlation.
    ambiguous : ndarray of bool, shape (n_spectra,)
    model : LatentModel
        One that was trained for these energies.
    options : ResolverOptions
    """
    latent = model.encode(np.ascontiguousarray(od.T))
    chosen = [strategy for strategy in STRATEGIES if strategy == options.method]
    landmarks = model.bundle.landmarks.beside(
        latent, best.first_index, ~ambiguous, of_scan=options.statistics == "scan"
    )
    paper = distance_by("mahalanobis", landmarks)
    other = contradicted(latent, best.first_index, ~ambiguous, paper, MARGIN) >= 0
    index = resolve(
        latent,
        best.first_index,
        ambiguous | other if options.audit == "resolve" else ambiguous,
        np.array([best.first_index, best.second_index]),
        distance_by(chosen[0], landmarks) if chosen else paper,
        options.candidates,
    )
    notes = []
    from_training = options.method == "knn" and options.statistics == "training"
    if from_training and model.bundle.members is None:
        notes.append(
            "the model keeps no labelled points: the neighbors are the scan's own clear "
            "pixels; train it again to have those of the training set"
        )
    return LatentMap(latent, index, other, tuple(notes))
