"""Which of the remaining energies to measure: few, cheap, and nearly as good as all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stxm_live.adaptive.energies.expected_error import Expectation


@dataclass(frozen=True)
class Goal:
    """When a scan may end.

    Parameters
    ----------
    target_wrong : float
        Mean probability of a wrong label that is good enough.
    min_gain : float
        So much more than with all energies may be wrong.
    """

    target_wrong: float
    min_gain: float


@dataclass(frozen=True, eq=False)
class Choice:
    """What to measure, and what it promises.

    Parameters
    ----------
    wanted : tuple of int
        Energies to measure, what helps most for its dose first.
    wrong : float
        Expected with them.
    wrong_with_all : float
        Expected with all that remain.
    gains : dict of int to float
        How much less would be wrong by each remaining energy alone.
    """

    wanted: tuple[int, ...]
    wrong: float
    wrong_with_all: float
    gains: dict[int, float]


def choose(
    expectation: Expectation, remaining: NDArray[np.bool_], goal: Goal, required: tuple[int, ...]
) -> Choice:
    """The cheapest energies, as far as adding one by one finds them, that reach the goal.

    Parameters
    ----------
    expectation : Expectation
    remaining : ndarray of bool, shape (n_energies,)
    goal : Goal
    required : tuple of int
        Of the remaining ones, those that are measured in any case.
    """
    left = np.flatnonzero(remaining).tolist()
    search = _Search(expectation, np.maximum(expectation.knowledge.dose, 1e-9))
    none, *alone, with_all = search.wrong([[], *([k] for k in left), left])
    enough = max(goal.target_wrong, with_all + goal.min_gain)
    fixed = [k for k in required if k in left]
    wanted = search.pruned(search.grown(fixed, left, enough), fixed, enough)
    gains = {k: none - wrong for k, wrong in zip(left, alone, strict=True)}
    wanted.sort(key=lambda k: -gains[k] / search.dose[k])
    return Choice(tuple(wanted), search.wrong([wanted])[0], with_all, gains)


@dataclass(frozen=True, eq=False)
class _Search:
    """Looks for a cheap set of energies."""

    expectation: Expectation
    dose: NDArray[np.float64]

    def wrong(self, sets: list[list[int]]) -> list[float]:
        """Expected with each set."""
        table = np.zeros((len(sets), len(self.dose)), dtype=bool)
        for row, members in zip(table, sets, strict=True):
            row[members] = True
        return [float(wrong) for wrong in self.expectation.wrong(table)]

    def grown(self, chosen: list[int], left: list[int], enough: float) -> list[int]:
        """The chosen ones and, one by one, what helps most for its dose, until it is enough."""
        chosen, (wrong,) = list(chosen), self.wrong([chosen])
        while wrong > enough and (others := [k for k in left if k not in chosen]):
            after = self.wrong([[*chosen, k] for k in others])
            best = int(np.argmax((wrong - np.array(after)) / self.dose[others]))
            chosen.append(others[best])
            wrong = after[best]
        return chosen

    def pruned(self, chosen: list[int], fixed: list[int], enough: float) -> list[int]:
        """Without those that later ones have made superfluous, the most costly first."""
        for one in sorted(set(chosen).difference(fixed), key=lambda k: -self.dose[k]):
            without = [k for k in chosen if k != one]
            if self.wrong([without])[0] <= enough:
                chosen = without
        return chosen
