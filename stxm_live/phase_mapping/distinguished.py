"""Phases that a map does not distinguish, since the energies are not enough."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.references import ReferenceSpectra
from stxm_live.core.twins import Twins, twins_of

SAME = 1e-6
"""1 - PCC of references that are the same spectrum, so that no scan distinguishes them."""

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


def _is_confused(
    index: NDArray[np.int8], probability: NDArray[np.floating], first: int, second: int
) -> bool:
    either = np.flatnonzero((index == first) | (index == second))
    if not either.size:
        return False
    two = probability[[first, second]][:, either].astype(np.float64)
    return bool((two.min(axis=0) / np.maximum(two.sum(axis=0), 1e-30)).mean() > _CONFUSED)
