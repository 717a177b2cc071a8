"""How wrong labels will be after further energies, in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stxm_live.advisor.knowledge import Knowledge
from stxm_live.spatial import DIAGONAL, STRENGTH

_CONTRAST = 0.5
"""Difference of the two shares in a pixel of two phases, on average."""

_ALIKE = 0.85
"""Share of the neighbours that are of the pixel's own phase."""

_SUPPORT = STRENGTH * 4 * (1 + DIAGONAL) * _ALIKE
"""Log-odds that certain neighbours give."""

_ROUNDS = 2
"""How often neighbours and pixels are made surer by one another."""

_LEAST = 1e-12


@dataclass(frozen=True, eq=False)
class Expectation:
    """Tells what a choice of energies would leave wrong.

    Parameters
    ----------
    knowledge : Knowledge
    measured : ndarray of bool, shape (n_energies,)

    Notes
    -----
    For a pixel that is of phase k with probability p and of j with q, further energies whose
    predictions for the two differ by d standard deviations (thickness, and constant, free) make
    the log-odds normal, of mean ln(p/q) + d^2/2 and variance d^2 if k is true. The label is wrong
    with probability p N(-(ln(p/q) + d^2/2)/d) + q N((ln(p/q) - d'^2/2)/d'). This is summed over all
    pairs of phases, and no pixel gets worse than it is. A pixel that holds two phases differs
    less from either than they differ from each other. Where neighbours count, they become surer
    as well: on average by as much as the pixels, which adds to the mean of the log-odds.
    """

    knowledge: Knowledge
    measured: NDArray[np.bool_]

    def wrong(self, added: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Expected mean probability that a label is wrong, shape (n_sets,).

        Parameters
        ----------
        added : ndarray of bool, shape (n_sets, n_energies)
            Which energies are measured besides.
        """
        known = self.knowledge
        before = self._squared_distance(self.measured[None])
        d2 = np.maximum(self._squared_distance(added | self.measured) - before, 0.0)
        wrong = np.full(len(added), known.wrong)
        for _ in range(1 + _ROUNDS * known.neighbours):
            support = _SUPPORT * (known.wrong - wrong) if known.neighbours else 0.0 * wrong
            wrong = self._mean(d2, support)
        return wrong

    def _mean(self, d2: NDArray[np.float64], support: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean over the sample, (n_sets,), with so much support of the neighbours, (n_sets,)."""
        known = self.knowledge
        p = np.maximum(known.probability, _LEAST)
        now = 1 - known.probability.max(axis=0)
        pure = _remaining(p, d2, support)
        mixed = _remaining(p, _CONTRAST**2 * d2, _CONTRAST * support)
        each = (1 - known.mixed) * pure + known.mixed * mixed
        share = np.minimum(each, now).sum(axis=1) / max(float(now.sum()), _LEAST)
        return np.asarray(known.wrong * np.minimum(share, 1.0))

    def _squared_distance(self, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Of sets (n_sets, n_energies): (n_sets, n_phases, n_phases, n_sample).

        How many standard deviations, squared, the best spectrum of the second phase is from that
        of the first.
        """
        known = self.knowledge
        w, r, sets = known.precision, known.references, chosen.astype(np.float64)
        own = np.einsum("se,ekn,ke->skn", sets, w, r**2, optimize=True)[:, :, None]
        square = np.einsum("se,ekn,je->skjn", sets, w, r**2, optimize=True)
        product = np.einsum("se,ekn,ke,je->skjn", sets, w, r, r, optimize=True)
        if known.baseline:
            total = np.maximum(np.einsum("se,ekn->skn", sets, w), _LEAST)[:, :, None]
            mean = np.einsum("se,ekn,je->skjn", sets, w, r, optimize=True)
            mine = np.einsum("se,ekn,ke->skn", sets, w, r, optimize=True)[:, :, None]
            own, square = own - mine**2 / total, square - mean**2 / total
            product = product - mine * mean / total
        rest = own - product**2 / np.maximum(square, _LEAST)
        return np.asarray(known.thickness[:, None] ** 2 * np.maximum(rest, 0.0))


def _remaining(
    p: NDArray[np.float64], d2: NDArray[np.float64], support: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Probability of a wrong label, summed over pairs of phases: (n_sets, n_sample)."""
    from scipy.special import ndtr

    odds = np.log(p)[:, None] - np.log(p)[None]
    d = np.sqrt(np.maximum(d2, 1e-9))
    lost = ndtr(-(odds + support[:, None, None, None] + d2 / 2) / d)
    lost *= p[:, None]
    diagonal = range(len(p))
    lost[:, diagonal, diagonal] = 0.0
    return np.asarray(lost.sum(axis=(1, 2)))
