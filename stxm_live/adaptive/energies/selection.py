"""Which energies to measure: those that tell the phases apart best for given photons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stxm_live.adaptive.energies.cost import Conditions, amounts_of, confusion_error, energy_terms
from stxm_live.core.references import ReferenceSpectra, listed_ev

_SWEEPS = 30
"""Rounds of exchange after which the search ends; it has always ended earlier by itself."""


@dataclass(frozen=True)
class Offer:
    """Which lists of energies may be chosen.

    Parameters
    ----------
    low_ev, high_ev : float, optional
        Range to choose from; the whole range of the references by default.
    keep_ev : tuple of float
        Energies that are in the list in any case, such as one before the edge.
    min_step_ev : float
        Chosen energies are at least this far from each other.
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
    """The energies, among those of the references, that separate the phases best.

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
        lies outside of the references.

    Notes
    -----
    What is made small is the sum, over ordered pairs of phases (true i, rival j) and thicknesses,
    of the probability that counting noise makes the rival fit better when each reference is
    fitted with a free thickness (and constant). In units of the noise a spectrum is a vector of
    length m, the references are directions, and the nearer direction wins: with the angle t
    between the two, what decides is normal with mean m (1 - cos t) and variance 2 (1 - cos t), to
    which an offset of the axis with standard deviation s adds (s b)^2, b being how much of the
    spectrum's slope lies along the difference of the two directions. Pixels that hold some of the
    rival have a smaller mean; without them the sum would only ask for the thinnest or thickest
    pixel once pure ones are told apart well. Energies are added one by one and then exchanged one
    by one until nothing gets better, from two beginnings.
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
    """From a chosen list the ones with one energy less each, down to ``fewest``.

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
    """Energies to choose from, and what each adds to the sums that the error comes from.

    ``terms`` has shape (n_energies, n_phases, n_thicknesses, n_terms): weighted by the photons
    behind a pixel of that phase and thickness, see `energy_terms`.
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
        """Whether so many can be chosen."""
        if n_energies < 2:
            raise ValueError(f"{n_energies} energies tell nothing apart; choose at least 2")
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
        """The list with whatever still fits in, from below."""
        filled = list(chosen)
        for k in range(len(self.energies_ev)):
            if k not in filled and self._free(filled)[k]:
                filled.append(k)
        return filled

    def _free(self, chosen: Sequence[int]) -> NDArray[np.bool_]:
        """Which energies are far enough from all the chosen ones."""
        apart = np.abs(self.energies_ev[:, None] - self.energies_ev[list(chosen)])
        free: NDArray[np.bool_] = np.all(apart >= self.min_step_ev - 1e-9, axis=1)
        free[list(chosen)] = False
        return free

    def listed(self, chosen: Sequence[int]) -> tuple[float, ...]:
        """The energies themselves, ascending."""
        return tuple(float(e) for e in np.sort(self.energies_ev[list(chosen)]))

    def error(self, chosen: Sequence[int]) -> float:
        """Summed probability of confusion; the smaller the better."""
        return float(self._error_of(self.terms[list(chosen)].sum(axis=0)))

    def _error_of(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return confusion_error(sums, self.amounts, self.conditions)

    def _best_addition(self, chosen: Sequence[int]) -> tuple[int, float] | None:
        """The energy that helps most beside these, and the error with it; None if none fits."""
        free = np.flatnonzero(self._free(chosen))
        if not free.size:
            return None
        errors = self._error_of(self.terms[list(chosen)].sum(axis=0) + self.terms[free])
        best = int(errors.argmin())
        return int(free[best]), float(errors[best])

    def grown(self, n_energies: int) -> list[int]:
        """The kept ones and the best additions, one by one; shorter if there is no room."""
        chosen = list(self.kept)
        while len(chosen) < n_energies and (best := self._best_addition(chosen)) is not None:
            chosen.append(best[0])
        return chosen if len(chosen) == n_energies else self._filled(self.kept)[:n_energies]

    def spread(self, n_energies: int) -> list[int]:
        """The kept ones and others at even distances; shorter if there is no room."""
        chosen = list(self.kept)
        for wanted in np.linspace(self.energies_ev[0], self.energies_ev[-1], n_energies):
            free = np.flatnonzero(self._free(chosen))
            if free.size and len(chosen) < n_energies:
                chosen.append(int(free[np.abs(self.energies_ev[free] - wanted).argmin()]))
        return chosen

    def exchanged(self, chosen: Sequence[int]) -> list[int]:
        """The list after exchanging one energy for a better one as long as there is a better."""
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
