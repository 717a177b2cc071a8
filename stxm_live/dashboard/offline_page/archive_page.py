"""The table of many results as a page with small maps, which links to each result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

import numpy as np

from stxm_live.core.amount_words import number_in_words, share_in_words
from stxm_live.core.origin import Origin
from stxm_live.core.plain_text import one_line
from stxm_live.core.whole_file import whole_file
from stxm_live.io.results.run_table import phases_of
from stxm_live.plotting.style.palette import VERDICT, phase_colors

Row = Mapping[str, Any]
Column = tuple[str, Callable[[Row], str]]
"""Title of a column, and its cell of a row as HTML."""

SMALL_MAP, PAGE, FILE = "map.png", "maps.html", "maps.nxs"
"""Names of the files of a result that a page shows and links to."""

_MOST_WARNINGS = 3


def write_archive_page(
    rows: Sequence[Row],
    path: str | Path,
    *,
    title: str,
    colors: Mapping[str, str] | None = None,
    columns: Sequence[Column] | None = None,
) -> Path:
    """Write a page with a row for each stack; it opens without a network.

    Parameters
    ----------
    rows : sequence of mapping
        From `run_row` and `failed_row`.
    path : path
        The page, in the folder to which ``result`` of the rows is relative.
    title : str
    colors : mapping of str to str, optional
        Colors of the recipe.
    columns : sequence of (str, callable), optional
        Default is `ARCHIVE_COLUMNS`.

    Raises
    ------
    OSError
        If the file cannot be written; an existing one stays.
    """
    shown = ARCHIVE_COLUMNS if columns is None else columns
    assets = files("stxm_live.dashboard.offline_page")
    text = Template(assets.joinpath("archive.html").read_text(encoding="utf-8")).substitute(
        style=assets.joinpath("page.css").read_text(encoding="utf-8"),
        title=escape(one_line(title)),
        subtitle=_subtitle(rows),
        synthetic=_synthetic(rows),
        legend=_legend(phases_of(one for row in rows for one in _results(row)), colors or {}),
        head="<tr>" + "".join(f"<th>{escape(name)}</th>" for name, _ in shown) + "</tr>",
        rows="\n".join(
            "<tr>" + "".join(f"<td>{cell(row)}</td>" for _, cell in shown) + "</tr>" for row in rows
        ),
        small="Shares are of the specimen's pixels with a label; amounts are shares of its volume, "
        "with standard uncertainties, or the interval of 95 % of phases that others look like. "
        "The table beside this page has all numbers.",
    )
    with whole_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8", errors="replace")
    return Path(path)


def _subtitle(rows: Sequence[Row]) -> str:
    """Return the number of stacks, and how many of them have which verdict.

    Examples
    --------
    >>> _subtitle([{"outcome": "mapped", "verdict": "good"}, {"outcome": "failed"}])
    '2 stacks: 1 good, 1 not mapped'
    """
    rows = [one for row in rows for one in _results(row)]
    failed = sum(row["outcome"] == "failed" for row in rows)
    verdicts = Counter(str(row["verdict"]) for row in rows if row.get("verdict"))
    parts = [f"{n} {verdict}" for verdict, n in verdicts.items()]
    parts += [f"{failed} not mapped"] if failed else []
    return escape(f"{len(rows)} stacks: {', '.join(parts)}")


def _results(row: Row) -> list[Row]:
    """Return the row itself, or the two of a comparison."""
    return [row[name] for name in ("first", "second") if row[name]] if "first" in row else [row]


def _synthetic(rows: Iterable[Row]) -> str:
    if not any(one.get("synthetic_references") for row in rows for one in _results(row)):
        return ""
    return (
        '<p class="synthetic"><b>Synthetic references:</b> the reference spectra are calculated, '
        "not measured.</p>"
    )


def _legend(phases: Sequence[str], colors: Mapping[str, str]) -> str:
    if not phases:
        return ""
    found = np.rint(255 * phase_colors(phases, colors)).astype(int).tolist()
    return "".join(
        f'<span><i class="swatch" style="background: #{r:02x}{g:02x}{b:02x}"></i>'
        f"{escape(one_line(name))}</span>"
        for name, (r, g, b) in zip(phases, found, strict=True)
    )


def small_maps(row: Row) -> str:
    """Return the small map of a row as a link to the page of the result."""
    if row["outcome"] != "mapped":
        return ""
    folder, own = quote(str(row["result"])), row["files"]
    image = f'<img loading="lazy" src="{folder}/{SMALL_MAP}" alt="map">'
    target = PAGE if PAGE in own else SMALL_MAP
    return f'<a href="{folder}/{target}">{image}</a><a href="{folder}/{FILE}">{FILE}</a>'


def name_and_time(row: Row) -> str:
    """Return name, stack, sample, time and imported file of a row."""
    stack = " ".join(filter(None, (row.get("region"), row.get("polarization"))))
    number = "" if row.get("scan_id") is None else f"scan {row['scan_id']}"
    lines = [number, f"region {stack}" if stack else "", row.get("sample") or ""]
    lines.append(Origin(measured=row.get("measured") or "").when)
    lines.append((row.get("uid") and row.get("file")) or "")
    place = row.get("uid") or row.get("file") or ""
    found = f'<b title="{escape(one_line(place))}">{escape(one_line(row["name"]))}</b>'
    return "<br>".join([found, *(escape(one_line(line)) for line in lines if line)])


def verdict(row: Row) -> str:
    """Return the verdict with its cause, or why there is no map."""
    if row["outcome"] == "failed":
        return f"<b>not mapped</b><br>{escape(row['reason'])}"
    color = VERDICT.get(row["verdict"], VERDICT["limited"])
    text = f'<b style="color: {color}">{escape(row["verdict"])}</b><br>{escape(row["cause"])}'
    return f"{text}<br>{escape(row['status'])}" if row["status"] != "complete" else text


def shares(row: Row) -> str:
    """Return the share of each phase in the final map."""
    if row.get("no_phases"):
        return escape(row["no_phases"])
    return "<br>".join(
        f"<span>{escape(one_line(name))} {100 * numbers['share']:.1f} %</span>"
        for name, numbers in (row.get("phases") or {}).items()
        if numbers.get("share") is not None
    )


def _amounts(row: Row) -> str:
    alike = row.get("look_alikes") or {}
    lines = []
    for name, numbers in (row.get("phases") or {}).items():
        if numbers.get("amount") is not None:
            share = share_in_words(
                numbers["amount"], _std(numbers), distinguished=name not in alike
            )
            lines.append(f"<span>{escape(one_line(name))} {share}</span>")
    if row.get("value") is not None and row.get("value_std") is not None:
        quantity = escape(one_line(row.get("value_quantity") or "value"))
        lines.append(f"<b>{quantity} {number_in_words(row['value'], row['value_std'])}</b>")
    return "<br>".join(lines)


def _std(numbers: Mapping[str, Any]) -> float:
    std = numbers.get("amount_std")
    return float("nan") if std is None else float(std)


def _offset(row: Row) -> str:
    if row.get("energy_offset_ev") is None:
        return ""
    std = row.get("energy_offset_std_ev")
    return number_in_words(row["energy_offset_ev"], float("nan") if std is None else std)


def _warnings(row: Row) -> str:
    found = [escape(one_line(text)) for text in row.get("warnings") or ()]
    more = len(found) - _MOST_WARNINGS
    lines = found[:_MOST_WARNINGS] + ([f"and {more} more"] if more > 0 else [])
    return '<span class="small">' + "<br>".join(lines) + "</span>" if lines else ""


ARCHIVE_COLUMNS: Sequence[Column] = (
    ("map", small_maps),
    ("stack", name_and_time),
    ("verdict", verdict),
    ("share of pixels", shares),
    ("share of volume", _amounts),
    ("energy offset (eV)", _offset),
    ("warnings", _warnings),
)


def _changed(row: Row) -> str:
    if row["changed_share"] is None:
        return ""
    parts = [f"<b>{100 * row['changed_share']:.1f} %</b>"]
    for name, text in (
        ("labels_lost", "only in the first"),
        ("labels_gained", "only in the second"),
    ):
        if row[name]:
            parts.append(f"{100 * row[name]:.1f} % {text}")
    return "<br>".join(parts)


def _of(which: str, cell: Callable[[Row], str]) -> Callable[[Row], str]:
    return lambda row: cell(row[which]) if row[which] else ""


COMPARED_COLUMNS: Sequence[Column] = (
    ("stack", name_and_time),
    ("other label", _changed),
    *(
        (f"{title}, {which}", _of(which, cell))
        for which in ("first", "second")
        for title, cell in (("map", small_maps), ("verdict", verdict), ("share of pixels", shares))
    ),
)
"""Columns of a comparison of two results."""
