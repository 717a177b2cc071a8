"""What is counted of an answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.composite.ways import Answer
from benchmarks.accuracy.composite.worlds import Truth

BINS = 15

HONEST = 0.05
"""By how much a map may promise more than it keeps."""


@dataclass(frozen=True)
class Score:
    """Shares of pixels; NaN where there is nothing to count, or the way does not say.

    Parameters
    ----------
    accuracy, balanced : float
        Right labels among the pixels of known phases; and mean over the phases that are there.
    promised, kept : float
        Mean probability, and share of right ones, of the labels that are given; pixels said to
        be unidentified are not, and those of the unknown phase cannot be right.
    ece : float
        Mean of |promised - kept| over bins of the probability.
    found, false : float
        Pixels said to be unidentified among those of the unknown phase, and among the others.
    mapped : float
        Share of the specimen whose phase is known that has a label.
    absent, absent_promised : float
        Labels of phases that are nowhere in the specimen, and their mean probability.
    """

    accuracy: float
    balanced: float
    promised: float
    kept: float
    ece: float
    found: float
    false: float
    mapped: float
    absent: float
    absent_promised: float

    @property
    def is_honest(self) -> bool:
        """Whether what is promised is kept to five points."""
        return self.kept >= self.promised - HONEST


def score(answer: Answer, truth: Truth) -> Score:
    """The scores of one answer."""
    labelled = answer.index >= 0
    known, unknown = truth.known & labelled, truth.unknown & labelled
    promised = kept = error = found = false = believed = float("nan")
    elsewhere = known & ~np.isin(answer.index, _present(truth))
    if answer.promised is not None:
        claimed = known | unknown
        if answer.unidentified is not None:
            claimed &= ~answer.unidentified
        right, probability = (answer.index == truth.index)[claimed], answer.promised[claimed]
        promised, kept = _mean(probability), _mean(right)
        error = calibration_error(probability, right)
        believed = _mean(answer.promised[elsewhere])
    if answer.unidentified is not None:
        found, false = _mean(answer.unidentified[unknown]), _mean(answer.unidentified[known])
    return Score(
        accuracy(answer.index, truth),
        balanced_accuracy(answer.index, truth),
        promised,
        kept,
        error,
        found,
        false,
        _mean(labelled[truth.known]),
        _mean(elsewhere[known]),
        believed,
    )


def _present(truth: Truth) -> NDArray[np.intp]:
    """Phases that lie anywhere in the specimen."""
    return np.flatnonzero((np.nan_to_num(truth.share) > 0).any(axis=(1, 2)))


def accuracy(index: NDArray[np.int8], truth: Truth) -> float:
    """Share of right labels among the labelled pixels of known phases."""
    where = truth.known & (index >= 0)
    return _mean((index == truth.index)[where])


def balanced_accuracy(index: NDArray[np.int8], truth: Truth) -> float:
    """The same for each phase that is there, and their mean."""
    where = truth.known & (index >= 0)
    right, of = (index == truth.index)[where], truth.index[where]
    return _mean(np.array([right[of == k].mean() for k in np.unique(of)]))


def calibration_error(probability: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Expected calibration error in bins of equal width; NaN without labels."""
    if not right.size:
        return float("nan")
    place = np.minimum((probability * BINS).astype(np.intp), BINS - 1)
    difference = np.bincount(place, weights=probability - right, minlength=BINS)
    return float(np.abs(difference).sum() / right.size)


def _mean(values: NDArray[np.generic]) -> float:
    return float(values.mean()) if values.size else float("nan")
