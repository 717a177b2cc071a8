"""Drawings on the maps: a box or an outline drawn with the mouse, and boxes of regions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bokeh.models import BoxAnnotation, ColumnDataSource, PolyAnnotation

from stxm_live.plotting.style.palette import GROUND


class Drawn:
    """The box or outline that the user drew, the same on all maps.

    Attributes
    ----------
    box : BoxAnnotation
        Can be moved and resized with the mouse.
    outline : PolyAnnotation
    """

    def __init__(self) -> None:
        light: dict[str, Any] = {
            "line_color": "white",
            "line_alpha": 1.0,
            "line_width": 2,
            "fill_color": "white",
            "fill_alpha": 0.08,
            "visible": False,
        }
        dark = {**light, "line_color": GROUND, "line_width": 6, "fill_alpha": 0.0}
        box: dict[str, Any] = {"left": 0, "right": 1, "bottom": 0, "top": 1}
        corners: dict[str, Any] = {"xs": [0, 1, 1], "ys": [0, 0, 1]}
        self.box = BoxAnnotation(editable=True, name="drawn-box", **box, **light)
        self.outline = PolyAnnotation(name="drawn-outline", **corners, **light)
        self.outline.editable = False
        self._below = BoxAnnotation(**box, **dark), PolyAnnotation(**corners, **dark)
        for seen, below, places in zip(
            (self.box, self.outline), self._below, (box, corners), strict=True
        ):
            for name in (*places, "visible"):  # in the browser, where the mouse moves it
                seen.js_link(name, below, name)

    def place_on(self, plot: Any) -> None:
        """Show it on a plot: light lines on wider dark ones, visible on any color."""
        for each in (*self._below, self.box, self.outline):
            plot.add_layout(each)

    @property
    def box_um(self) -> tuple[float, float, float, float] | None:
        """Smallest and largest x, then y, of the box; None if there is none."""
        if not self.box.visible:
            return None
        x0, x1 = sorted((float(self.box.left), float(self.box.right)))
        y0, y1 = sorted((float(self.box.bottom), float(self.box.top)))
        return x0, x1, y0, y1

    @property
    def outline_um(self) -> list[tuple[float, float]] | None:
        """Corners x, y of the outline; None if there is none."""
        if not self.outline.visible:
            return None
        return list(zip(self.outline.xs, self.outline.ys, strict=True))

    @property
    def corners_um(self) -> list[tuple[float, float]] | None:
        """Corners x, y of the box or the outline; None if nothing is drawn."""
        if self.box_um is None:
            return self.outline_um
        x0, x1, y0, y1 = self.box_um
        return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]

    def on_change(self, call: Callable[[], None]) -> None:
        """Call a function when something is drawn, moved or removed."""
        for shape, names in (
            (self.box, ("left", "right", "bottom", "top", "visible")),
            (self.outline, ("xs", "ys", "visible")),
        ):
            for name in names:
                shape.on_change(name, lambda attr, old, new: call())

    def take(self, geometry: dict[str, Any]) -> None:
        """Keep the shape that a selection tool reports."""
        if geometry.get("type") == "rect":
            self.show_box(geometry["x0"], geometry["x1"], geometry["y0"], geometry["y1"])
        elif geometry.get("type") == "poly" and len(geometry["x"]) > 2:
            self.clear()
            self.outline.update(xs=list(geometry["x"]), ys=list(geometry["y"]), visible=True)

    def show_box(self, x0: float, x1: float, y0: float, y1: float) -> None:
        """Show a box in place of the drawing."""
        self.clear()
        self.box.update(left=x0, right=x1, bottom=y0, top=y1, visible=True)

    def clear(self) -> None:
        """Remove the drawing."""
        self.box.visible = False
        self.outline.visible = False


def empty_boxes() -> ColumnDataSource:
    """Return a source without boxes."""
    names = ("left", "right", "bottom", "top", "label", "color", "width")
    return ColumnDataSource({name: [] for name in names}, name="boxes")


def outline(plot: Any, boxes: ColumnDataSource) -> None:
    """Show boxes with their labels on a plot."""
    plot.quad(
        left="left",
        right="right",
        top="top",
        bottom="bottom",
        source=boxes,
        fill_alpha=0,
        line_color="color",
        line_width="width",
    )
    plot.text(
        x="left",
        y="top",
        text="label",
        source=boxes,
        text_color="color",
        text_font_size="12px",
        background_fill_color=GROUND,
        background_fill_alpha=0.6,
        text_baseline="top",
        x_offset=3,
        y_offset=2,
    )
