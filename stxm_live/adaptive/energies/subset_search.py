"""Search for the few remaining energies that are cheap and nearly as good as all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stxm_live.adaptive.energies.expected_error import Expectation


@dataclass(frozen=True)
class Goal:
    """Condition for the end of a scan.

    Parameters
    ----------
    target_wrong : float
        Mean probability of a wrong label that is good enough.
    min_gain : float
        Allowed excess of wrong labels over that with all energies.
    """

    target_wrong: float
    min_gain: float


@dataclass(frozen=True, eq=False)
class Choice:
    """The energies to measure, and their expected result.

    Parameters
    ----------
    wanted : tuple of int
        Energies to measure, the most helpful for its dose first.
    wrong : float
        Share of wrong labels expected with them.
    wrong_with_all : float
        Share of wrong labels expected with all that remain.
    gains : dict of int to float
        Decrease of wrong labels by each remaining energy alone.
    """

    wanted: tuple[int, ...]
    wrong: float
    wrong_with_all: float
    gains: dict[int, float]


def choose(
    expectation: Expectation, remaining: NDArray[np.bool_], goal: Goal, required: tuple[int, ...]
) -> Choice:
    """Return the cheapest energies that reach the goal, found by adding one by one.

    Parameters
    ----------
    expectation : Expectation
    remaining : ndarray of bool, shape (n_energies,)
    goal : Goal
    required : tuple of int
        Remaining energies that are always measured.
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
    """Search for a cheap set of energies."""

    expectation: Expectation
    dose: NDArray[np.float64]

    def wrong(self, sets: list[list[int]]) -> list[float]:
        """Return the wrong labels expected with each set."""
        table = np.zeros((len(sets), len(self.dose)), dtype=bool)
        for row, members in zip(table, sets, strict=True):
            row[members] = True
        return [float(wrong) for wrong in self.expectation.wrong(table)]

    def grown(self, chosen: list[int], left: list[int], enough: float) -> list[int]:
        """Return the chosen energies plus the most helpful for their dose, until it is enough."""
        chosen, (wrong,) = list(chosen), self.wrong([chosen])
        while wrong > enough and (others := [k for k in left if k not in chosen]):
            after = self.wrong([[*chosen, k] for k in others])
            best = int(np.argmax((wrong - np.array(after)) / self.dose[others]))
            chosen.append(others[best])
            wrong = after[best]
        return chosen

    def pruned(self, chosen: list[int], fixed: list[int], enough: float) -> list[int]:
        """Return the list without energies that later ones made unnecessary, most costly first."""
        for one in sorted(set(chosen).difference(fixed), key=lambda k: -self.dose[k]):
            without = [k for k in chosen if k != one]
            if self.wrong([without])[0] <= enough:
                chosen = without
        return chosen
