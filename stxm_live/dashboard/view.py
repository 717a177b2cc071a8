"""One page of the dashboard: it checks the board regularly and draws what has changed."""

from __future__ import annotations

import time
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from bokeh.document import Document
from bokeh.models import Column, LayoutDOM, Row, TabPanel, Tabs

from stxm_live.dashboard.compare_panel import ComparePanel, listed, offer
from stxm_live.dashboard.contrast_panel import ContrastPanel
from stxm_live.dashboard.first_look_panel import ChangeRecipe, FirstLookPanel
from stxm_live.dashboard.history import History
from stxm_live.dashboard.keep_panel import KeepPanel
from stxm_live.dashboard.link import Link, restore, values_of
from stxm_live.dashboard.maps_panel import MapsPanel
from stxm_live.dashboard.page_layout import (
    Browser,
    frame_width_px,
    open_page,
    style_widgets,
)
from stxm_live.dashboard.pixel_panel import Curves, PixelPanel
from stxm_live.dashboard.recompute_panel import ChangesPanel
from stxm_live.dashboard.region_panel import NextRegionPanel
from stxm_live.dashboard.scan_state import elsewhere, headline, progress
from stxm_live.dashboard.scene import Scene, current_scene
from stxm_live.dashboard.shown_spectrum import ShownSpectrum
from stxm_live.dashboard.state import Board, Result, Snapshot
from stxm_live.dashboard.style import button, html, select
from stxm_live.dashboard.suggestions_panel import SuggestionsPanel
from stxm_live.dashboard.text import notes, subline
from stxm_live.dashboard.theme import recolor

if TYPE_CHECKING:
    from bluesky import RunEngine

    from stxm_live.adaptive.chooser import RegionChooser

LOOK_MS = 100
"""Time in ms between two checks for something new."""

FOLLOW = "the newest"

EXPORTS = "stxm-live-exports"
"""Folder of exports, in the folder where the session was started."""

TITLE_CALLS = "● Your choice is wanted"


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
    run_engine : bluesky.RunEngine, optional
        Of this process; the page then says when it is paused.
    folder : path
        Parent of the folders of exports, and of saved references.
    change_recipe : callable, optional
        Gets a recipe with references that were saved in the page, for the next scans.
    """

    def __init__(
        self,
        board: Board,
        chooser: RegionChooser | None = None,
        history: History | None = None,
        suggesting: RegionChooser | None = None,
        run_engine: RunEngine | None = None,
        folder: str | Path = EXPORTS,
        change_recipe: ChangeRecipe | None = None,
    ) -> None:
        self.board = board
        self.scene: Scene | None = None
        self._now: Snapshot | None = None
        self._doc: Document | None = None
        self._run_engine, self._paused_since = run_engine, ""
        self.pixel, self.curves = PixelPanel(), Curves()
        self.maps = MapsPanel(self._on_pixel)
        self.shown = ShownSpectrum(self.maps, self.pixel)
        self.changes = ChangesPanel(board, self.maps, self._want, history)
        self.contrast = ContrastPanel(self.maps)
        self.keep = KeepPanel(board, history, folder)
        self.first = FirstLookPanel(board, folder, change_recipe)
        self.compare = ComparePanel(board, history, self._on_pixel, self._place_maps)
        self.next: NextRegionPanel | SuggestionsPanel | None = None
        if chooser is not None:
            self.next = NextRegionPanel(chooser, self.maps.drawn, self.maps.boxes)
        elif suggesting is not None:
            self.next = SuggestionsPanel(suggesting, self.maps.boxes)
        self._wanted = 0
        self._link: Link | None = None
        self._not_found = ""
        self.browser = Browser()
        self.browser.on_change("of", self._on_browser)
        # the browser knows a model only if something that is shown refers to it
        self.maps.figures["od"].plot.tags = [self.browser]
        self._make_texts()

    def _make_texts(self) -> None:
        wide: dict[str, Any] = {"sizing_mode": "stretch_width"}
        self.ask = html("", "ask", visible=False, **wide)
        self.headline = html("", "verdict", **wide)
        self.subline = html("", "subline", **wide)
        self.bar = html("", "progress")
        self.elsewhere = html("", "elsewhere", **wide)
        self.said = html("", "said", visible=False, **wide)
        self.notes = html("", "notes", **wide)
        self.show = select([("0", FOLLOW)], lambda _: self._choose(), "show", width=240)
        self.tabs = Tabs(sizing_mode="stretch_width")

    def parts(self) -> dict[str, LayoutDOM]:
        """Return the parts of the page by name; they can be placed once."""
        maps = self.maps.columns_of_maps()
        self._other = self.compare.column()
        self._third = Column(maps["doubt"])
        self._fit(250)
        tabs = [(self.next.title, self.next.layout())] if self.next is not None else []
        tabs += [
            ("Change the maps", self.changes.layout()),
            (self.contrast.title, self.contrast.layout()),
            ("Earlier runs", self.compare.layout()),
            (self.keep.title, self.keep.layout()),
        ]
        self.tabs.tabs = [TabPanel(title=title, child=child) for title, child in tabs]
        follow = button("Show the newest", self._follow)
        self._beside = Row(self.elsewhere, follow, visible=False, sizing_mode="stretch_width")
        parts: dict[str, LayoutDOM] = {
            "ask": self.ask,
            "verdict": self.headline,
            "progress": self.bar,
            "subline": self.subline,
            "choice": Row(html("Show", "small", margin=(9, 2)), self.show),
            "elsewhere": self._beside,
            "said": self.said,
            "tools": self.maps.tools(),
            "od": maps["od"],
            "phases": maps["phases"],
            "third": self._third,
            "pixel": self.pixel.layout(),
            "notes": Column(html("<h2>Warnings</h2>"), self.notes, sizing_mode="stretch_width"),
            "tabs": self.tabs,
            "curves": self.curves.layout(),
        }
        style_widgets(parts)
        return parts

    @property
    def tab(self) -> str:
        """Title of the tab that is shown; one for a first look may come before the others."""
        return str(self.tabs.tabs[self.tabs.active].title) if self.tabs.tabs else ""

    def open_tab(self, title: str) -> None:
        """Show a tab, if there is one of this title."""
        titles = [tab.title for tab in self.tabs.tabs]
        if title in titles:
            self.tabs.active = titles.index(title)

    def layout(self) -> LayoutDOM:
        """Return all parts as one object, for a page of somebody else's."""
        parts = self.parts()
        maps = Row(*(parts.pop(name) for name in ("od", "phases", "third")))
        side = Column(parts.pop("pixel"), parts.pop("notes"), width=330)
        below = Row(parts.pop("tabs"), parts.pop("curves"), sizing_mode="stretch_width")
        main = Column(parts.pop("tools"), maps, below, sizing_mode="stretch_width")
        return Column(
            *parts.values(),
            Row(main, side, sizing_mode="stretch_width"),
            sizing_mode="stretch_width",
        )

    def open_in(self, doc: Document, title: str) -> None:
        """Show the page in a browser's document."""
        open_page(doc, self.parts(), self.browser, title)
        self.changes.moved.listen(doc)
        self._doc, self._title = doc, title
        context = doc.session_context
        if context is not None and context.request is not None:
            self._link = Link.from_arguments(context.request.arguments)
        doc.add_periodic_callback(self.tick, LOOK_MS)
        doc.add_periodic_callback(self.tick_slowly, 1000)
        self.tick()

    def tick(self) -> None:
        """Check the board; draw if something has changed."""
        if self.board.now is not self._now or self._wanted:
            self.draw()
        self.shown.tick()
        if self.tab == self.contrast.title:
            self.contrast.look()
        self.compare.look()
        if self.next is not None:
            self.next.look()

    def tick_slowly(self) -> None:
        """Update the times, and the link in the browser's address."""
        self._write(self.board.now)
        self._call()
        if self._link is None:
            self.browser.query = urlencode(values_of(self))

    def draw(self) -> None:
        """Draw everything again."""
        now = self._now = self.board.now
        if self._link is not None and not self._wanted:
            self._wanted = self._link.number_in(now)
        self._offer(now.results)
        chosen = next((r for r in now.results if str(r.number) == self.show.value), None)
        before = self.scene
        self.scene = current_scene(now) if chosen is None else Scene.of_result(chosen)
        if before is not None and self.scene is not None and before.key != self.scene.key:
            self._not_found = ""
        self._write(now)
        self._show_first_look(now)
        if self.scene is None:
            return
        self.shown.show(self.scene)
        self.maps.show(self.scene)
        self.shown.show_drawn()
        self.changes.show(self.scene)
        self.keep.show(self.scene)
        if self.next is not None:
            self.next.show(self.scene)
        self.curves.show(self.scene)
        if self._link is not None:
            link, self._link = self._link, None
            self._not_found = restore(self, link)
            self._write(now)

    def _show_first_look(self, now: Snapshot) -> None:
        """Show the newest look at a stack without references, in a tab that appears with it."""
        if now.exploration is None:
            return
        self.first.show(now.exploration)
        if self.tabs.tabs[0].title != self.first.title:
            layout = self.first.layout()
            style_widgets({self.first.title: layout})
            tab = TabPanel(title=self.first.title, child=layout)
            self.tabs.update(tabs=[tab, *self.tabs.tabs], active=0)

    def _write(self, now: Snapshot) -> None:
        self._look_for_pause()
        text, kind = headline(self.scene, now, self._paused_since)
        self.headline.text = f'<p class="{kind}">{text}</p>'
        self.subline.text = subline(self.scene)
        share, words = progress(self.scene, now, self._paused_since)
        self.bar.text = (
            f'<span class="track"><i style="width:{100 * share:.0f}%"></i></span>{escape(words)}'
        )
        other = elsewhere(self.scene, now)
        self.elsewhere.text, self._beside.visible = f"<p>{other}</p>", bool(other)
        said = f"{now.working} …" if now.working else now.note or self._not_found
        self.said.update(text=f"<p>{escape(said)}</p>" if said else "", visible=bool(said))
        self.notes.text = notes(self.scene, now)

    def _look_for_pause(self) -> None:
        is_paused = self._run_engine is not None and self._run_engine.state == "paused"
        if is_paused != bool(self._paused_since):
            self._paused_since = time.strftime("%H:%M") if is_paused else ""

    def _call(self) -> None:
        """Say on top, and in the title of the browser's tab, that a plan waits for a choice."""
        calls = self.next.calls if isinstance(self.next, NextRegionPanel) else ""
        self.ask.update(text=f"<p>{calls}</p>" if calls else "", visible=bool(calls))
        if self._doc is not None:
            self._doc.title = TITLE_CALLS if calls else self._title

    def _choose(self) -> None:
        self._not_found = ""
        self.draw()

    def _follow(self) -> None:
        self.show.value = "0"

    def _offer(self, results: tuple[Result, ...]) -> None:
        self.compare.offer(results)
        wanted, self._wanted = self._wanted, 0
        newest = self.board.now.newest
        if newest is not None and wanted == newest.number:
            value = "0"
        else:
            value = str(wanted) if wanted else self.show.value
        offer(self.show, [("0", FOLLOW), *listed(results)], value)

    def _want(self, number: int) -> None:
        """Show a result as soon as it is ready; called on any thread."""
        self._wanted = number

    def _place_maps(self) -> None:
        """Show another result in place of the map of uncertainty."""
        is_alone = self.compare.scene is None
        self._third.children = [self.maps.columns["doubt"] if is_alone else self._other]

    def _on_pixel(self, scene: Scene, row: int, column: int) -> None:
        self.shown.look(scene, row, column)

    def _on_browser(self, attr: str, old: list[Any], new: list[Any]) -> None:
        if len(new) != 3:
            return
        self._fit(frame_width_px(float(new[0]), float(new[1])))
        others = (*self.pixel.plots, self.compare.plot, *self.first.plots, *self.contrast.plots)
        for plot in (*self.maps.plots, *self.curves.plots, *others):
            recolor(plot, is_dark=bool(new[2]))

    def _fit(self, frame_px: int) -> None:
        self.maps.fit(frame_px)
        self.compare.fit(frame_px, self.maps.column_px)
