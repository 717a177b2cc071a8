"""Positions of panels on a figure: all cells have the same size, so that maps line up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from stxm_live.plotting.style.lettering import PLAIN, plain, wrapped
from stxm_live.plotting.style.palette import FAINT, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PictureFormat = Literal["png", "pdf", "svg"]
"""Kind of a picture's file; the maps in a PDF or SVG have the pixels that they have in a PNG."""

# inches: a cell's margins hold the axis labels, the titles, and the legend on the right
_LEFT, _PANEL, _RIGHT = 0.8, 3.5, 2.2
_BELOW, _ABOVE = 0.55, 0.58
_HEADER, _FOOTER = 0.75, 0.85


def panel_size_in(aspect: float) -> tuple[float, float]:
    """Return width and height in inches of a panel for maps of this height over width.

    Very long and very narrow maps leave a part of their panel empty.
    """
    return _PANEL, _PANEL * min(max(aspect, 0.6), 1.2)


def figure_size_in(n_rows: int, n_columns: int, aspect: float = 1.0) -> tuple[float, float]:
    """Return the width and height in inches that give panels their natural size."""
    width, height = panel_size_in(aspect)
    return (
        n_columns * (_LEFT + width + _RIGHT),
        n_rows * (_BELOW + height + _ABOVE) + _HEADER + _FOOTER,
    )


def panel_axes(figure: Figure, n_rows: int, n_columns: int, aspect: float = 1.0) -> list[Axes]:
    """Return axes in rows from the top left, scaled to the size of the figure."""
    width_in, height_in = figure_size_in(n_rows, n_columns, aspect)
    panel_width, panel_height = panel_size_in(aspect)
    axes = []
    for row in range(n_rows):
        bottom = _FOOTER + (n_rows - 1 - row) * (_BELOW + panel_height + _ABOVE) + _BELOW
        for column in range(n_columns):
            left = column * (_LEFT + panel_width + _RIGHT) + _LEFT
            rectangle = (
                left / width_in,
                bottom / height_in,
                panel_width / width_in,
                panel_height / height_in,
            )
            axes.append(figure.add_axes(rectangle))
    return axes


def write_header(figure: Figure, title: str, detail: str = "", color: str = INK) -> None:
    """Write the figure's title, and below it up to three lines of detail in a color."""
    width, height = figure.get_size_inches()
    title = plain(title, int(9.5 * width))
    _write(figure, title, 1 - 0.1 / height, "top", 12, INK, "bold")
    _write(figure, wrapped(detail, int(14 * width), 3), 1 - 0.34 / height, "top", 8.5, color)


def write_footer(figure: Figure, notes: str, identity: str = "") -> None:
    """Write notes at the foot, three lines at most, and below them what the figure shows."""
    width, height = figure.get_size_inches()
    in_line = int(14 * width)
    lines = (wrapped(notes, in_line, 3), wrapped(identity, in_line, 2))
    _write(figure, "\n".join(filter(None, lines)), 0.1 / height, "bottom", 8.5, FAINT)


def _write(
    figure: Figure,
    text: str,
    y: float,
    side: str,
    size: float,
    color: str,
    weight: str = "normal",
) -> None:
    """Write lines flush with the left edge."""
    figure.text(
        0.16 / figure.get_figwidth(),
        y,
        text,
        ha="left",
        va=side,
        fontsize=size,
        fontweight=weight,
        color=color,
        linespacing=1.25,
        **PLAIN,
    )
