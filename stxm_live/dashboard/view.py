"""One page of the dashboard: it checks the board regularly and draws what has changed."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from bokeh.core.properties import Any as AnyValue
from bokeh.core.properties import List
from bokeh.document import Document
from bokeh.events import ConnectionLost, DocumentReady
from bokeh.model import DataModel
from bokeh.models import Column, CustomJS, LayoutDOM, Row, TabPanel, Tabs

from stxm_live.dashboard.compare_panel import ComparePanel, listed, offer
from stxm_live.dashboard.figures import MapFigure
from stxm_live.dashboard.history import History
from stxm_live.dashboard.maps_panel import MapsPanel
from stxm_live.dashboard.pixel_panel import Curves, PixelPanel
from stxm_live.dashboard.recompute_panel import ChangesPanel
from stxm_live.dashboard.region_panel import NextRegionPanel
from stxm_live.dashboard.scene import Scene, current_scene
from stxm_live.dashboard.state import Board, Result, Snapshot
from stxm_live.dashboard.style import html, select
from stxm_live.dashboard.suggestions_panel import SuggestionsPanel
from stxm_live.dashboard.text import headline, notes, progress, subline

if TYPE_CHECKING:
    from stxm_live.adaptive.chooser import RegionChooser

LOOK_MS = 100
"""Time in ms between two checks for something new."""

FOLLOW = "the newest"

_SIDE_PX = 320
_REST_PX = 470
"""Height in px of everything but the frames of the maps."""

_TELL_SIZE = """
const tell = () => { size.of = [window.innerWidth, window.innerHeight]; };
let timer = null;
window.addEventListener("resize", () => { clearTimeout(timer); timer = setTimeout(tell, 250); });
tell();
"""

LOST = (
    "Connection lost: this page is no longer updated. The scan does not depend on it. The page "
    "reloads when the dashboard answers again; if the dashboard was restarted, open its new link."
)

_SAY_LOST = """
const note = document.createElement("p");
note.id = "lost";
note.setAttribute("role", "alert");
note.style.cssText = "position:sticky;top:0;z-index:1000;margin:0;padding:8px 14px;"
  + "font:600 16px system-ui,'DejaVu Sans',sans-serif;color:#fff;background:#b3202a";
note.textContent = said;
document.body.prepend(note);
const look = async () => {
  const signal = AbortSignal.timeout(5000);
  const answer = await fetch(window.location.href, {cache: "no-store", signal}).catch(() => null);
  if (answer !== null && answer.ok) window.location.reload();
  else setTimeout(look, 2000);
};
setTimeout(look, 1000);
"""


class WindowSize(DataModel):  # type: ignore[misc]
    """Width and height of the browser's window in px."""

    of = List(AnyValue, default=[])


class View:
    """The page of one browser; everything happens on the thread that serves it.

    Parameters
    ----------
    board : Board
    chooser : RegionChooser, optional
        Without one, no region can be chosen.
    history : History, optional
    suggesting : RegionChooser, optional
        Used without a chooser: its suggestions are shown, to look at only.
    """

    def __init__(
        self,
        board: Board,
        chooser: RegionChooser | None = None,
        history: History | None = None,
        suggesting: RegionChooser | None = None,
    ) -> None:
        self.board = board
        self.scene: Scene | None = None
        self._now: Snapshot | None = None
        self._looked: tuple[Scene, int, int] | None = None
        self.pixel, self.curves = PixelPanel(), Curves()
        self.maps = MapsPanel(self._on_pixel)
        self.changes = ChangesPanel(board, self.maps.drawn, self._want)
        self.compare = ComparePanel(board, history, self._on_pixel, self._place_maps)
        self.next: NextRegionPanel | SuggestionsPanel | None = None
        if chooser is not None:
            self.next = NextRegionPanel(chooser, self.maps.drawn, self.maps.boxes)
        elif suggesting is not None:
            self.next = SuggestionsPanel(suggesting, self.maps.boxes)
        self._wanted = 0
        self.size = WindowSize()
        self.size.on_change("of", self._on_size)
        # the browser knows a model only if something that is shown refers to it
        self.maps.figures["od"].plot.tags = [self.size]
        wide: dict[str, Any] = {"sizing_mode": "stretch_width"}
        self.headline = html("", "verdict", **wide)
        self.subline = html("", "subline", margin=(6, 6), **wide)
        self.bar = html("", "progress", width=400, margin=(6, 6))
        self.said = html("", "said", visible=False, **wide)
        self.notes = html("", "notes", width=_SIDE_PX - 12)
        self.show = select([("0", FOLLOW)], lambda _: self.draw(), "show", width=260)

    def layout(self) -> LayoutDOM:
        """Return the page."""
        self._row = self.maps.layout()
        self._other = self.compare.column()
        self._fit(250)
        tabs = [(self.next.title, self.next.layout())] if self.next is not None else []
        tabs += [
            ("Change the maps", self.changes.layout()),
            ("Earlier runs", self.compare.layout()),
        ]
        below = Row(self.curves.layout(), Tabs(tabs=[TabPanel(title=t, child=c) for t, c in tabs]))
        right = Column(self.pixel.layout(), html("<h3>Warnings</h3>"), self.notes, width=_SIDE_PX)
        show = html("Show", "small", margin=(9, 2, 0, 14))
        return Column(
            self.headline,
            Row(self.bar, self.subline, show, self.show, sizing_mode="stretch_width"),
            self.said,
            Row(Column(self.maps.tools(), self._row, below), right),
            sizing_mode="stretch_width",
        )

    def open_in(self, doc: Document, title: str) -> None:
        """Show the page in a browser's document."""
        doc.add_root(self.layout())
        doc.title = title
        doc.js_on_event(DocumentReady, CustomJS(args={"size": self.size}, code=_TELL_SIZE))
        doc.js_on_event(ConnectionLost, CustomJS(args={"said": LOST}, code=_SAY_LOST))
        # Bokeh's own message is small, and its reconnection fails for lack of arrays
        doc.config.update(notify_connection_status=False, reconnect_session=False)
        doc.add_periodic_callback(self.tick, LOOK_MS)
        doc.add_periodic_callback(self.tick_slowly, 1000)
        self.tick()

    def tick(self) -> None:
        """Check the board; draw if something has changed."""
        if self.board.now is not self._now:
            self.draw()
        self.compare.look()
        if self.next is not None:
            self.next.look()

    def tick_slowly(self) -> None:
        """Update the times."""
        self._write(self.board.now)

    def draw(self) -> None:
        """Draw everything again."""
        now = self._now = self.board.now
        self._offer(now.results)
        chosen = next((r for r in now.results if str(r.number) == self.show.value), None)
        before = self.scene
        self.scene = current_scene(now) if chosen is None else Scene.of_result(chosen)
        self._write(now)
        if self.scene is None:
            return
        self._look_again(before, self.scene)
        self.maps.show(self.scene)
        self.changes.show(self.scene)
        if self.next is not None:
            self.next.show(self.scene)
        self.curves.show(self.scene)
        if self._looked is None:
            self.pixel.show_mean(self.scene)

    def _look_again(self, before: Scene | None, scene: Scene) -> None:
        """Show the pixel's new numbers, unless another stack is shown."""
        if self._looked is None or before is None:
            return
        looked, row, column = self._looked
        if not scene.shows_same_field(before):
            self._looked = None
            self.pixel.clear()
        elif looked is before:
            self._on_pixel(scene, row, column)

    def _write(self, now: Snapshot) -> None:
        text, color = headline(self.scene, now)
        self.headline.text = f'<p style="border-color:{color};color:{color}">{text}</p>'
        self.subline.text = subline(self.scene)
        share, words = progress(now)
        self.bar.text = (
            f'<span class="track"><i style="width:{100 * share:.0f}%"></i></span>{escape(words)}'
        )
        said = f"{now.working} …" if now.working else now.note
        self.said.update(text=f"<p>{escape(said)}</p>" if said else "", visible=bool(said))
        self.notes.text = notes(self.scene, now)

    def _offer(self, results: tuple[Result, ...]) -> None:
        self.compare.offer(results)
        wanted, self._wanted = self._wanted, 0
        value = str(wanted) if wanted else self.show.value
        offer(self.show, [("0", FOLLOW), *listed(results)], value)

    def _want(self, number: int) -> None:
        """Show a result as soon as it is ready; called on any thread."""
        self._wanted = number

    def _place_maps(self) -> None:
        """Show another result in place of the map of uncertainty."""
        columns = self.maps.columns
        last = columns["doubt"] if self.compare.scene is None else self._other
        self._row.children = [columns["od"], columns["phases"], last]

    def _on_pixel(self, scene: Scene, row: int, column: int) -> None:
        self._looked = scene, row, column
        self.pixel.show(scene, row, column)

    def _on_size(self, attr: str, old: list[Any], new: list[Any]) -> None:
        if len(new) == 2:
            width, height = float(new[0]), float(new[1])
            beside = (width - _SIDE_PX - 30) / 3 - MapFigure.BESIDE_PX
            self._fit(int(min(max(min(beside, height - _REST_PX), 200), 640)))

    def _fit(self, frame_px: int) -> None:
        self.maps.fit(frame_px)
        self.compare.fit(frame_px, self.maps.column_px)
