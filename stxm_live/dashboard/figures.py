"""The Bokeh figures of the dashboard: maps that move together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from bokeh.core.properties import Any as AnyValue
from bokeh.core.properties import List
from bokeh.events import MouseLeave, MouseMove, SelectionGeometry, Tap
from bokeh.model import DataModel
from bokeh.models import (
    BoxSelectTool,
    BoxZoomTool,
    ColumnDataSource,
    CustomJS,
    LassoSelectTool,
    PanTool,
    Range1d,
)
from bokeh.plotting import figure
from numpy.typing import NDArray

from stxm_live.dashboard.drawing import Drawn, outline
from stxm_live.dashboard.line_profile import Line
from stxm_live.dashboard.offline_page.page_figures import (
    add_mark,
    add_scale_bar,
    style_plot,
)
from stxm_live.dashboard.pins import number_pins
from stxm_live.plotting.style.raster import FieldOfView

_POINTER_MS = 40
"""Shortest time in ms between two reports of the mouse position."""


_MOVE = """
pointer._next = [where, cb_obj.x, cb_obj.y];
if (pointer._timer == null) {
  pointer._timer = setTimeout(() => {
    pointer._timer = null;
    pointer.at = pointer._next;
  }, wait_ms);
}
"""


_LEAVE = """
clearTimeout(pointer._timer);
pointer._timer = null;
pointer.at = [];
"""


PATIENT_MOUSE = """
{
  const { UIGestures } = Bokeh.require("core/ui_gestures");
  UIGestures.press_threshold = 600_000;
  UIGestures.doubletap_threshold = 0;
}
"""
"""Script of a page, after Bokeh's own. Bokeh takes a button that is held for .3 s before the mouse
moves, and a click that soon after another one, for gestures that no map has: the box was not
drawn and the pixel not kept, above all on a slow machine. A click is a click and a drag is a drag
however long they take."""


class Pointer(DataModel):  # type: ignore[misc]
    """Mouse position reported by the browser: name of the figure, x, y; empty outside."""

    at = List(AnyValue, default=[])


class MapFigure:
    """A figure with one image, a mark under the mouse and the user's drawing.

    Parameters
    ----------
    name : str
    ranges : (Range1d, Range1d)
        Shared by figures that move together.
    hover : ColumnDataSource
        Position of the mark under the mouse, shared as well.
    pointer : Pointer
    drawn : Drawn or None
        None if nothing can be drawn here.
    boxes : ColumnDataSource, optional
        Boxes with labels that are outlined, made with `empty_boxes`.
    line : Line, optional
    pins : ColumnDataSource, optional
        Kept pixels, of `Pins`.
    """

    BESIDE_PX = 66
    """Width in px beside the frame, for the axis and a margin."""

    def __init__(
        self,
        name: str,
        ranges: tuple[Range1d, Range1d],
        hover: ColumnDataSource,
        pointer: Pointer,
        drawn: Drawn | None,
        boxes: ColumnDataSource | None = None,
        line: Line | None = None,
        pins: ColumnDataSource | None = None,
    ) -> None:
        self.name = name
        self.zoom, self.pan = BoxZoomTool(), PanTool()
        # nothing shall be selected: an event reports the drawing
        self.select = BoxSelectTool(renderers=[])
        self.lasso = LassoSelectTool(renderers=[], continuous=False)
        tools: list[Any] = [self.zoom, self.pan]
        tools += [self.select, self.lasso] if drawn is not None else []
        self.plot = self._plot(name, ranges, tools)
        pixel = np.zeros((1, 1), dtype=np.uint32)
        self.source = ColumnDataSource({"image": [pixel]}, name=f"{name}-image")
        self._glyph = self.plot.image_rgba("image", x=0, y=0, dw=1, dh=1, source=self.source).glyph
        add_mark(self.plot, hover)
        style_plot(self.plot, "x (µm)", "y (µm)")
        add_scale_bar(self.plot, ranges[0])
        self.bar = self.plot.center[-1]
        self.bar.visible = self.plot.axis.visible = False
        if boxes is not None:
            outline(self.plot, boxes)
        if line is not None:
            line.place_on(self.plot)
        if pins is not None:
            number_pins(self.plot, pins)
        if drawn is not None:
            drawn.place_on(self.plot)
            self.plot.on_event(SelectionGeometry, lambda event: _take(drawn, event))
        move = CustomJS(
            args={"pointer": pointer, "where": name, "wait_ms": _POINTER_MS}, code=_MOVE
        )
        self.plot.js_on_event(MouseMove, move)
        self.plot.js_on_event(MouseLeave, CustomJS(args={"pointer": pointer}, code=_LEAVE))

    def _plot(self, name: str, ranges: tuple[Range1d, Range1d], tools: list[Any]) -> figure:
        """Return a figure with nothing in it."""
        return figure(
            name=name,
            x_range=ranges[0],
            y_range=ranges[1],
            frame_width=250,
            frame_height=250,
            tools=tools,
            active_drag=self.zoom,
            toolbar_location=None,
            min_border_left=self.BESIDE_PX - 12,
            min_border_right=8,
        )

    def on_tap(self, call: Callable[[str, float, float], None]) -> None:
        """Call a function with the name of the figure and the position of each click."""
        self.plot.on_event(Tap, lambda event: call(self.name, event.x, event.y))

    def place(self, field: FieldOfView, frame_px: int) -> None:
        """Set the position of the image, and the shape of the figure to that of the field."""
        self._glyph.update(
            x=min(field[:2]),
            y=min(field[2:4]),
            dw=abs(field.x_last - field.x_first),
            dh=abs(field.y_last - field.y_first),
        )
        height = int(np.clip(frame_px * field.aspect, 0.3 * frame_px, 1.25 * frame_px))
        self.plot.update(frame_width=frame_px, frame_height=height)
        self.plot.axis.visible = True
        unit = "µm" if field.unit == "um" else "pixel"
        self.plot.xaxis.axis_label, self.plot.yaxis.axis_label = f"x ({unit})", f"y ({unit})"
        self.bar.visible = field.unit == "um"

    def paint(self, image: NDArray[np.uint32]) -> None:
        """Show another image of the same field; the present image is not sent again."""
        if not np.array_equal(image, self.source.data["image"][0]):
            self.source.data = {"image": [image]}


def _take(drawn: Drawn, event: Any) -> None:
    if event.final:
        drawn.take(event.geometry)


def show_whole(ranges: tuple[Range1d, Range1d], field: FieldOfView) -> None:
    """Set ranges to the whole field, with x to the right and y upwards."""
    for axis, ends in zip(ranges, (field[:2], field[2:4]), strict=True):
        low, high = sorted(ends)
        axis.update(start=low, end=high, reset_start=low, reset_end=high)
