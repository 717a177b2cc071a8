"""The next region: draw a box or take a suggestion; the plan asks for it when it is ready."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

from bokeh.models import Checkbox, Column, ColumnDataSource, LayoutDOM, Row, Spinner

from stxm_live.dashboard.drawing import Drawn
from stxm_live.dashboard.scene import Scene
from stxm_live.dashboard.style import WRAPPED, button, html
from stxm_live.dashboard.suggestions_panel import SHOWN, rectangles, suggestion

if TYPE_CHECKING:
    from stxm_live.adaptive.chooser import RegionChooser
    from stxm_live.core.region import Region

_NO_MAP = "There is no map to choose a region on yet; it appears with the next stack."
_DRAW = 'Choose "Draw a box" above and drag on a map; a box can be moved and resized.'


class NextRegionPanel:
    """Choices for the plan that asks for the next region.

    Parameters
    ----------
    chooser : RegionChooser
    drawn : Drawn
    boxes : ColumnDataSource
        Boxes on the maps: the suggestions and the choice.
    """

    title = "Next region"

    def __init__(self, chooser: RegionChooser, drawn: Drawn, boxes: ColumnDataSource) -> None:
        self._chooser, self._drawn, self._boxes = chooser, drawn, boxes
        self._scene: Scene | None = None
        self._known: Any = None
        self._error = ""
        self._suggestions: tuple[Region, ...] = ()
        wide = {"sizing_mode": "stretch_width"}
        self.state = html("", "chosen", min_height=36, **wide)
        self.box = html(_DRAW, "small", **wide)
        self.step_nm = Spinner(value=None, low=0.1, step=1, width=72, placeholder="auto")
        self.dwell_ms = Spinner(value=None, low=0.01, step=0.5, width=72, placeholder="auto")
        self.lines = [html("", "suggestion", **wide) for _ in range(SHOWN)]
        self.choose = button("Scan the drawn box next", self._choose_box, kind="primary")
        self.takes = [button(f"Take {k}", self._taker(k)) for k in range(1, SHOWN + 1)]
        self.outlined = Checkbox(label="outline on the maps", active=True, name="outlined")
        self.outlined.on_change("active", lambda attr, old, new: self.look())
        self.no_more = html("", "small", **wide)
        for take in self.takes:
            take.visible = False
        for name in ("left", "right", "bottom", "top", "visible"):
            drawn.box.on_change(name, self._on_box)

    def layout(self) -> LayoutDOM:
        """Return the panel."""
        options = Row(
            self.choose,
            html(
                '<span title="distance between pixels; auto: finer than the maps">step (nm)</span>',
                margin=(9, 0),
            ),
            self.step_nm,
            html('<span title="exposure of one pixel">dwell (ms)</span>', margin=(9, 0)),
            self.dwell_ms,
            styles=WRAPPED,
        )
        rows = [
            Row(take, line, sizing_mode="stretch_width")
            for take, line in zip(self.takes, self.lines, strict=True)
        ]
        return Column(
            Row(self.state, button("Withdraw", self._withdraw), sizing_mode="stretch_width"),
            options,
            self.box,
            self.outlined,
            self.no_more,
            *rows,
            sizing_mode="stretch_width",
        )

    def show(self, scene: Scene) -> None:
        """Use this scene for choices from now on; what was refused on another one is over."""
        if self._scene is not None and self._scene.key != scene.key:
            self._error = ""
        self._scene = scene

    def look(self) -> None:
        """Show suggestions and choice of the chooser, if they have changed."""
        chooser = self._chooser
        choice, suggestions = chooser.latest(), tuple(chooser.suggestions)[:SHOWN]
        has_map = self._scene is not None
        state = (
            *(choice, suggestions, chooser.is_ready, chooser.no_suggestions),
            *(chooser.question, chooser.refused, self._error, self.outlined.active),
            has_map,
        )
        if state == self._known:
            return
        self._known = state
        self._suggestions = suggestions
        self.state.text = self._in_words(choice)
        self.choose.disabled = not has_map
        for k in range(SHOWN):
            self.takes[k].disabled = not has_map
            self.takes[k].visible = k < len(suggestions)
            self.lines[k].text = suggestion(suggestions[k]) if k < len(suggestions) else ""
        waits = "" if chooser.is_ready else "Suggestions appear with the maps."
        why = escape(chooser.no_suggestions or waits) if has_map else _NO_MAP
        self.no_more.update(text=why, visible=bool(why))
        outlined = suggestions if self.outlined.active else ()
        self._boxes.data = rectangles(choice, outlined) if has_map else rectangles(None, ())

    @property
    def calls(self) -> str:
        """Return a sentence that calls for a choice while a plan waits; else nothing. Escaped."""
        question = self._chooser.question
        if not question or self._chooser.latest() is not None:
            return ""
        left = minutes_and_seconds(self._chooser.question_left_s)
        return (
            f"<b>Waiting for your choice, {left} left:</b> {escape(question)}. "
            "Draw a box or take a suggestion in the tab Next region."
        )

    def _in_words(self, choice: Region | None) -> str:
        error = self._error or self._chooser.refused
        question = self._chooser.question
        waits = f"The plan waits for your choice ({escape(question)})." if question else ""
        if error:
            return f'<b style="color:#b3202a">Not chosen:</b> {escape(error)}. {waits}'
        if choice is None:
            return f"<b>{waits or 'Nothing is chosen.'}</b>"
        return f"<b>Next:</b> {region_text(choice)}."

    def _choose_box(self) -> None:
        box = self._drawn.box_um
        if box is None:
            self._error = "draw a box first"
            return
        x0, x1, y0, y1 = box
        step_nm, dwell_ms = self.step_nm.value, self.dwell_ms.value

        def choose() -> None:
            self._chooser.choose_box(
                (x0, x1),
                (y0, y1),
                step_um=None if step_nm is None else step_nm / 1000,
                dwell_ms=dwell_ms,
                stack=None if self._scene is None else self._scene.key,
            )
            self._drawn.clear()

        self._try(choose)

    def _taker(self, k: int) -> Callable[[], None]:
        def take() -> None:
            if k > len(self._suggestions):
                return
            region = self._suggestions[k - 1]  # the one shown beside the button, even if outdated
            stack = None if self._scene is None else self._scene.key
            self._try(lambda: self._chooser.choose(region, stack=stack))

        return take

    def _withdraw(self) -> None:
        self._try(self._chooser.withdraw)

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except (ValueError, OSError) as error:  # refused, or the session does not answer
            self._error = str(error)
        else:
            self._error = ""
        self.look()

    def _on_box(self, attr: str, old: Any, new: Any) -> None:
        box = self._drawn.box_um
        if box is None:
            self.box.text = _DRAW
            return
        if self._error:
            self._error = ""
            self.look()
        x0, x1, y0, y1 = box
        self.box.text = (
            f"drawn: x {x0:.3f} to {x1:.3f}, y {y0:.3f} to {y1:.3f} µm "
            f"({x1 - x0:.3g} x {y1 - y0:.3g} µm), not chosen yet"
        )


def minutes_and_seconds(seconds: float) -> str:
    """Return a time that is left, to the second.

    Examples
    --------
    >>> minutes_and_seconds(580.2), minutes_and_seconds(48)
    ('9 min 40 s', '48 s')
    """
    minutes, rest = divmod(max(0, int(seconds)), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def region_text(region: Region) -> str:
    """Return position, pixels and dwell of a region, escaped."""
    (x0, x1), (y0, y1) = region.x_extent_um, region.y_extent_um
    step_nm = 1000 * max(region.step_um)
    return escape(
        f"region {region.name}, x {x0:.3f} to {x1:.3f}, y {y0:.3f} to {y1:.3f} µm, "
        f"{region.nx} x {region.ny} pixels of {step_nm:.3g} nm, {region.dwell_ms:g} ms"
    )
