"""Choice of the energies that distinguish the phases best for given photons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stxm_live.adaptive.energies.cost import (
    Conditions,
    amounts_of,
    confusion_error,
    energy_terms,
)
from stxm_live.core.references import ReferenceSpectra, listed_ev

_SWEEPS = 30
"""Most rounds of exchange; so far the search has always ended earlier."""


@dataclass(frozen=True)
class Offer:
    """Limits on the lists of energies that may be chosen.

    Parameters
    ----------
    low_ev, high_ev : float, optional
        Range to choose from; the whole range of the references by default.
    keep_ev : tuple of float
        Energies that are always in the list, such as one before the edge.
    min_step_ev : float
        Smallest distance between chosen energies.
    """

    low_ev: float | None = None
    high_ev: float | None = None
    keep_ev: tuple[float, ...] = ()
    min_step_ev: float = 0.3


def choose_energies(
    references: ReferenceSpectra,
    n_energies: int,
    conditions: Conditions,
    offer: Offer = Offer(),
) -> tuple[float, ...]:
    """Return the energies of the references that separate the phases best.

    Parameters
    ----------
    references : ReferenceSpectra
    n_energies : int
    conditions : Conditions
    offer : Offer

    Returns
    -------
    tuple of float
        Ascending, of length ``n_energies``.

    Raises
    ------
    ValueError
        If there are fewer energies to choose from than asked for, or if one that is to be kept
        is outside the references.

    Notes
    -----
    The search minimizes the sum, over ordered pairs of phases (true i, rival j) and thicknesses,
    of the probability that counting noise makes the rival fit better. Each reference is fitted with
    a free thickness (and constant). In units of the noise a spectrum is a vector of length m, the
    references are directions, and the nearer direction wins. With the angle t between the two, the
    deciding number is normal with mean m (1 - cos t) and variance 2 (1 - cos t). An offset of the
    axis with standard deviation s adds (s b)^2 to the variance, where b is the part of the
    spectrum's slope along the difference of the two directions. Pixels that hold some of the
    rival have a smaller mean; without them the sum would only ask for the thinnest or thickest
    pixel once pure ones are distinguished well. Energies are added one by one and then exchanged
    one by one until nothing improves, from two starting lists.
    """
    pool = _Pool.of(references, conditions, offer)
    pool.check(n_energies)
    starts = [pool.grown(n_energies), pool.spread(n_energies)]
    best = min((pool.exchanged(s) for s in starts if len(s) == n_energies), key=pool.error)
    return pool.listed(best)


def choose_fewer(
    references: ReferenceSpectra,
    energies_ev: Sequence[float],
    conditions: Conditions,
    offer: Offer = Offer(),
    *,
    fewest: int = 4,
) -> Iterator[tuple[float, ...]]:
    """Yield, from a chosen list, lists with one energy less each, down to ``fewest``.

    The least useful energy is left out and the others are exchanged anew. Arguments otherwise
    as for `choose_energies`.
    """
    pool = _Pool.of(references, conditions, offer)
    chosen = [int(np.abs(pool.energies_ev - e).argmin()) for e in energies_ev]
    while len(chosen) > max(fewest, len(pool.kept), 1):
        shorter = ([k for k in chosen if k != one] for one in chosen if one not in pool.kept)
        chosen = pool.exchanged(min(shorter, key=pool.error))
        yield pool.listed(chosen)


@dataclass(frozen=True, eq=False)
class _Pool:
    """Energies to choose from, and the terms that each adds to the error.

    ``terms`` has shape (n_energies, n_rows, n_columns): see `energy_terms`.
    """

    energies_ev: NDArray[np.float64]
    terms: NDArray[np.float64]
    amounts: NDArray[np.float64]
    kept: tuple[int, ...]
    conditions: Conditions
    min_step_ev: float

    @classmethod
    def of(
        cls,
        references: ReferenceSpectra,
        conditions: Conditions,
        offer: Offer,
    ) -> _Pool:
        grid = references.energies_ev
        low = grid[0] if offer.low_ev is None else offer.low_ev
        high = grid[-1] if offer.high_ev is None else offer.high_ev
        offered = grid[(grid >= low) & (grid <= high)]
        references.at(offer.keep_ev)  # an error names those outside
        energies = np.union1d(offered, np.asarray(offer.keep_ev, dtype=np.float64))
        kept = tuple(int(k) for k in np.searchsorted(energies, sorted(set(offer.keep_ev))))
        amounts = amounts_of(references, conditions)
        terms = energy_terms(references, energies, amounts, conditions.photons)
        return cls(energies, terms, amounts, kept, conditions, offer.min_step_ev)

    def check(self, n_energies: int) -> None:
        """Raise ValueError if this number of energies cannot be chosen."""
        if n_energies < 2:
            raise ValueError(f"{n_energies} energies distinguish no phases; choose at least 2")
        if len(self.kept) > n_energies:
            kept = listed_ev(self.energies_ev[list(self.kept)])
            raise ValueError(
                f"{len(self.kept)} energies are to be kept ({kept} eV), more than the "
                f"{n_energies} to choose; ask for more or keep fewer"
            )
        most = len(self._filled(self.kept))
        if most < n_energies:
            ends = (
                ""
                if not len(self.energies_ev)
                else (f" ({self.energies_ev[0]:g} to {self.energies_ev[-1]:g} eV)")
            )
            raise ValueError(
                f"{n_energies} energies asked for, {most} are there to choose from{ends}, "
                f"{self.min_step_ev:g} eV or more apart; ask for fewer, or for a smaller step or "
                "a wider range"
            )

    def _filled(self, chosen: Sequence[int]) -> list[int]:
        """Return the list with all further energies that fit, from low to high."""
        filled = list(chosen)
        for k in range(len(self.energies_ev)):
            if k not in filled and self._free(filled)[k]:
                filled.append(k)
        return filled

    def _free(self, chosen: Sequence[int]) -> NDArray[np.bool_]:
        """Return the energies that are far enough from all chosen ones."""
        apart = np.abs(self.energies_ev[:, None] - self.energies_ev[list(chosen)])
        free: NDArray[np.bool_] = np.all(apart >= self.min_step_ev - 1e-9, axis=1)
        free[list(chosen)] = False
        return free

    def listed(self, chosen: Sequence[int]) -> tuple[float, ...]:
        """Return the energies themselves, ascending."""
        return tuple(float(e) for e in np.sort(self.energies_ev[list(chosen)]))

    def error(self, chosen: Sequence[int]) -> float:
        """Return the summed probability of confusion; smaller is better."""
        return float(self._error_of(self.terms[list(chosen)].sum(axis=0)[None])[0])

    def _error_of(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return confusion_error(sums, self.amounts, self.conditions)

    def _best_addition(self, chosen: Sequence[int]) -> tuple[int, float] | None:
        """Return the most helpful further energy and the error with it; None if none fits."""
        free = np.flatnonzero(self._free(chosen))
        if not free.size:
            return None
        errors = self._error_of(self.terms[list(chosen)].sum(axis=0) + self.terms[free])
        best = int(errors.argmin())
        return int(free[best]), float(errors[best])

    def grown(self, n_energies: int) -> list[int]:
        """Return the kept energies and the best additions, one by one, as far as there is room."""
        chosen = list(self.kept)
        while len(chosen) < n_energies and (best := self._best_addition(chosen)) is not None:
            chosen.append(best[0])
        return chosen if len(chosen) == n_energies else self._filled(self.kept)[:n_energies]

    def spread(self, n_energies: int) -> list[int]:
        """Return the kept energies and others at even distances; shorter if there is no room."""
        chosen = list(self.kept)
        for wanted in np.linspace(self.energies_ev[0], self.energies_ev[-1], n_energies):
            free = np.flatnonzero(self._free(chosen))
            if free.size and len(chosen) < n_energies:
                chosen.append(int(free[np.abs(self.energies_ev[free] - wanted).argmin()]))
        return chosen

    def exchanged(self, chosen: Sequence[int]) -> list[int]:
        """Return the list after exchanging energies one by one until nothing improves."""
        current, error = list(chosen), self.error(chosen)
        for _ in range(_SWEEPS):
            before = error
            for one in [k for k in current if k not in self.kept]:
                others = [k for k in current if k != one]
                best = self._best_addition(others)
                if best is not None and best[1] < error * (1 - 1e-9):
                    current, error = [*others, best[0]], best[1]
            if error == before:
                break
        return current
