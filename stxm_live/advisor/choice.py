"""Which of the remaining energies to measure: few, cheap, and nearly as good as all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stxm_live.advisor.expectation import Expectation


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
        Energies to measure.
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
    left = [int(k) for k in np.flatnonzero(remaining)]
    dose = np.maximum(expectation.knowledge.dose, 1e-9)
    chosen = [k for k in required if k in left]

    def wrong_with(sets: list[list[int]]) -> NDArray[np.float64]:
        table = np.zeros((len(sets), len(remaining)), dtype=bool)
        for row, members in zip(table, sets, strict=True):
            row[members] = True
        return expectation.wrong(table)

    alone = wrong_with([[], *([k] for k in left), left])
    with_all = float(alone[-1])
    enough = max(goal.target_wrong, with_all + goal.min_gain)
    wrong = float(wrong_with([chosen])[0])
    while wrong > enough:
        others = [k for k in left if k not in chosen]
        if not others:
            break
        after = wrong_with([[*chosen, k] for k in others])
        best = int(((wrong - after) / dose[others]).argmax())
        chosen.append(others[best])
        wrong = float(after[best])
    for k in sorted(chosen, key=lambda k: -dose[k]):
        if k in required or len(chosen) == 1:
            continue
        without = [other for other in chosen if other != k]
        fewer = float(wrong_with([without])[0])
        if fewer <= enough:
            chosen, wrong = without, fewer
    gains = {k: float(alone[0] - value) for k, value in zip(left, alone[1:-1], strict=True)}
    return Choice(tuple(sorted(chosen)), wrong, with_all, gains)
