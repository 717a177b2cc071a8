"""One page of the dashboard: it looks at the board now and then, and draws what is new."""

from __future__ import annotations

from html import escape
from typing import Any

import panel as pn
from bokeh.core.properties import Any as AnyValue
from bokeh.core.properties import List
from bokeh.document import Document
from bokeh.events import DocumentReady
from bokeh.model import DataModel
from bokeh.models import CustomJS

from stxm_live.display.dashboard.board import Board, Result, Snapshot
from stxm_live.display.dashboard.figures import MapFigure
from stxm_live.display.dashboard.maps_panel import MapsPanel
from stxm_live.display.dashboard.scene import Scene, current_scene
from stxm_live.display.dashboard.side import Curves, PixelPanel
from stxm_live.display.dashboard.style import html
from stxm_live.display.dashboard.words import headline, notes, progress, subline

LOOK_MS = 100
"""How often a page looks whether there is something new."""

FOLLOW = "the newest"

_SIDE_PX = 320
_REST_PX = 470
"""Height of everything but the frames of the maps."""

_TELL_SIZE = """
const tell = () => { size.of = [window.innerWidth, window.innerHeight]; };
let timer = null;
window.addEventListener("resize", () => { clearTimeout(timer); timer = setTimeout(tell, 250); });
tell();
"""


class WindowSize(DataModel):  # type: ignore[misc]
    """Width and height of the browser's window, as it told."""

    of = List(AnyValue, default=[])


class View:
    """What one browser is shown; everything happens on the thread that serves it.

    Parameters
    ----------
    board : Board
    """

    def __init__(self, board: Board) -> None:
        self.board = board
        self.scene: Scene | None = None
        self._now: Snapshot | None = None
        self._has_looked = False
        self.pixel, self.curves = PixelPanel(), Curves()
        self.maps = MapsPanel(self._on_pixel)
        wide: dict[str, Any] = {"sizing_mode": "stretch_width"}
        self.headline = html("", "verdict", **wide)
        self.subline = html("", "subline", margin=(6, 6), **wide)
        self.bar = html("", "progress", width=400, margin=(6, 6))
        self.said = html("", "said", **wide)
        self.notes = html("", "notes", width=_SIDE_PX - 12)
        self.show = pn.widgets.Select(
            options={FOLLOW: 0}, value=0, width=260, css_classes=["show"], margin=(2, 6)
        )
        self.show.param.watch(lambda _: self.draw(), "value")
        self.size = WindowSize()
        self.size.on_change("of", self._on_size)

    def layout(self) -> pn.viewable.Viewable:
        """The page."""
        maps = self.maps.layout(pn.Spacer(width=0))
        left = pn.Column(self.maps.tools(), maps, pn.Row(self.curves.layout()))
        right = pn.Column(
            self.pixel.layout(), html("<h3>Warnings</h3>"), self.notes, width=_SIDE_PX
        )
        return pn.Column(
            self.headline,
            pn.Row(self.bar, self.subline, self.chooser_of_results(), sizing_mode="stretch_width"),
            self.said,
            pn.Row(left, right),
            css_classes=["dashboard"],
            sizing_mode="stretch_width",
            min_width=1240,
        )

    def chooser_of_results(self) -> pn.viewable.Viewable:
        """Which result is shown."""
        return pn.Row(html("Show", "small", margin=(9, 2, 0, 14)), self.show)

    def open_in(self, doc: Document, title: str) -> None:
        """Show the page in a browser's document."""
        self.layout().server_doc(doc=doc, title=title, location=False)
        doc.js_on_event(DocumentReady, CustomJS(args={"size": self.size}, code=_TELL_SIZE))
        doc.add_periodic_callback(self.tick, LOOK_MS)
        doc.add_periodic_callback(self.tick_slowly, 1000)
        self.tick()

    def tick(self) -> None:
        """Look at the board; draw if there is something new."""
        if self.board.now is not self._now:
            self.draw()

    def tick_slowly(self) -> None:
        """Bring times up to date."""
        self._write(self.board.now)

    def draw(self) -> None:
        """Everything anew."""
        now = self._now = self.board.now
        self._offer(now.results)
        chosen = next((r for r in now.results if r.number == self.show.value), None)
        self.scene = current_scene(now) if chosen is None else Scene.of_result(chosen)
        self._write(now)
        if self.scene is None:
            return
        self.maps.show(self.scene)
        self.curves.show(self.scene)
        if not self._has_looked:
            self.pixel.show_mean(self.scene)

    def _write(self, now: Snapshot) -> None:
        text, color = headline(self.scene, now)
        self.headline.object = f'<p style="border-color:{color};color:{color}">{text}</p>'
        self.subline.object = subline(self.scene, now)
        share, words = progress(now)
        self.bar.object = (
            f'<span class="track"><i style="width:{100 * share:.0f}%"></i></span>{escape(words)}'
        )
        said = f"{now.working} …" if now.working else now.notice
        self.said.object = f"<p>{escape(said)}</p>" if said else ""
        self.notes.object = notes(self.scene, now)

    def _offer(self, results: tuple[Result, ...]) -> None:
        options = {FOLLOW: 0} | {f"{r.number}. {r.title}": r.number for r in reversed(results)}
        if options != self.show.options:
            kept = self.show.value if self.show.value in options.values() else 0
            self.show.param.update(options=options, value=kept)

    def _on_pixel(self, scene: Scene, row: int, column: int) -> None:
        self._has_looked = True
        self.pixel.show(scene, row, column)

    def _on_size(self, attr: str, old: list[Any], new: list[Any]) -> None:
        if len(new) == 2:
            width, height = float(new[0]), float(new[1])
            beside = (width - _SIDE_PX - 30) / 3 - MapFigure.BESIDE_PX
            self.maps.fit(int(min(max(min(beside, height - _REST_PX), 200), 640)))
