"""Three models of a scan, and how well each predicts a spectrum from those of its neighbors."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.products import product
from stxm_live.core.series import Series
from stxm_live.phase_mapping.composition.meeting import meeting
from stxm_live.phase_mapping.composition.neighborhood import (
    Witnesses,
    gradual_change,
    steepness,
)
from stxm_live.phase_mapping.composition.nodes import (
    PER_GAP,
    Nodes,
    factor_for,
    likelihoods,
    nodes_along,
    share_stds,
)
from stxm_live.phase_mapping.pair_posterior import pairs
from stxm_live.phase_mapping.weighted_products import Products

_STEPS, _TRUSTS, _ODD = (0.15, 0.4, 1.0), (0.15, 0.3, 0.6, 1.0), (0.02, 0.1, 0.3)
"""Values of `Gradual` that are compared; the step is in gaps of the series."""

_CALM = 0.5
"""Change across a pixel, in gaps of the series, beyond which it may be the border of a domain."""

_MOVED = (-2, -1, 1, 2)
"""Nodes by which errors of the scan may move all pixels of a phase."""

_MIXED = (0.0, 0.3, 0.9)
"""Shares of mixtures, where phases meet, that are compared."""

_LEAST_STD = 0.1
"""Least uncertainty of a pixel's place, in gaps of the series, where steepness is looked for."""


class Gradual(NamedTuple):
    """Change of the composition from pixel to pixel.

    ``step`` is its standard deviation, in the series' number; ``trust`` the power of the neighbors'
    likelihoods; ``odd`` the share of pixels that neighbors say nothing of.
    """

    step: float
    trust: float
    odd: float


class Score(NamedTuple):
    """Logarithm of the probability of each spectrum by its neighbors, and with which options."""

    of_spectra: NDArray[np.float64]
    gradual: Gradual

    @property
    def total(self) -> float:
        """Return the sum over the spectra."""
        return float(self.of_spectra.sum())


class Models:
    """Models of some spectra.

    Parameters
    ----------
    found : Products
    series : Series
    mask : ndarray of bool, shape (ny, nx)
        Where the spectra are from.
    scale : float
        Variance of the photons over their mean.

    Attributes
    ----------
    share_std : float
        Standard deviation of a typical pixel's share between typical neighbors in the series.
    """

    def __init__(
        self, found: Products, series: Series, mask: NDArray[np.bool_], scale: float
    ) -> None:
        self._series, self._mask = series, mask
        self._path = nodes_along(series.order, series.values)
        self._chords = chords(series)
        every = [self._path, *self._chords.values()]
        share_std = share_stds(found, series.order, scale)
        self.share_std = float(np.median(share_std))
        scale *= factor_for(float(share_std.min()))
        self._likelihood = likelihoods(found, np.concatenate([n.shares for n in every]), scale)
        n_path = len(self._path.x)
        self._on_path = self._likelihood[:n_path]
        anything = product(self._path.weight[None], self._on_path)[0]
        if self._chords:
            anything = (anything + self._likelihood[n_path:].mean(axis=0)) / 2
        self._anything = anything
        self._between = self._likelihood_between()
        self._gap = float(np.abs(np.diff(series.values[series.order])).mean())

    def solid_solution(self) -> Score:
        """Return the score of mixtures of neighbors in the series."""
        steps = [step * self._gap for step in _STEPS]
        return self._gradual(self._on_path, self._path, steps, _ODD)

    def layers(self, like: Gradual) -> tuple[tuple[int, int] | None, Score | None]:
        """Return the best two phases that are no neighbors, and the score of their mixtures."""
        best: tuple[tuple[int, int] | None, Score | None] = None, None
        start = len(self._path.x)
        for pair, nodes in self._chords.items():
            likelihood = self._likelihood[start : start + len(nodes.x)]
            start += len(nodes.x)
            score = self._gradual(likelihood, nodes, [like.step], [like.odd])
            if best[1] is None or score.total > best[1].total:
                best = pair, score
        return best

    def _gradual(
        self,
        likelihood: NDArray[np.float64],
        nodes: Nodes,
        steps: list[float],
        odd: tuple[float, ...] | list[float],
    ) -> Score:
        """Return the best score over what is not known of the change from pixel to pixel."""
        found = []
        for step in steps:
            change = gradual_change(nodes, step)
            around = Witnesses.of(likelihood, self._anything, self._mask, change)
            for trust in _TRUSTS:
                own = (around.prior(nodes.weight, trust) * likelihood).sum(axis=0)
                found += [Score(self._log(own, o), Gradual(step, trust, o)) for o in odd]
        return max(found, key=lambda score: score.total)

    def domains(self) -> Score:
        """Return the score of single phases, moved along the series by the errors of the scan."""
        at = np.arange(len(self._series.order)) * PER_GAP
        best = self._of_phases(at, _TRUSTS, _ODD)
        for k, place in enumerate(at.copy()):
            for moved in _MOVED:
                if not 0 <= place + moved < len(self._on_path):
                    continue
                others = at.copy()
                others[k] = place + moved
                score = self._of_phases(others, (best.gradual.trust,), (best.gradual.odd,))
                if score.total > best.total:
                    best, at = score, others
        return self._of_phases(at, _TRUSTS, _ODD)

    def _of_phases(
        self, at: NDArray[np.intp], trusts: tuple[float, ...], odd: tuple[float, ...]
    ) -> Score:
        """Return the best score of phases at some nodes, and mixtures of two where they meet."""
        likelihood = self._on_path[at]
        around = Witnesses.of(likelihood, self._anything, self._mask)
        alike = np.ones(len(at))
        met = meeting(around).astype(np.float64)
        meet, mixed = met.sum(axis=0), (met * self._between).sum(axis=0)
        found = []
        for trust in trusts:
            alone = (around.prior(alike, trust) * likelihood).sum(axis=0)
            for share in _MIXED:
                own = alone + share * (mixed - meet * alone)
                found += [Score(self._log(own, o), Gradual(0.0, trust, o)) for o in odd]
        return max(found, key=lambda score: score.total)

    def _likelihood_between(self) -> NDArray[np.float64]:
        """Return the mean likelihood of mixtures of every two phases, (n_pairs, n_spectra)."""
        order, start, found = self._series.order, len(self._path.x), {}
        for pair, nodes in self._chords.items():
            found[pair[::-1]] = self._likelihood[start : start + len(nodes.x)].mean(axis=0)
            start += len(nodes.x)
        for k, pair in enumerate(pairwise(order.tolist())):
            found[pair] = self._on_path[k * PER_GAP : (k + 1) * PER_GAP + 1].mean(axis=0)
        places = zip(*pairs(len(order)), strict=True)
        return np.stack([found[int(order[a]), int(order[b])] for a, b in places])

    def _log(self, own: NDArray[np.float64], odd: float) -> NDArray[np.float64]:
        return np.asarray(np.log((1 - odd) * own + odd * self._anything))

    def is_calm(self) -> NDArray[np.bool_]:
        """Return True for spectra across which the composition hardly changes."""
        own = self._on_path * self._path.weight[:, None]
        own /= own.sum(axis=0)
        mean, square = product(np.stack([self._path.x, self._path.x**2]), own)
        precision = 1 / (np.maximum(square - mean**2, 0) + (_LEAST_STD * self._gap) ** 2)
        return steepness(mean, precision, self._mask) < _CALM * self._gap

    def span(self, gradual: Gradual) -> tuple[float, float]:
        """Return the numbers of the series below which 5 and 95 of 100 spectra are."""
        prior = smooth_prior(self._on_path, self._anything, self._path, self._mask, gradual)
        posterior = prior * self._on_path
        posterior /= posterior.sum(axis=0)
        low, high = np.percentile(product(self._path.x[None], posterior)[0], [5, 95])
        return float(low), float(high)


def chords(series: Series) -> dict[tuple[int, int], Nodes]:
    """Return mixtures of every two phases that are no neighbors in the series."""
    places = combinations(range(len(series.order)), 2)
    pairs = [series.order[[a, b]] for a, b in places if b - a > 1]
    return {(int(p[1]), int(p[0])): nodes_along(p, series.values) for p in pairs}


def smooth_prior(
    likelihood: NDArray[np.floating],
    anything: NDArray[np.floating],
    nodes: Nodes,
    mask: NDArray[np.bool_],
    gradual: Gradual,
) -> NDArray[np.float32]:
    """Return the probability of each node by the neighbors of a spectrum, (n_nodes, n_spectra).

    Parameters
    ----------
    likelihood : ndarray of shape (n_nodes, n_spectra)
    anything : ndarray of shape (n_spectra,)
        Likelihood of a spectrum of which nothing is known.
    nodes : Nodes
    mask : ndarray of bool, shape (ny, nx)
    gradual : Gradual
    """
    around = Witnesses.of(likelihood, anything, mask, gradual_change(nodes, gradual.step))
    prior = around.prior(nodes.weight, gradual.trust)
    prior *= np.float32(1 - gradual.odd)
    prior += (gradual.odd * nodes.weight[:, None]).astype(np.float32)
    return prior
