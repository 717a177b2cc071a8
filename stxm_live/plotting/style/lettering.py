"""Text in figures: names and messages come from users and files, and are shown as they are."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.ft2font import FT2Font
    from matplotlib.legend import Legend

FONT = "DejaVu Sans"

_GAP_PT = 8

_TITLE_WIDTH = 90
"""Letters in a line above a panel."""

Entries = list[tuple[Any, str]]
"""Entries of a legend: an artist and its label; None instead of an artist for text alone."""

DrawLegend = Callable[["Axes", Entries, str], object]
"""A function that draws a legend from a panel's entries and their title."""

PLAIN: dict[str, Any] = {"parse_math": False, "usetex": False, "family": FONT}
"""Text properties: a ``$`` in a phase name is a dollar sign, not a formula."""


@cache
def _font() -> FT2Font:
    from matplotlib.font_manager import findfont, get_font

    return get_font(findfont(FONT))


def plain(text: object, longest: int = 200) -> str:
    """Return one line; characters missing from the font become ``?``, long text ends in ``…``.

    Examples
    --------
    >>> plain("Na2.4VPF", longest=6)
    'Na2.4…'
    """
    line = re.sub(r"[\t\n\v\f\r]+", " ", str(text)).strip()  # two spaces stay: legends have them
    shown = "".join(c if _font_has(c) else "?" for c in line)
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def _font_has(character: str) -> bool:
    printable = character.isprintable() or unicodedata.category(character) == "Zs"
    return printable and bool(_font().get_char_index(ord(character)))


def wrapped(text: object, width: int, most_lines: int) -> str:
    """Return `plain` text in lines of at most ``width`` characters."""
    line = re.sub(r"(\d) (eV|µm|px)\b", "\\1\u00a0\\2", plain(text, width * most_lines))
    lines = textwrap.wrap(line, width, max_lines=most_lines, placeholder=" …")
    return "\n".join(lines)


def set_titles(ax: Axes, title: str, subtitle: str = "") -> None:
    """Write a bold title over a smaller subtitle of one line or two, flush left with the axes."""
    from stxm_live.plotting.style.palette import FAINT, INK

    subtitle = wrapped(subtitle, _TITLE_WIDTH, 2)
    for gid, text, size, weight, color, rise_pt in (
        ("title", plain(title, _TITLE_WIDTH), 10.5, "bold", INK, 17 + 11 * subtitle.count("\n")),
        ("subtitle", subtitle, 8.5, "normal", FAINT, 4),
    ):
        ax.annotate(
            text,
            (0, 1),
            (0, rise_pt),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="left",
            va="bottom",
            fontsize=size,
            fontweight=weight,
            color=color,
            annotation_clip=False,
            gid=gid,
            **PLAIN,
        )


def write_paragraphs(ax: Axes, text: str) -> None:
    """Write lines of text from the top of a panel on, in place of its axes."""
    from stxm_live.plotting.style.palette import INK

    ax.set_axis_off()
    ax.text(
        *(0.0, 1.0, text),
        ha="left",
        va="top",
        fontsize=8.5,
        color=INK,
        linespacing=1.3,
        transform=ax.transAxes,
        **PLAIN,
    )


def side_legend(ax: Axes, entries: Entries, title: str = "") -> Legend:
    """Draw a legend to the right of the axes, where it never covers data."""
    from matplotlib.lines import Line2D
    from matplotlib.transforms import ScaledTranslation

    figure = ax.get_figure(root=True)
    assert figure is not None
    shift = ScaledTranslation(_GAP_PT / 72, 0, figure.dpi_scale_trans)
    legend = ax.legend(
        [Line2D([], [], linestyle="none") if artist is None else artist for artist, _ in entries],
        # names are set below: a label that begins with "_" would be left out here
        ["."] * len(entries),
        title="." if title else None,
        loc="upper left",
        bbox_to_anchor=(1, 1),
        bbox_transform=ax.transAxes + shift,
        borderaxespad=0,
        frameon=False,
        alignment="left",
        handlelength=1.2 if any(artist is not None for artist, _ in entries) else 0,
        handletextpad=0.6 if any(artist is not None for artist, _ in entries) else 0,
        handleheight=1.0,
        labelspacing=0.45,
    )
    for text, (_, label) in zip(legend.get_texts(), entries, strict=True):
        text.set_text(plain(label, 26))
        text.update({"fontsize": 8.5, **PLAIN})
    legend.get_title().update({"text": plain(title, 28), "fontsize": 8.5, **PLAIN})
    return legend
