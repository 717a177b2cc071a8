"""Tables of numbers in text files, with the line of an error."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.number_tables import COMMENT, check_last_is_whole, is_last_cut
from stxm_live.core.text_files import check_regular, read_text, with_decimal_points


def read_numbers(path: Path, *, may_be_cut: bool = False) -> NDArray[np.float64]:
    """Read a table of numbers separated by blanks or tabs, also at the end of a line.

    Parameters
    ----------
    path : Path
    may_be_cut : bool
        Leave out a last line that is shorter than the one above and does not end: writing was
        interrupted in it. A last number that does not end becomes NaN.

    Raises
    ------
    ValueError
        If something is not a number or a line has another length; the message names the line.
    """
    if check_regular(path).stat().st_size == 0:
        raise ValueError(f"{path}: an empty file (0 bytes)")
    try:
        table: NDArray[np.float64] = np.loadtxt(path, ndmin=2, encoding="latin-1")
    except ValueError:
        whole = _without_cut_line(path) if may_be_cut else None
        if whole is None:
            raise ValueError(_first_fault(path)) from None
        return whole
    if may_be_cut and table.size and not ends_whole(path):
        table[-1, -1] = np.nan
    return table


def read_energies(path: Path) -> tuple[NDArray[np.float64], list[str]]:
    """Read the first number of each line; lines that begin with ``# % * ; !`` are comments.

    Returns
    -------
    energies_ev : ndarray of shape (n_energies,)
    notes : list of str
        On a last line that does not end.

    Raises
    ------
    ValueError
        If a line does not begin with a number, or the last one may be cut; the message names it.
    """
    written = read_text(check_regular(path))
    text = with_decimal_points(path, written)
    energies: list[float] = []
    lines: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith(COMMENT):
            continue
        word = re.split(r"[\s;]+|,\s+", line.strip())[0].rstrip(",")
        if re.fullmatch(r"\d+,\d+", word):
            raise ValueError(
                f"{path}, line {number}: {word!r} may have a decimal comma; write decimal points"
            )
        word = word.split(",")[0]
        try:
            energies.append(float(word))
            lines.append(line.strip())
        except ValueError:
            if energies:
                raise ValueError(f"{path}, line {number}: {word!r} is not a number") from None
    if not energies:
        raise ValueError(f"{path}: there are no energies")
    return np.array(energies), notes_on_last(path, written, lines, energies)


def notes_on_last(
    path: Path, text: str, lines: Sequence[str], energies_ev: Sequence[float]
) -> list[str]:
    """Return a note on a last energy that does not end and is shorter, if it continues the series.

    Parameters
    ----------
    path : Path
    text : str
        The whole file.
    lines : sequence of str
        Its lines of energies.
    energies_ev : sequence of float
        Their numbers.

    Raises
    ------
    ValueError
        If it may be cut, and the last three steps differ by more than a hundredth.
    """
    steps_ev = np.diff(energies_ev[-4:])
    continues = len(steps_ev) == 3 and np.ptp(steps_ev) < abs(steps_ev[0]) / 100
    if continues and is_last_cut(text, lines):
        return [
            f"{path.name}: its last line does not end; {lines[-1]} continues the series and is "
            "taken as whole"
        ]
    check_last_is_whole(path, text, lines)
    return []


def ends_whole(path: Path) -> bool:
    """Return True if the last number of a file is followed by a blank or an end of the line."""
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1).isspace()


def _without_cut_line(path: Path) -> NDArray[np.float64] | None:
    """Return the lines above a last one that was not written whole; None without such a line."""
    text = path.read_text(encoding="latin-1")
    lines = [line for line in text.splitlines() if line.strip()]
    is_short = len(lines) > 1 and len(lines[-1].split()) < len(lines[-2].split())
    if text.endswith(("\n", "\r")) or not is_short:
        return None
    try:
        return np.asarray(np.loadtxt(lines[:-1], ndmin=2))
    except ValueError:
        return None


def _first_fault(path: Path) -> str:
    """Return the first line that is not numbers, and the reason, as a message."""
    n_columns = 0
    for number, line in enumerate(path.read_text(encoding="latin-1").splitlines(), start=1):
        cells = line.split()
        for cell in cells:
            try:
                float(cell)
            except ValueError:
                comma = " (a decimal comma? write decimal points)" if "," in cell else ""
                return f"{path}, line {number}: {cell!r} is not a number{comma}"
        n_columns = n_columns or len(cells)
        if cells and len(cells) != n_columns:
            return f"{path}, line {number}: {len(cells)} numbers, the lines above have {n_columns}"
    return f"{path}: not a table of numbers"
