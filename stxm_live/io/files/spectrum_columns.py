"""Spectra in text files of several columns: aXis2000, Athena and Larch, XDI, CSV."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.number_tables import COMMENT, read_table

SPECTRUM_SUFFIXES = (
    *(".csv", ".dat", ".nor", ".r", ".t"),
    *(".tsv", ".txt", ".xdi", ".xmu", ".xsp"),
)
"""Suffixes that `read_columns` accepts; ``.r`` and ``.t`` are spectra of the ALS programs."""

_LEAST_EV = 50.0


class Columns(NamedTuple):
    """The columns of a file of spectra.

    ``names`` are those of the value columns; ``values`` has shape (n_columns, n_energies), in
    ascending energies; ``synthetic`` is True if the name or header calls the spectra so.
    """

    path: Path
    names: tuple[str, ...]
    energies_ev: NDArray[np.float64]
    values: NDArray[np.float64]
    synthetic: bool

    def column(self, wanted: str | None = None) -> NDArray[np.float64]:
        """Return one column by name or number in the file; the only one by default.

        Raises
        ------
        ValueError
            If the wanted one is not there, or none of several is chosen; the message names them.
        """
        values: list[NDArray[np.float64]] = list(self.values)
        listed = ", ".join(self.names)
        if wanted is None:
            if len(values) == 1:
                return values[0]
            raise ValueError(
                f"{self.path}: has {len(self.names)} columns beside the energy; add "
                f"@NAME or @NUMBER: {listed}"
            )
        lower = [name.lower() for name in self.names]
        if wanted.lower() in lower:
            return values[lower.index(wanted.lower())]
        if wanted.isdecimal() and 2 <= int(wanted) <= len(self.names) + 1:
            return values[int(wanted) - 2]
        raise ValueError(
            f"{self.path}: no column {wanted!r}; there are {listed}, or 2 to "
            f"{len(self.names) + 1} by number (1 is the energy)"
        )


def read_columns(path: str | Path) -> Columns:
    """Read a text file with energies in its first column and one or more spectra beside it.

    Blanks, tabs, commas or semicolons separate. Lines before the first number, and those that
    begin with ``# % * ; !``, are a header; the last of them with as many words as there are
    columns names these, or ``# Column.2: name`` as in XDI files.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Columns

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If something is not a number, an energy is repeated, or the energies are not in eV; the
        message names the file and the line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if path.suffix.lower() not in SPECTRUM_SUFFIXES:
        raise ValueError(
            f"{path}: its name is not that of a spectrum file; known suffixes are "
            f"{', '.join(SPECTRUM_SUFFIXES)}"
        )
    header, table = read_table(path)
    energies = table[:, 0]
    if energies[0] < _LEAST_EV:
        raise ValueError(
            f"{path}: energies {energies[0]:g} to {energies[-1]:g}, expected eV in the first column"
        )
    names = _column_names(header, table.shape[1])
    words = "\n".join([path.name, *header]).lower()
    return Columns(path, names, energies, table[:, 1:].T.copy(), "synthetic" in words)


def _cells(line: str) -> list[str]:
    """Return the words of a line; blanks inside a name are kept if other separators exist."""
    for sign in (",", ";", "\t"):
        if sign in line:
            return [cell.strip() for cell in line.strip().strip(sign).split(sign)]
    return line.split()


def _column_names(header: list[str], n_columns: int) -> tuple[str, ...]:
    """Return the names of the value columns, or their numbers."""
    names = [f"column {k + 1}" for k in range(n_columns)]
    for line in header:
        words = _cells(line.lstrip().lstrip("".join(COMMENT)).strip())
        if len(words) == n_columns and all(words):
            names = words
    for line in header:
        label, colon, name = line.lstrip("".join(COMMENT) + " ").partition(":")
        number = label.lower().removeprefix("column.")
        is_column = colon and label.lower().startswith("column.") and number.isdecimal()
        if is_column and name.strip() and 1 <= int(number) <= n_columns:
            names[int(number) - 1] = name.split()[0]
    return tuple(names[1:])
