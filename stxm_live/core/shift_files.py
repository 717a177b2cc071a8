"""Files of shifts, for the recipe's ``alignment.shifts``."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.number_tables import read_named_columns
from stxm_live.core.whole_file import whole_file

SHIFT_COLUMNS = ("energy_ev", "shift_y_px", "shift_x_px")
"""Header of a file of shifts."""


def read_shifts(path: Path) -> NDArray[np.float64]:
    """Read lines (n_lines, 3) of energy in eV and shift in y and x in px.

    Raises
    ------
    ValueError
        If the header is not `SHIFT_COLUMNS` or a line is not a shift; the message names the line.
    """
    expected = ",".join(SHIFT_COLUMNS)
    names, table, _ = read_named_columns(path, expected)
    if names != SHIFT_COLUMNS:
        raise ValueError(f"{path}: the first line must read {expected}")
    if not np.isfinite(table).all():
        raise ValueError(f"{path}: some shifts are not finite numbers")
    return table


def shifts_at(
    table: NDArray[np.float64], energies_ev: Sequence[float], tolerance_ev: float, path: Path
) -> NDArray[np.float64]:
    """Return shifts (n_energies, 2), y and x in px, from the table of `read_shifts`.

    Raises
    ------
    ValueError
        If an energy has no shift; the message names the energy and the file.
    """
    return np.array([_nearest(table, energy, tolerance_ev, path) for energy in energies_ev])


def _nearest(
    table: NDArray[np.float64], energy_ev: float, tolerance_ev: float, path: Path
) -> NDArray[np.float64]:
    apart = np.abs(table[:, 0] - energy_ev)
    if not apart.size or apart.min() > tolerance_ev:
        raise ValueError(
            f"{path} has no shift within {tolerance_ev:g} eV of {energy_ev:g} eV; add a line, or "
            "exclude the energy in the recipe (exclude_energies_ev)"
        )
    return table[apart.argmin(), 1:]


def write_shifts(
    path: str | Path, energies_ev: Sequence[float], shifts_px: NDArray[np.floating]
) -> None:
    """Write shifts (n_energies, 2) as a file that the recipe's ``alignment.shifts`` reads."""
    with whole_file(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(SHIFT_COLUMNS)
        for energy, (y, x) in zip(energies_ev, shifts_px, strict=True):
            writer.writerow([f"{float(energy)!r}", f"{y:.4f}", f"{x:.4f}"])
