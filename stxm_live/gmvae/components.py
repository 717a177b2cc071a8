"""Components of the mixture in use, and their information on phase and thickness."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from stxm_live.gmvae.options import TrainingError

IN_USE = 0.01
"""Mean responsibility from which on a component counts as in use."""

NEEDED = 0.6
"""Share of the components that must be in use: 3 of the paper's 5."""

N_THICKNESSES = 5
"""Classes of thickness with equally many spectra."""


def effective_components(responsibilities: NDArray[np.floating]) -> float:
    """Return the exponential of the entropy of the mean responsibilities.

    Parameters
    ----------
    responsibilities : ndarray of shape (n_spectra, n_components)
    """
    mean = responsibilities.mean(axis=0, dtype=np.float64)
    return float(np.exp(-np.sum(mean * np.log(np.maximum(mean, 1e-300)))))


def component_scores(
    responsibilities: NDArray[np.floating],
    spectra: NDArray[np.floating],
    phase_index: NDArray[np.integer],
) -> dict[str, float]:
    """Return components in use, and their information on phase and thickness.

    Components follow thickness rather than phase if beta is as small as the paper's.
    """
    component = responsibilities.argmax(axis=1)
    scores = {
        "components_used": effective_components(responsibilities),
        "component_phase_information": information_share(component, phase_index),
        "component_thickness_information": information_share(component, thickness_class(spectra)),
    }
    return {name: score for name, score in scores.items() if np.isfinite(score)}


def refuse_collapse(responsibilities: NDArray[np.floating], *, beta: float, seed: int) -> None:
    """Raise an error if the mixture has merged into too few components.

    Raises
    ------
    TrainingError
        If less than three in five components have a mean responsibility of 1 %.
    """
    mean = responsibilities.mean(axis=0, dtype=np.float64)
    n_used, needed = int((mean >= IN_USE).sum()), math.ceil(NEEDED * len(mean))
    if n_used < needed:
        raise TrainingError(
            f"the mixture has collapsed: {n_used} of {len(mean)} components are in use, at least "
            f"{needed} are needed; train longer, with another seed than {seed}, with a smaller "
            f"beta than {beta:g}, or with fewer components"
        )


def thickness_class(spectra: NDArray[np.floating]) -> NDArray[np.intp]:
    """Return classes 0 to 4 by the largest OD of each spectrum, with equal numbers."""
    largest = spectra.max(axis=1)
    edges = np.quantile(largest, np.linspace(0, 1, N_THICKNESSES + 1)[1:-1])
    classes: NDArray[np.intp] = np.searchsorted(edges, largest)
    return classes


def information_share(groups: NDArray[np.integer], labels: NDArray[np.integer]) -> float:
    """Return mutual information of two classifications, over the entropy of the second.

    It is 0 if the groups are independent of the labels, 1 if they determine them, and NaN if all
    labels are the same.

    Examples
    --------
    >>> information_share(np.array([0, 0, 1, 1]), np.array([5, 5, 7, 7]))
    1.0
    """
    _, group = np.unique(groups, return_inverse=True)
    _, label = np.unique(labels, return_inverse=True)
    joint = np.zeros((group.max(initial=0) + 1, label.max(initial=0) + 1))
    np.add.at(joint, (group, label), 1.0)
    entropy = _entropy(joint.sum(axis=0))
    if entropy == 0:
        return float("nan")
    return (_entropy(joint.sum(axis=1)) + entropy - _entropy(joint.ravel())) / entropy


def _entropy(counts: NDArray[np.float64]) -> float:
    """Return the entropy of counts in classes, in nats."""
    shares = counts[counts > 0] / max(1.0, counts.sum())
    return float(-np.sum(shares * np.log(shares)))
