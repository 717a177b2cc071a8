"""Another result beside the one that is shown, and the list of earlier runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from bokeh.models import Column, ColumnDataSource, LayoutDOM, MultiSelect, Range1d, Row, Select

from stxm_live.dashboard.figures import MapFigure, Pointer, show_whole
from stxm_live.dashboard.history import History
from stxm_live.dashboard.images import for_screen
from stxm_live.dashboard.layers import phase_layer
from stxm_live.dashboard.scene import Scene
from stxm_live.dashboard.state import Board, Result
from stxm_live.dashboard.style import WRAPPED, button, html, select

NOTHING = "nothing"

_NO_CATALOG = (
    "Results of this session are listed under “Show” and can be compared here. To list earlier "
    "runs as well, start the dashboard with a catalogue."
)


class ComparePanel:
    """The result shown beside the maps, and the list of results to choose from.

    Parameters
    ----------
    board : Board
    history : History or None
    on_pixel : callable
        Called with the scene and the pixel under the mouse.
    on_change : callable
        Called when the comparison begins or ends.
    """

    def __init__(
        self,
        board: Board,
        history: History | None,
        on_pixel: Callable[[Scene, int, int], None],
        on_change: Callable[[], None],
    ) -> None:
        self._board, self._history = board, history
        self._on_pixel, self._on_change = on_pixel, on_change
        self._ranges = Range1d(0, 1), Range1d(0, 1)
        self._hover = ColumnDataSource({"x": [], "y": []})
        self._pointer = Pointer()
        self._pointer.on_change("at", self._on_move)
        self.figure = MapFigure("compare", self._ranges, self._hover, self._pointer, None)
        self.scene: Scene | None = None
        self._results: tuple[Result, ...] = ()
        self._listed: list[tuple[str, str]] = []
        self._new_list: list[tuple[str, str]] | None = None
        self.choice = select([("0", NOTHING)], lambda _: self._choose(), "compare-with", width=260)
        self.legend, self.meaning = html("", "legend", min_height=34), html("", "meaning")
        self.title = html("", "compared", height=40)
        self.runs = MultiSelect(options=[], size=6, sizing_mode="stretch_width", name="runs")

    def layout(self) -> LayoutDOM:
        """Return the choice and the list of earlier runs."""
        beside = Row(html("Show beside the maps:", margin=(9, 4)), self.choice, styles=WRAPPED)
        if self._history is None:
            words = html(_NO_CATALOG, "small", sizing_mode="stretch_width")
            return Column(beside, words, sizing_mode="stretch_width")
        buttons = Row(
            button("List earlier runs", self._list_runs),
            button("Open the chosen run", self._open),
            styles=WRAPPED,
        )
        return Column(beside, self.runs, buttons, sizing_mode="stretch_width")

    @property
    def plot(self) -> Any:
        """Return the figure of the other result."""
        return self.figure.plot

    def column(self) -> LayoutDOM:
        """Return the other result, which takes the place of a map."""
        return Column(
            self.title,
            self.meaning,
            self.figure.plot,
            self.legend,
            css_classes=["map", "map-compare"],
        )

    def look(self) -> None:
        """Fill the list of runs when it has been read."""
        if self._new_list is not None:
            self._listed, self._new_list = self._new_list, None
            self.runs.options = list(self._listed)

    def offer(self, results: tuple[Result, ...]) -> None:
        """Offer results to compare with."""
        self._results = results
        offer(self.choice, [("0", NOTHING), *listed(results)], self.choice.value)

    def fit(self, frame_px: int, column_px: int) -> None:
        """Fit the panel to the size of the window."""
        self._frame_px = frame_px
        for each in (self.title, self.meaning, self.legend):
            each.width = column_px - 12
        if self.scene is not None:
            self.figure.place(self.scene.field, frame_px)

    @property
    def shown(self) -> Result | None:
        """Return the result that is shown beside the maps, if there is one."""
        return next((r for r in self._results if str(r.number) == self.choice.value), None)

    def _choose(self) -> None:
        result = self.shown
        had = self.scene is not None
        self.scene = None if result is None else Scene.of_result(result)
        if self.scene is not None and result is not None:
            layer = phase_layer(self.scene, "final")
            self.figure.place(self.scene.field, self._frame_px)
            show_whole(self._ranges, self.scene.field)
            self.figure.paint(for_screen(layer.image, self.scene.field))
            self.legend.text = layer.legend
            verdict = result.maps.quality.verdict
            self.title.text = f"<b>{escape(result.title)}</b>"
            self.meaning.text = escape(f"{verdict}; {layer.meaning}")
        if had != (self.scene is not None):
            self._on_change()

    def _open(self) -> None:
        history = self._history
        chosen = [str(uid) for uid in self.runs.value]
        if history is None or not chosen:
            self._board.say(note="Choose a run in the list first.")
            return
        words = dict(self._listed)

        def load() -> None:
            for uid in chosen:
                stacks = history.maps(uid)
                for maps in stacks:
                    which = f", {maps.key.region} {maps.key.polarization}".rstrip()
                    title = words.get(uid, uid[:8]) + (which if len(stacks) > 1 else "")
                    self._board.add(maps, "stored", title, maps)

        self._board.do(load, "opening an earlier run")

    def _list_runs(self) -> None:
        history = self._history
        if history is None:
            return

        def look() -> None:
            self._new_list = list(history.runs())
            if not self._new_list:
                raise ValueError("the catalogue has no run with a result")

        self._board.do(look, "looking for earlier runs")

    def _on_move(self, attr: str, old: list[Any], new: list[Any]) -> None:
        scene = self.scene
        self._hover.data = {"x": [], "y": []}
        if scene is None or len(new) < 3:
            return
        place = scene.pixel_at(float(new[1]), float(new[2]))
        if place is not None:
            x, y = scene.centre_of(*place)
            self._hover.data = {"x": [x], "y": [y]}
            self._on_pixel(scene, *place)


def listed(results: Sequence[Result]) -> list[tuple[str, str]]:
    """Return number and title of each result, the newest first."""
    return [(str(r.number), f"{r.number}. {r.title}") for r in reversed(results)]


def offer(choice: Select, options: list[tuple[str, str]], value: str) -> None:
    """Offer these options; keep the value if it is among them."""
    if options != choice.options:
        choice.options = options
    choice.value = value if value in dict(options) else options[0][0]
