"""The table of many results, a row for each stack, as CSV and Parquet."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from stxm_live.core.plain_text import cell, one_line
from stxm_live.core.whole_file import whole_file

Row = Mapping[str, Any]

_TEXTS = (
    *("name", "uid", "file", "sample", "measured", "region", "polarization", "outcome", "reason"),
    *("status", "verdict", "cause", "consequence", "no_phases", "method", "recipe"),
    *("warnings", "result", "thickness_unit", "value_quantity"),
)
_COLUMNS = (
    *("name", "uid", "file", "n_runs", "scan_id", "sample", "measured", "region", "polarization"),
    *("outcome", "reason", "status", "verdict", "cause", "consequence", "no_phases", "method"),
    *("recipe", "synthetic_references", "ambiguous_share"),
    *("energy_offset_ev", "energy_offset_std_ev", "thickness", "thickness_std", "thickness_unit"),
    *("value", "value_std", "value_quantity", "warnings", "result", "seconds"),
)
"""Columns before those of the phases."""

PHASE_NUMBERS = (
    *("share", "share_by_correlation", "share_by_probability", "share_by_probability_std"),
    *("amount", "amount_std"),
)
"""Numbers of each phase; the amount is its share of the volume."""


def phases_of(rows: Iterable[Row]) -> list[str]:
    """Return the names of all phases, in the order in which they come."""
    return list(dict.fromkeys(name for row in rows for name in row.get("phases") or {}))


def table_columns(rows: Sequence[Row]) -> dict[str, list[Any]]:
    """Return the table by columns; a value that is not known is None.

    Texts are one line each. ``measured`` is ISO 8601, in the time of the microscope.
    """
    columns = {name: [_value(row, name) for row in rows] for name in _COLUMNS}
    for phase in phases_of(rows):
        for number in PHASE_NUMBERS:
            columns[f"{number} {one_line(phase)}"] = [
                (row.get("phases") or {}).get(phase, {}).get(number) for row in rows
            ]
    return columns


def write_table(rows: Sequence[Row], path: str | Path) -> list[Path]:
    """Write the table as CSV, and as Parquet if pyarrow is installed.

    Parameters
    ----------
    rows : sequence of mapping
        From `run_row` and `failed_row`.
    path : path
        Without suffix: ``.csv`` and ``.parquet`` are added.

    Returns
    -------
    list of Path
        The files that were written.

    Raises
    ------
    OSError
        If a file cannot be written; an existing one stays.
    """
    return write_columns(table_columns(rows), path)


def write_columns(columns: Mapping[str, list[Any]], path: str | Path) -> list[Path]:
    """Write any such table; arguments and errors are those of `write_table`."""
    written = [Path(f"{path}.csv")]
    options: dict[str, Any] = {"newline": "", "encoding": "utf-8", "errors": "replace"}
    with whole_file(written[0]) as unfinished, unfinished.open("w", **options) as file:
        writer = csv.writer(file)
        writer.writerow([cell(name) for name in columns])
        writer.writerows([_cell(v) for v in row] for row in zip(*columns.values(), strict=True))
    if find_spec("pyarrow") is not None:
        written.append(_write_parquet(columns, Path(f"{path}.parquet")))
    return written


def _write_parquet(columns: Mapping[str, list[Any]], path: Path) -> Path:
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.table(
        {
            name: pyarrow.array(
                [
                    v.encode("utf-8", "replace").decode() if isinstance(v, str) else v
                    for v in values
                ],
                type=_type_of(name, pyarrow),
            )
            for name, values in columns.items()
        }
    )
    with whole_file(path) as unfinished:
        parquet.write_table(table, unfinished)
    return path


def _type_of(name: str, pyarrow: Any) -> Any:
    """Return the type of a column, the same whatever is in it."""
    name = name.partition(" ")[0]
    if name in _TEXTS:
        return pyarrow.string()
    if name in ("n_runs", "scan_id"):
        return pyarrow.int64()
    return pyarrow.bool_() if name == "synthetic_references" else pyarrow.float64()


def _value(row: Row, name: str) -> Any:
    if name == "warnings":
        return " | ".join(map(one_line, row.get(name) or ())) or None
    value = row.get(name)
    return one_line(value) if isinstance(value, str) else value


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return cell(value)
    if value is None:
        return ""
    return f"{value:.7g}" if isinstance(value, float) else value
