"""Two results of one stack, by two recipes, as a row of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.io.results.dataset import final_index_name
from stxm_live.io.results.nexus import read_nexus
from stxm_live.io.results.run_table import phases_of

Row = Mapping[str, Any]

_SAME = ("name", "uid", "file", "n_runs", "scan_id", "sample", "measured", "region", "polarization")
"""Values that both results of a stack have in common."""

_OF_EACH = ("outcome", "reason", "verdict", "cause", "energy_offset_ev", "ambiguous_share")


def compared_rows(first: Sequence[Row], second: Sequence[Row], out: Path) -> list[dict[str, Any]]:
    """Return a row for each stack with the changes between two results.

    Parameters
    ----------
    first, second : sequence of mapping
        Rows of `run_row` and `failed_row` by the two recipes; ``result`` is relative to ``out``.
    out : Path

    Returns
    -------
    list of dict
        ``changed_share`` is the share of pixels with another label, of those that have one in
        either result; labels are compared by name. ``labels_lost`` and ``labels_gained`` are the
        shares that have one in the first or in the second result only. All are None where a
        result is missing. ``first`` and ``second`` are the rows themselves.
    """
    of_stack = {_stack(row): row for row in second}
    rows = []
    for row in first:
        other = of_stack.get(_stack(row)) or _same_source(row, second)
        found: dict[str, Any] = {name: row.get(name) for name in _SAME}
        found |= {"changed_share": None, "labels_lost": None, "labels_gained": None}
        if other is not None and {row["outcome"], other["outcome"]} == {"mapped"}:
            found |= _changes(*(out / r["result"] / "maps.nxs" for r in (row, other)))
        rows.append(found | {"first": row, "second": other or {}})
    return rows


def comparison_columns(rows: Sequence[Row]) -> dict[str, list[Any]]:
    """Return the comparison as a table by columns; those of the two results end in 1 and 2."""
    columns = {name: [row.get(name) for row in rows] for name in _SAME}
    for name in ("changed_share", "labels_lost", "labels_gained"):
        columns[name] = [row[name] for row in rows]
    for name in _OF_EACH:
        for number, which in enumerate(("first", "second"), 1):
            columns[f"{name} {number}"] = [row[which].get(name) for row in rows]
    for phase in phases_of(row[which] for which in ("first", "second") for row in rows):
        for number, which in enumerate(("first", "second"), 1):
            columns[f"share {phase} {number}"] = [
                (row[which].get("phases") or {}).get(phase, {}).get("share") for row in rows
            ]
    return columns


def _stack(row: Row) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in ("uid", "file", "region", "polarization"))


def _same_source(row: Row, others: Sequence[Row]) -> Row | None:
    """Return the row of the same run or file where one of the two has no stack."""
    same = [o for o in others if _stack(o)[:2] == _stack(row)[:2]]
    failed = "failed" in (row["outcome"], *(o["outcome"] for o in same))
    return same[0] if len(same) == 1 and failed else None


def _changes(first: Path, second: Path) -> dict[str, float | None]:
    a, b = _labels(first), _labels(second)
    if a.shape != b.shape:
        return {}
    n = int(((a != "") | (b != "")).sum())
    if not n:
        return {}
    both = (a != "") & (b != "")
    return {
        "changed_share": float((a != b).sum() / n),
        "labels_lost": float(((a != "") & ~both).sum() / n),
        "labels_gained": float(((b != "") & ~both).sum() / n),
    }


def _labels(path: Path) -> NDArray[np.str_]:
    """Return the name of each pixel's phase; empty where there is none."""
    dataset = read_nexus(path)
    names = np.array([*dataset["phase"].values.tolist(), ""])
    return np.asarray(names[dataset[final_index_name(dataset)].values])
