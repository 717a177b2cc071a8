"""Expected wrong labels after further energies, in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stxm_live.adaptive.energies.current_labels import Knowledge
from stxm_live.adaptive.mistaken_phases import mistaken, squared_distance

_LEAST = 1e-12


@dataclass(frozen=True, eq=False)
class Expectation:
    """Estimate how many labels stay wrong after a choice of energies.

    Parameters
    ----------
    knowledge : Knowledge
    measured : ndarray of bool, shape (n_energies,)

    Notes
    -----
    A pixel has phase k with probability p and j with q. Let the predictions of further energies for
    the two differ by d standard deviations (thickness, and constant, free). If k is true, these
    energies make the log-odds normal, of mean ln(p/q) + d^2/2 and variance d^2. The label is wrong
    with probability p N(-(ln(p/q) + d^2/2)/d) + q N((ln(p/q) - d'^2/2)/d'). This is summed over all
    pairs of phases, and no pixel gets worse than it is. Where neighbors are uncertain as well, the
    same images make them more certain, which adds to the mean of the log-odds, and less to its
    spread. In a pixel with two phases the wrong share may be the larger one in the map if the two
    are nearly equal. This is rarer the more precise the shares are: as one over the distance.
    """

    knowledge: Knowledge
    measured: NDArray[np.bool_]

    def wrong(self, added: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the expected mean probability that a label is wrong, shape (n_sets,).

        Parameters
        ----------
        added : ndarray of bool, shape (n_sets, n_energies)
            True for energies that are measured in addition.
        """
        known = self.knowledge
        before = self._squared_distance(self.measured[None])
        after = np.maximum(self._squared_distance(added | self.measured), before)
        p = np.maximum(known.probability, _LEAST)
        now = 1 - known.probability.max(axis=0)
        pure = np.minimum(_remaining(p, after - before, known.response), now)
        second, first = np.argsort(p, axis=0)[-2:]
        every = np.arange(p.shape[1])
        finer = (1 + before[:, first, second, every]) / (1 + after[:, first, second, every])
        each = (1 - known.mixed) * pure + known.mixed * now * np.sqrt(finer)
        return np.asarray(known.wrong * each.sum(axis=1) / max(float(now.sum()), _LEAST))

    def _squared_distance(self, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return distances of sets: (n_sets, n_phases, n_phases, n_sample).

        The distance is that of the best spectrum of the second phase from that of the first, in
        standard deviations squared; sets have shape (n_sets, n_energies).
        """
        known = self.knowledge
        w, sets = known.precision, chosen.astype(np.float64)
        rows = np.concatenate([known.baseline.shapes, known.references])
        # products of every two of baseline and references, as a pixel of each phase weights them
        gram = np.einsum("se,ekn,ae,be->abskn", sets, w, rows, rows, optimize=True)
        for expected in known.baseline.precision:
            coupling = gram[0]
            gram = gram - coupling[:, None] * coupling / np.maximum(coupling[0] + expected, _LEAST)
            gram = gram[1:, 1:]
        own = np.einsum("kkskn->skn", gram)[:, :, None]
        square = np.einsum("jjskn->skjn", gram)
        product = np.einsum("kjskn->skjn", gram)
        rest = squared_distance(own, product, square)
        return np.asarray(known.thickness[:, None] ** 2 * rest)


def _remaining(
    p: NDArray[np.float64], d2: NDArray[np.float64], response: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the probability of a wrong label, summed over phase pairs: (n_sets, n_sample)."""
    odds = np.log(p)[:, None] - np.log(p)[None]
    lost = p[:, None] * mistaken(odds, d2, response)
    diagonal = range(len(p))
    lost[:, diagonal, diagonal] = 0.0
    return np.asarray(lost.sum(axis=(1, 2)))
