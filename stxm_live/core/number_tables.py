"""Tables of numbers in text files: columns with energies, and CSV files with named columns."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.text_files import read_text, with_decimal_points

MAX_TABLE_BYTES = 16 * 2**20
"""Largest table that is read: .1 s for each 500 kB."""

COMMENT = ("#", "%", "*", ";", "!")
"""Characters that begin a header line in the programs of the field."""


def read_table(path: Path) -> tuple[list[str], NDArray[np.float64]]:
    """Read columns of numbers, the first of them energies in eV.

    Blanks, tabs, commas or semicolons separate; commas are decimal where others do. Lines before
    the first number, and those that begin with one of `COMMENT`, are a header.

    Returns
    -------
    header : list of str
        Its lines.
    table : ndarray of shape (n_energies, n_columns)
        In ascending energies.

    Raises
    ------
    ValueError
        If something is not a number, a line has another length, or an energy is repeated. The
        message names the file and, if possible, the line.
    """
    header: list[str] = []
    rows: list[list[float]] = []
    lines: list[str] = []
    written = read_text(path, MAX_TABLE_BYTES)
    text = with_decimal_points(path, written)
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        row = None if line.lstrip().startswith(COMMENT) else _numbers(line)
        if row is None and (not rows or line.lstrip().startswith(COMMENT)):
            header.append(line)
        elif row is None or (rows and len(row) != len(rows[0])):
            expected = f"{len(rows[0])} numbers" if rows else "numbers"
            raise ValueError(
                f"{path}, line {number}: expected {expected}, got {line.strip()!r:.80}"
            )
        else:
            rows.append(row)
            lines.append(line.strip())
    check_last_is_whole(path, written, lines)
    if len(rows) < 2 or len(rows[0]) < 2:
        raise ValueError(f"{path}: no columns of numbers (energy in eV, values) found")
    table = np.array(rows)
    if not np.isfinite(table).all():
        raise ValueError(f"{path}: contains a value that is not a finite number")
    table = table[np.argsort(table[:, 0], kind="stable")]
    repeated = table[1:, 0][np.diff(table[:, 0]) == 0]
    if repeated.size:
        raise ValueError(f"{path}: {repeated[0]:g} eV is listed twice; remove one of the two lines")
    return header, table


def read_named_columns(
    path: Path, expected: str
) -> tuple[tuple[str, ...], NDArray[np.float64], list[str]]:
    """Read a CSV file: a line of column names, lines of numbers, comments that begin with ``#``.

    Commas separate, or semicolons or tabs beside which commas are decimal.

    Parameters
    ----------
    path : Path
    expected : str
        The line of column names, for messages.

    Returns
    -------
    names : tuple of str
    table : ndarray of shape (n_lines, n_columns)
    comments : list of str

    Raises
    ------
    ValueError
        If a field is not a number or is missing; the message names the file and the line.
    """
    comments: list[str] = []
    rows: list[tuple[int, list[str]]] = []
    written = read_text(path, MAX_TABLE_BYTES)
    lines = with_decimal_points(path, written).splitlines()
    if lines and lines[0].lower().startswith("sep="):  # for Excel
        lines[0] = ""
    try:
        for number, row in enumerate(csv.reader(lines, delimiter=_separator(lines)), start=1):
            if row and row[0].lstrip().startswith("#"):
                comments.append(",".join(row))
            elif any(cell.strip() for cell in row):
                rows.append((number, [cell.strip() for cell in row]))
    except csv.Error as error:
        raise ValueError(f"{path}: no table ({error})") from None
    names = tuple(rows[0][1]) if rows else ()
    if names and _numbers(names[0]):
        raise ValueError(f"{path}: no line of column names; write {expected} above, without #")
    if len(rows) < 2 or len(names) < 3:
        raise ValueError(f"{path}: expected a header {expected} and lines of numbers")
    table = np.empty((len(rows) - 1, len(names)))
    for k, (number, cells) in enumerate(rows[1:]):
        values = [_numbers(cell) or [] for cell in cells]
        if len(cells) != len(names) or any(len(value) != 1 for value in values):
            commas = "" if "." in "".join(cells) else " (decimal commas? write decimal points)"
            raise ValueError(
                f"{path}, line {number}: expected {len(names)} numbers, got "
                f"{','.join(cells)!r:.80}{commas}"
            )
        table[k] = np.ravel(values)
    check_last_is_whole(path, written, [",".join(cells) for _, cells in rows[1:]])
    return names, table, comments


def check_last_is_whole(path: Path, text: str, lines: Sequence[str]) -> None:
    """Raise ValueError if the last line of numbers in a text may be cut."""
    if is_last_cut(text, lines):
        raise ValueError(
            f"{path}: may be cut, because its last line does not end and {lines[-1]!r:.80} is "
            "shorter than the lines above; complete it, and end the line"
        )


def is_last_cut(text: str, lines: Sequence[str]) -> bool:
    r"""Return True if the last line of numbers does not end and is shorter than each one above.

    Examples
    --------
    >>> is_last_cut("505.0\n513.2\n53", ["505.0", "513.2", "53"])
    True
    """
    *above, last = lines or [""]
    return bool(above) and not text[-1].isspace() and len(last) < min(map(len, above))


def _separator(lines: list[str]) -> str:
    """Return the sign that separates the column names: a semicolon, a tab, or else a comma."""
    names = next((line for line in lines if line.strip() and not line.lstrip().startswith("#")), "")
    return next((sign for sign in ";\t" if sign in names), ",")


def _numbers(line: str) -> list[float] | None:
    """Return the numbers of a line, or None if a word is not a number."""
    try:
        return [float(cell) for cell in line.replace(",", " ").replace(";", " ").split()]
    except ValueError:
        return None
