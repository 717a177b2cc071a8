"""What is counted of an answer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.truth_table.ways import Answer, Known

COLUMNS = (
    "accuracy",
    "balanced",
    "ambiguous",
    "2 px",
    "1 px",
    "arg max",
    "mean",
    "nll",
    "ece",
    "auc",
    "absent",
    "false",
)
"""Shares, but for the errors of the fractions in points (mean over phases) and the nll in nats.

``2 px`` and ``1 px``: accuracy on lamellae of that width. ``arg max`` and ``mean``: error of the
fractions by most probable phase and by mean probability.

``nll``: mean of -ln(probability of the true phase), none taken below 1e-6. ``ece``:
expected calibration error in 15 bins. ``auc``: area under the ROC curve of the probability of
being wrong as a detector of wrong labels. ``absent`` and ``false``: spectra called unidentified
among those of the absent phase, and among the others.
"""


def scores(answer: Answer, known: Known) -> NDArray[np.float64]:
    """One number per column, NaN where the answer does not say."""
    keep = ~known.scan.absent
    truth, index = known.scan.truth[keep], answer.index[keep]
    right = index == truth
    n_phases = len(known.scan.references)
    share = np.bincount(truth, minlength=n_phases) / len(truth)
    named = np.bincount(index, minlength=n_phases) / len(truth)
    lamella = known.scan.lamella_px[keep]
    result = [
        right.mean(),
        np.mean([right[truth == k].mean() for k in np.unique(truth)]),
        _mean(right[known.ambiguous[keep]]),
        _mean(right[lamella == 2]),
        _mean(right[lamella == 1]),
        100 * np.abs(named - share).mean(),
    ]
    if answer.probability is None:
        result += [np.nan] * 4
    else:
        probability = answer.probability[:, keep]
        of_truth = probability[truth, np.arange(len(truth))]
        result += [
            100 * np.abs(probability.mean(axis=1) - share).mean(),
            -np.log(np.maximum(of_truth, 1e-6)).mean(),
            calibration_error(probability.max(axis=0), right),
            roc_area(1 - probability.max(axis=0), ~right),
        ]
    flagged = answer.unidentified
    result += [np.nan] * 2 if flagged is None else [_mean(flagged[~keep]), _mean(flagged[keep])]
    return np.array(result)


def calibration_error(
    confidence: NDArray[np.floating], right: NDArray[np.bool_], n_bins: int = 15
) -> float:
    """Expected calibration error: |promised - kept| over bins of confidence."""
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    promised = np.bincount(bins, confidence, n_bins)
    kept = np.bincount(bins, right.astype(float), n_bins)
    return float(np.abs(promised - kept).sum() / len(right))


def roc_area(score: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """Chance that a positive one has a larger score than another one; NaN without either."""
    from scipy.stats import rankdata

    n_positive, n_other = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_other:
        return float("nan")
    rank = rankdata(score)
    above = rank[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(above / (n_positive * n_other))


def _mean(values: NDArray[np.bool_]) -> float:
    return float(values.mean()) if values.size else float("nan")
