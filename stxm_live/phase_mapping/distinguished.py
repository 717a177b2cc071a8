"""Phases that a map does not distinguish, and the verdict on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.phase_maps import Quality
from stxm_live.core.recipe import Recipe
from stxm_live.core.references import ReferenceSpectra
from stxm_live.core.twins import SAME, Twins, together, twins_of
from stxm_live.phase_mapping.assignment import Resolution, entropy
from stxm_live.phase_mapping.facts import Facts

_CHANCE = 0.03
"""Probability of the labels above chance, 1 being certain, below which all phases share a label."""

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

    Notes
    -----
    Correlation may find differences where there is hardly any absorption, as before the edge. If
    the probabilities are no better than chance, all phases share a label whatever correlates.
    """
    names = references.phase_names
    chance = 1 / len(names)
    if probability.size and probability.max(axis=0).mean() - chance < _CHANCE * (1 - chance):
        return (names,)
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


def no_phase_distinguished(facts: Facts) -> Quality | None:
    """Return the verdict on a map whose phases all share one label."""
    if facts.twins != (facts.phase_names,):
        return None
    return Quality(
        "poor",
        "the scan distinguishes no phases",
        f"{100 * facts.expected_wrong:.0f} % of the labels are expected wrong, as by chance",
        "Scan energies at which the references differ, at their absorption edges; or dwell longer.",
    )


def close_references(facts: Facts, recipe: Recipe) -> Quality | None:
    """Return the verdict on references that hardly differ on the energies of a complete scan."""
    if facts.separation >= recipe.ambiguity_threshold or facts.missing_ev:
        return None
    closest = recipe.corrected_references.inseparable_pairs(
        facts.energies_ev, facts.separation + SAME
    )
    return Quality(
        "poor",
        f"the closest references, {together(closest[0])}, differ by 1 - PCC = "
        f"{facts.separation:.4f} on these energies, less than the ambiguity threshold "
        f"{recipe.ambiguity_threshold:g}",
        "pixels of these two phases are ambiguous even without noise",
        "Add energies at which they differ, or lower ambiguity_threshold.",
    )
