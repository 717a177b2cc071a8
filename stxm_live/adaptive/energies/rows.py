"""Rows to measure at each energy, if not all of them are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stxm_live.adaptive.energies.cost import Conditions
from stxm_live.adaptive.energies.selection import Offer, choose_energies
from stxm_live.core.references import ReferenceSpectra

FEWEST = 3
"""Fewest energies of a row that tell its phases, whatever its thickness and background."""


def row_shares(
    references: ReferenceSpectra,
    energies_ev: Sequence[float],
    share: float,
    conditions: Conditions = Conditions(1000),  # noqa: B008  frozen
) -> dict[float, float]:
    """Return the share of the rows to measure at the most telling energies.

    All rows at as many energies as there is room for, and what is left at one more; with room
    for fewer than `FEWEST`, the same share at each of these. The other energies are left out: rows
    are better measured at a few telling energies than each at others (see
    ``benchmarks/accuracy/sparse.py``).

    Parameters
    ----------
    references : ReferenceSpectra
    energies_ev : sequence of float
    share : float
        Share of all rows of all energies, above 0 and up to 1.
    conditions : Conditions
        Photons and thickness for which the energies are chosen.

    Returns
    -------
    dict of float to float
        Share by energy in eV, ascending.

    Raises
    ------
    ValueError
        If the share is not above 0 and up to 1, or the references do not cover the energies.
    """
    room = checked_share(share) * len(energies_ev)
    n_whole = int(room + 1e-9)
    if n_whole >= len(energies_ev):
        return dict.fromkeys(sorted(map(float, energies_ev)), 1.0)
    if n_whole < FEWEST:
        chosen = _most_telling(references, energies_ev, FEWEST, conditions)
        return dict.fromkeys(chosen, min(room / len(chosen), 1.0))
    left = room - n_whole
    if left * 10 < 1:
        return dict.fromkeys(_most_telling(references, energies_ev, n_whole, conditions), 1.0)
    chosen = _most_telling(references, energies_ev, n_whole + 1, conditions)
    whole = _most_telling(references, chosen, n_whole, conditions)
    return {energy: 1.0 if energy in whole else left for energy in chosen}


def _most_telling(
    references: ReferenceSpectra, energies_ev: Sequence[float], n: int, conditions: Conditions
) -> list[float]:
    """Return ``n`` of the energies, ascending; all if there are no more."""
    energies = np.array(sorted(map(float, energies_ev)))
    if n >= len(energies):
        return [float(e) for e in energies]
    offered = ReferenceSpectra(references.phase_names, energies, references.at(energies))
    chosen = choose_energies(offered, n, conditions, Offer(min_step_ev=1e-6))
    return sorted({float(energies[np.abs(energies - e).argmin()]) for e in chosen})


def interleaved_rows(n_rows: int, shares: Sequence[float]) -> tuple[tuple[int, ...], ...]:
    """Return the rows of each energy, evenly spread and interleaved.

    Parameters
    ----------
    n_rows : int
    shares : sequence of float
        Share of the rows at each energy, above 0 and up to 1; one row at least. Every row gets
        about as many energies.

    Returns
    -------
    tuple of tuple of int
        Ascending.

    Raises
    ------
    ValueError
        If a share is not above 0 and up to 1.

    Examples
    --------
    >>> interleaved_rows(6, [0.5, 0.5, 1.0])
    ((0, 2, 4), (1, 3, 5), (0, 1, 2, 3, 4, 5))
    """
    count = np.zeros(n_rows)
    chosen: dict[int, tuple[int, ...]] = {}
    for energy in np.argsort([-share for share in shares], kind="stable"):
        n_each = max(round(checked_share(shares[energy]) * n_rows), 1)
        spread = np.floor(np.arange(n_each) * n_rows / n_each).astype(np.intp)
        offers = [np.sort((spread + first) % n_rows) for first in range(n_rows)]
        rows = min(offers, key=lambda rows: count[rows].sum())
        count[rows] += 1
        chosen[int(energy)] = tuple(rows.tolist())
    return tuple(chosen[energy] for energy in range(len(shares)))


def checked_share(share: float) -> float:
    """Return a share of the rows, or raise an error if it is none."""
    if not 0 < share <= 1:
        raise ValueError(f"share of the rows is {share:g}; expected above 0 and up to 1")
    return share
