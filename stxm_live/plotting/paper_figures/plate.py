"""A plate is a figure with its numbers; it is written as a PNG and a CSV of the same name."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stxm_live.core.plain_text import cell
from stxm_live.core.whole_file import whole_file
from stxm_live.plotting.panels.result import SYNTHETIC
from stxm_live.plotting.pictures import (
    Panel,
    figure_of_panels,
    folder_for_pictures,
    save_picture,
)
from stxm_live.plotting.style.layout import PictureFormat, write_footer, write_header
from stxm_live.plotting.style.lettering import PLAIN
from stxm_live.plotting.style.lighten import lighten
from stxm_live.plotting.style.palette import FAINT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Table(NamedTuple):
    """Numbers for a CSV file; columns carry their unit in the name."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]


class Plate(NamedTuple):
    """A figure, the name of its file, and the numbers it was drawn from."""

    name: str
    figure: Figure
    table: Table


def sheet(
    title: str,
    detail: str,
    panels: Sequence[Panel],
    n_columns: int,
    *,
    aspect: float = 0.8,
    synthetic: bool = False,
    identity: str = "",
) -> Figure:
    """Draw panels in rows under a title; at the foot a note if synthetic, and what is shown."""
    figure = figure_of_panels(panels, n_columns, aspect)
    write_header(figure, title, detail, FAINT)
    write_footer(figure, SYNTHETIC if synthetic else "", identity)
    lighten(figure)
    return figure


def centred(ax: Axes, x: float, y: float, text: str, *, color: str) -> None:
    """Write a short text centred on a point."""
    ax.text(x, y, text, ha="center", va="center", fontsize=8.5, color=color, **PLAIN)


def write_plates(
    plates: Iterable[Plate], folder: str | Path, *, picture_format: PictureFormat = "png"
) -> list[Path]:
    """Write each plate as a picture and ``NAME.csv``; files of the same names are replaced.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    path = folder_for_pictures(folder)
    written = []
    for plate in plates:
        picture = save_picture(plate.figure, path / plate.name, picture_format)
        table = path / f"{plate.name}.csv"
        write_table(plate.table, table)
        written += [picture, table]
    return written


def write_table(table: Table, path: Path) -> None:
    """Write a CSV file with one line of column names; floats have six digits, NaN is empty."""
    with whole_file(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table.columns)
        writer.writerows([_cell(value) for value in row] for row in table.rows)


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return cell(value)
    number = value.item() if hasattr(value, "item") else value
    if isinstance(number, float):
        return "" if number != number else f"{number:.6g}"
    return str(number)
