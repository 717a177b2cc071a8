"""Mixtures of two phases whose domains meet in a pixel, also of such that are no neighbors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.products import product
from stxm_live.core.series import Series
from stxm_live.phase_mapping.composition.neighborhood import Witnesses
from stxm_live.phase_mapping.composition.nodes import (
    Nodes,
    likelihoods,
    nodes_along,
    share_stds,
    steps_for,
)
from stxm_live.phase_mapping.pair_posterior import pairs
from stxm_live.phase_mapping.weighted_products import Products

_NEAR = 0.1
"""Trust in neighbors where phases meet: they are not of one phase."""

_SHARES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
"""Shares of mixtures among the pixels where phases meet that are compared."""


def meeting(around: Witnesses) -> NDArray[np.float32]:
    """Return how probable it is that every two phases meet in a pixel, (n_pairs, n_spectra).

    ``around`` are the neighbors as witnesses of each reference alone.
    """
    near = around.prior(np.ones(len(around.log_sum)), _NEAR)
    first, second = pairs(len(near))
    return np.asarray(2 * near[first] * near[second])


_FEWEST = 4
"""Steps between two phases that are no neighbors, at least."""


class Mixtures(NamedTuple):
    """Mixtures along a series, then those of every two phases that are no neighbors in it.

    ``shares`` has shape (n_nodes, n_phases), ``x`` (n_nodes,), the number of each in the series.
    ``of_two`` is the probability of a node in a mixture of two phases, (n_nodes, n_pairs).
    """

    shares: NDArray[np.float64]
    x: NDArray[np.float64]
    of_two: NDArray[np.float64]

    @classmethod
    def of(cls, path: Nodes, found: Products, series: Series, scatter: float) -> Mixtures:
        """Return the mixtures for typical spectra, in steps as fine as these show them."""
        order, per_gap = series.order, (len(path.x) - 1) // (len(series.order) - 1)
        shares, x, columns, start = [path.shares], [path.x], [], len(path.x)
        for a, b in zip(*pairs(len(order)), strict=True):
            if b - a == 1:
                columns.append((a * per_gap, np.ones(per_gap + 1)))
                continue
            std = float(share_stds(found, order[[a, b]], scatter)[0])
            chord = nodes_along(order[[a, b]], series.values, per_gap=steps_for(std, _FEWEST)[0])
            columns.append((start, chord.weight[1:-1]))
            shares, x = [*shares, chord.shares[1:-1]], [*x, chord.x[1:-1]]
            start += len(x[-1])
        of_two = np.zeros((start, len(columns)))
        for column, (first, weight) in enumerate(columns):
            of_two[first : first + len(weight), column] = weight / weight.sum()
        return cls(np.concatenate(shares), np.concatenate(x), of_two)

    def prior(
        self,
        gradual: NDArray[np.floating],
        met: NDArray[np.floating],
        share: float,
    ) -> NDArray[np.float64]:
        """Return the probability of each node beforehand, (n_nodes, n_spectra).

        Parameters
        ----------
        gradual : ndarray of shape (n_path, n_spectra)
            Probability of each node along the series where the composition changes gradually.
        met : ndarray of shape (n_pairs, n_spectra)
            Result of `meeting`.
        share : float
            Share of mixtures among the pixels where phases meet.
        """
        prior = product(share * self.of_two, met.astype(np.float64))
        prior[: len(gradual)] += gradual * (1 - share * met.sum(axis=0))
        return prior

    def share(
        self,
        found: Products,
        gradual: NDArray[np.floating],
        met: NDArray[np.floating],
        scatter: float,
    ) -> float:
        """Return the share of mixtures, where phases meet, that is the most likely of some.

        ``gradual`` and ``met`` are those of `prior`, for the spectra that are ``found``.
        """
        own = likelihoods(found, self.shares, scatter)
        alone, mixed = ((self.prior(gradual, met, s) * own).sum(axis=0) for s in (0.0, 1.0))
        totals = [np.log((1 - s) * alone + s * mixed).sum() for s in _SHARES]
        return _SHARES[int(np.argmax(totals))]
