"""Ways to say which phase each pixel is: the paper's, users' habits, and this package's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from benchmarks.accuracy.truth_table.pure import phase_frequencies, posterior, potts
from benchmarks.accuracy.truth_table.worlds import Scan
from stxm_live.phase_mapping.correlation import BestTwo, ambiguous, best_two, pearson
from stxm_live.phase_mapping.latent_space.assignment import (
    CANDIDATES,
    STRATEGIES,
    distance_by,
    resolve,
)
from stxm_live.phase_mapping.latent_space.bundle import Bundle
from stxm_live.phase_mapping.likelihood import fit_references
from stxm_live.phase_mapping.mixtures import Assignment, fit_mixtures
from stxm_live.phase_mapping.phase_frequencies import by_frequencies
from stxm_live.phase_mapping.spatial_prior import potts_mixed
from stxm_live.phase_mapping.unidentified import unidentified


@dataclass(frozen=True, eq=False)
class Answer:
    """What one way says of one scan, arrays over the spectra."""

    index: NDArray[np.integer]
    probability: NDArray[np.floating] | None = None
    mixed: NDArray[np.floating] | None = None
    unidentified: NDArray[np.bool_] | None = None

    @classmethod
    def of(cls, probability: NDArray[np.floating], **other: NDArray[np.generic]) -> Answer:
        """The most probable phase."""
        return cls(probability.argmax(axis=0), probability, **other)


@dataclass(frozen=True, eq=False)
class Model:
    """A bundle and its encoder, loaded."""

    bundle: Bundle
    encode: Callable[[NDArray[np.float32]], NDArray[np.float32]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "encode", self.bundle.encoder().encode)


@dataclass(frozen=True, eq=False)
class Known:
    """What every way may use of a scan."""

    scan: Scan
    best: BestTwo
    ambiguous: NDArray[np.bool_]


def answers(scan: Scan, model: Model | None) -> tuple[Known, dict[str, Answer]]:
    """All ways, by name."""
    best = best_two(pearson(scan.od, scan.references))
    known = Known(scan, best, ambiguous(best, 0.005))
    result = {"PCC": Answer(best.first_index)}
    result |= dict(_by_likelihood(known))
    result["linear-combination fit"] = Answer(_linear_combination(scan))
    result["k-means"] = Answer(_k_means(scan))
    if model is not None:
        result |= dict(_by_latent_space(known, model))
    return known, result


def _by_likelihood(known: Known) -> Iterator[tuple[str, Answer]]:
    scan = known.scan
    fit = fit_references(scan.od, scan.photons, scan.references)
    pure, flat = fit.log_likelihood, np.full(len(scan.references), 1 / len(scan.references))
    frequencies = phase_frequencies(pure)
    with np.errstate(divide="ignore"):
        weighted = pure + np.log(frequencies)[:, None].astype(np.float32)
    yield "likelihood, flat", Answer.of(posterior(pure, flat))
    yield "likelihood + EM", Answer.of(posterior(pure, frequencies))
    yield "likelihood + EM + Potts", Answer.of(potts(weighted, scan.mask))
    yield "likelihood, flat + Potts", Answer.of(potts(pure, scan.mask))
    mixtures = fit_mixtures(scan.od, scan.photons, scan.references, dispersion=fit.dispersion)
    strange = unidentified(mixtures, scan.mask)
    yield "likelihood, none", _answer(by_frequencies(mixtures.hypotheses), strange)
    yield "likelihood, potts", _answer(potts_mixed(mixtures.hypotheses, scan.mask), strange)


def _by_latent_space(known: Known, model: Model) -> Iterator[tuple[str, Answer]]:
    scan, first = known.scan, known.best.first_index
    latent = model.encode(np.ascontiguousarray(scan.od.T))
    pair = np.array([first, known.best.second_index])
    for statistics in ("training", "scan"):
        marks = model.bundle.landmarks.beside(
            latent, first, ~known.ambiguous, of_scan=statistics == "scan"
        )
        for strategy in STRATEGIES:
            distance = distance_by(strategy, marks)
            for candidates in CANDIDATES:
                index = resolve(latent, first, known.ambiguous, pair, distance, candidates)
                yield f"paper: {strategy}, {candidates}, {statistics}", Answer(index)


def _answer(found: Assignment, strange: NDArray[np.bool_] | None = None) -> Answer:
    return Answer(found.probability.argmax(axis=0), found.probability, found.mixed, strange)


def _linear_combination(scan: Scan) -> NDArray[np.intp]:
    """The largest coefficient of a fit of all references, none negative."""
    a = scan.references.T
    return np.array([nnls(a, y)[0].argmax() for y in scan.od.T.astype(np.float64)])


def _k_means(scan: Scan) -> NDArray[np.intp]:
    """As MANTiS users do: principal components, clusters, each named by its mean spectrum.

    Four components, their scores divided by the first one's, which is the thickness; as many
    clusters as there are references.
    """
    from sklearn.cluster import KMeans

    od = scan.od.astype(np.float64)
    _, axes = np.linalg.eigh(od @ od.T)
    scores = axes[:, ::-1][:, :4].T @ od
    directions = (scores[1:] / np.where(np.abs(scores[0]) > 0.05, scores[0], np.inf)).T
    n_clusters = len(scan.references)
    label = KMeans(n_clusters, n_init=4, random_state=0).fit_predict(directions)
    names = np.zeros(n_clusters, dtype=np.intp)
    for k in np.unique(label):
        mean = od[:, label == k].mean(axis=1)
        names[k] = np.argmax([np.corrcoef(mean, r)[0, 1] for r in scan.references])
    return names[label]
