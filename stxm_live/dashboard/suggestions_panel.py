"""Suggested next regions, to look at only: no plan asks this dashboard for a region."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from bokeh.models import Checkbox, Column, ColumnDataSource, LayoutDOM

from stxm_live.adaptive.regions.reasons import cost
from stxm_live.dashboard.scene import Scene
from stxm_live.dashboard.style import html

if TYPE_CHECKING:
    from stxm_live.adaptive.chooser import RegionChooser
    from stxm_live.core.region import Region

SHOWN = 4
"""Number of suggestions shown, the best ones."""

_ONLY_SHOWN = (
    "<b>Suggestions of this dashboard, from its own maps.</b> Nothing is sent to the scan. "
    "To choose a region for a plan, start: stxm-live watch --zmq … --choices …"
)


class SuggestionsPanel:
    """Suggestions that cannot be taken.

    Parameters
    ----------
    suggesting : RegionChooser
        Source of the suggestions, for the maps that are shown.
    boxes : ColumnDataSource
        Boxes on the maps: the suggestions.
    """

    title = "Suggestions"

    def __init__(self, suggesting: RegionChooser, boxes: ColumnDataSource) -> None:
        self._suggesting, self._boxes = suggesting, boxes
        self._scene: Scene | None = None
        self._known: Any = None
        self.state = html(_ONLY_SHOWN, "chosen", sizing_mode="stretch_width")
        self.lines = html("", "suggestion", sizing_mode="stretch_width")
        self.outlined = Checkbox(label="outline on the maps", active=True, name="outlined")
        self.outlined.on_change("active", lambda attr, old, new: self.look())

    def layout(self) -> LayoutDOM:
        """Return the panel."""
        return Column(self.state, self.outlined, self.lines, sizing_mode="stretch_width")

    def show(self, scene: Scene) -> None:
        """Show suggestions for this scene from now on."""
        self._scene = scene

    def look(self) -> None:
        """Show the suggestions, if they have changed."""
        it = self._suggesting
        is_of_scene = self._scene is not None and self._scene.key == it.stack
        suggestions = tuple(it.suggestions)[:SHOWN] if is_of_scene else ()
        state = (suggestions, it.is_ready, it.no_suggestions, self.outlined.active, it.stack)
        if (state, is_of_scene) == self._known:
            return
        self._known = state, is_of_scene
        self._boxes.data = rectangles(None, suggestions if self.outlined.active else ())
        if suggestions:
            items = "".join(f"<li>{suggestion(region)}</li>" for region in suggestions)
            self.lines.text = f"<ol>{items}</ol>"
        elif it.stack is not None and not is_of_scene:
            self.lines.text = f"Suggestions are made for {escape(str(it.stack))}, not for this one."
        else:
            self.lines.text = escape(it.no_suggestions or "Suggestions appear with the maps.")


def suggestion(region: Region) -> str:
    """Return reason, size, dose, time and gain of a region, escaped, and nothing of it twice."""
    (x0, x1), (y0, y1) = region.x_extent_um, region.y_extent_um
    said = region.reason.split(", ")
    costs = [f"{abs(x1 - x0):.2g} x {abs(y1 - y0):.2g} µm"]
    costs += [text for text in cost(region.minutes, region.dose_mgy) if text not in said]
    if region.expected_gain is not None:
        costs.append(f"about {region.expected_gain:.0f} labels corrected")
    return f"{escape(region.reason or region.criterion)}<br>{escape(', '.join(costs))}"


def rectangles(choice: Region | None, suggestions: tuple[Region, ...]) -> dict[str, list[Any]]:
    """Return boxes for the maps: suggestions thin and white, the choice amber."""
    shown = [(region, str(k), "#ffffff", 1.0) for k, region in enumerate(suggestions, start=1)]
    shown += [] if choice is None else [(choice, "next", "#ffb000", 2.5)]
    return {
        "left": [min(region.x_extent_um) for region, *_ in shown],
        "right": [max(region.x_extent_um) for region, *_ in shown],
        "bottom": [min(region.y_extent_um) for region, *_ in shown],
        "top": [max(region.y_extent_um) for region, *_ in shown],
        "label": [label for _, label, _, _ in shown],
        "color": [color for _, _, color, _ in shown],
        "width": [width for _, _, _, width in shown],
    }
