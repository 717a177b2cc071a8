"""Legends of the live figure: one for all panels, and short ones above or inside a panel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stxm_live.plotting.live_figure.layout import text_scale
from stxm_live.plotting.style.lettering import PLAIN, Entries, plain
from stxm_live.plotting.style.palette import GROUND

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

_MOST_STRIP_ROWS = 2


class PhaseStrip:
    """Collects the entries of the one legend that all panels share."""

    def __init__(self, entries: Entries) -> None:
        self._phases = entries
        self._others: Entries = []

    def take(self, _ax: Axes, entries: Entries, _title: str) -> None:
        """Take the phases with their shares, and the meaning of dim pixels."""
        self._phases = entries

    def take_last(self, _ax: Axes, entries: Entries, _title: str) -> None:
        """Take what follows the phases, which have their colors already."""
        self._others = entries[entries.index((None, "")) + 1 :]

    @property
    def entries(self) -> Entries:
        """Entries collected so far."""
        return [*self._phases, *self._others]


def no_legend(_ax: Axes, _entries: Entries, _title: str) -> None:
    """Draw no legend, where the title is enough."""


def class_legend(ax: Axes, entries: Entries, title: str) -> None:
    """Draw a row with the classes of the ambiguity map, shortened."""
    short = {"no reference fits": "no fit", "no valid spectrum": "no spectrum"}
    row: Entries = []
    for artist, label in entries:
        share, _, name = label.strip("\u2007").partition("  ")
        row.append((artist, f"{share} {short.get(name, name)}"))
    row_legend(ax, row, title)


def symbol_legend(ax: Axes, entries: Entries, title: str) -> None:
    """Draw a legend of the entries that have a symbol."""
    inner_legend(ax, entries[:2], title)


def phase_strip(figure: Figure, entries: Entries) -> Legend:
    """Draw one legend for all panels, in one or two rows under the header."""
    scale = text_scale(figure)
    width, height = figure.get_size_inches()
    shown = [(artist, plain(label, 26)) for artist, label in entries if label]
    letters = sum(len(label) + 5 for _, label in shown)
    room = int(width / (0.072 * scale))
    n_rows = min(_MOST_STRIP_ROWS, -(-letters // room))
    legend: Legend = figure.legend(
        [artist for artist, _ in shown],
        ["."] * len(shown),
        loc="upper left",
        bbox_to_anchor=(0.16 * scale / width, 1 - 0.71 * scale / height),
        borderaxespad=0,
        borderpad=0,
        frameon=False,
        ncol=max(1, -(-len(shown) // max(1, n_rows))),
        handlelength=1.2,
        handletextpad=0.5,
        columnspacing=1.6,
        labelspacing=0.3,
        fontsize=9 * scale,
    )
    _write(legend, [label for _, label in shown], 9 * scale)
    return legend


def row_legend(ax: Axes, entries: Entries, title: str = "") -> Legend:
    """Draw a legend in a row above the axes, in place of the subtitle."""
    for text in ax.texts:
        if text.get_gid() == "subtitle":
            text.set_text("")
    return _legend(ax, entries, {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncol": 9})


def inner_legend(ax: Axes, entries: Entries, title: str = "") -> Legend:
    """Draw a legend in the upper right corner, on a dark background."""
    options = {"loc": "upper right", "labelcolor": "white", "facecolor": GROUND}
    return _legend(ax, entries, options | {"frameon": True, "edgecolor": "none", "framealpha": 0.7})


def _legend(ax: Axes, entries: Entries, options: dict[str, Any]) -> Legend:
    from matplotlib.lines import Line2D

    figure = ax.get_figure(root=True)
    assert figure is not None
    size = 8.5 * text_scale(figure)
    shown = [(artist, plain(label, 40)) for artist, label in entries if label]
    with_symbols = any(artist is not None for artist, _ in shown)
    legend = ax.legend(
        [Line2D([], [], linestyle="none") if artist is None else artist for artist, _ in shown],
        ["."] * len(shown),
        borderaxespad=0.3,
        borderpad=0.2 if "facecolor" in options else 0.0,
        handlelength=1.1 if with_symbols else 0,
        handletextpad=0.4 if with_symbols else 0,
        columnspacing=0.8,
        labelspacing=0.3,
        fontsize=size,
        **({"frameon": False} | options),
    )
    _write(legend, [label for _, label in shown], size)
    return legend


def _write(legend: Legend, labels: list[str], size: float) -> None:
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set_text(label)
        text.update({"fontsize": size, **PLAIN})
