"""Phases that a map does not distinguish, since the energies are not enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.references import ReferenceSpectra
from stxm_live.core.twins import Twins, twins_of
from stxm_live.phase_mapping.assignment import Resolution, entropy

SAME = 1e-6
"""1 - PCC of references that are the same spectrum, so that no scan distinguishes them."""

_SURE_WITHIN = 0.7
"""Power of the probabilities of phases that share a label, among themselves."""

_CONFUSED = 0.25
"""Mean share of the less probable of two phases, from which neither is a label of its own."""


def undistinguished(
    index: NDArray[np.int8],
    probability: NDArray[np.floating],
    references: ReferenceSpectra,
    energies_ev: Sequence[float],
    threshold: float,
) -> Twins:
    """Return the groups of phases that share a label.

    Parameters
    ----------
    index : ndarray of shape (n_spectra,)
        Labels.
    probability : ndarray of shape (n_phases, n_spectra)
    references : ReferenceSpectra
    energies_ev : sequence of float
        Of the map.
    threshold : float
        1 - PCC below which two references are looked at: those that correlation cannot
        distinguish. They share a label if the probabilities do not distinguish them either.
    """
    names = references.phase_names
    pairs = references.inseparable_pairs(energies_ev, threshold)
    confused = [
        (a, b) for a, b in pairs if _is_confused(index, probability, names.index(a), names.index(b))
    ]
    return twins_of(names, confused)


def less_sure_within(
    resolution: Resolution, twins: Twins, phase_names: Sequence[str]
) -> Resolution:
    """Return a resolution whose phases that share a label are less sure among themselves.

    Spectra hardly distinguish them, and neighbors that believe each other make domains of what
    is left. The probability of the label that they share stays, and so do the labels.

    Parameters
    ----------
    resolution : Resolution
    twins : tuple of tuple of str
    phase_names : sequence of str
    """
    if not twins:
        return resolution
    index = resolution.index.astype(np.intp)[None]
    probability = resolution.probability.copy()
    for group in twins:
        members = [phase_names.index(name) for name in group]
        together = probability[members].sum(axis=0)
        share = np.maximum(probability[members], np.float32(1e-12)) ** np.float32(_SURE_WITHIN)
        probability[members] = share / share.sum(axis=0) * together
    before, after = (
        np.take_along_axis(p, index, axis=0)[0] for p in (resolution.probability, probability)
    )
    right = (1 - resolution.wrong_probability) * after / np.maximum(before, np.float32(1e-12))
    return replace(
        resolution,
        probability=probability,
        wrong_probability=np.asarray(np.clip(1 - right, 0, 1), dtype=np.float32),
        entropy=entropy(probability),
    )


def _is_confused(
    index: NDArray[np.int8], probability: NDArray[np.floating], first: int, second: int
) -> bool:
    either = np.flatnonzero((index == first) | (index == second))
    if not either.size:
        return False
    two = probability[[first, second]][:, either].astype(np.float64)
    return bool((two.min(axis=0) / np.maximum(two.sum(axis=0), 1e-30)).mean() > _CONFUSED)
