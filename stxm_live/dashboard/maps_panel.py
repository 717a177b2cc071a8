"""Image, phase map and uncertainty side by side, and the choices of what they show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from html import escape
from typing import Any

import numpy as np
from bokeh.models import (
    Checkbox,
    Column,
    ColumnDataSource,
    CustomJS,
    LayoutDOM,
    RadioButtonGroup,
    Range1d,
    Row,
    Slider,
)
from bokeh.plotting import figure

from stxm_live.dashboard.channels import channel_names
from stxm_live.dashboard.drawing import Drawn, empty_boxes
from stxm_live.dashboard.figures import MapFigure, Pointer, show_whole
from stxm_live.dashboard.images import Limits, for_screen
from stxm_live.dashboard.layers import (
    DOUBT_LAYERS,
    OF_ENERGIES,
    PHASE_LAYERS,
    Layer,
    doubt_layer,
    od_layer,
    phase_layer,
)
from stxm_live.dashboard.line_profile import Line
from stxm_live.dashboard.moved_images import Moves, with_moves
from stxm_live.dashboard.pins import Pins
from stxm_live.dashboard.scene import Scene
from stxm_live.dashboard.style import WRAPPED, button, html, select

PLACES = ("od", "phases", "doubt")

_DRAGS = ("Zoom in", "Move", "Draw a box", "Draw an outline", "Draw a line")
_ACTIVATE = "tools.forEach((same, k) => same.forEach(tool => { tool.active = k == cb_obj.active }))"

OnPixel = Callable[[Scene, int, int], None]


class MapsPanel:
    """Three maps of one scene that move together.

    Parameters
    ----------
    on_pixel : callable
        Called with the scene and the pixel under the mouse.

    Attributes
    ----------
    scene : Scene or None
    drawn : Drawn
    line : Line
    layers : dict of Layer
        The maps that are shown, by "od", "phases" and "doubt".
    boxes : ColumnDataSource
        Boxes that are outlined on all maps.
    """

    def __init__(self, on_pixel: OnPixel) -> None:
        self.scene: Scene | None = None
        self.drawn, self.line = Drawn(), Line()
        self.boxes = empty_boxes()
        self.layers: dict[str, Layer] = {}
        self._seen: Scene | None = None
        self._moves: Moves = {}
        self._limits: dict[str, Limits] = {}
        self.frame_px = 250
        self._on_pixel = on_pixel
        self._shape: tuple[Any, ...] | None = None
        self.pins = Pins()
        self.pins.on_change(lambda: self.pins.mark(self.scene))
        self._make_figures()
        self._make_choices()

    def _make_figures(self) -> None:
        self._ranges = Range1d(0, 1), Range1d(0, 1)
        self._hover = ColumnDataSource({"x": [], "y": []})
        self.pointer = Pointer()
        self.pointer.on_change("at", self._on_move)
        self.figures = {
            name: MapFigure(
                *(name, self._ranges, self._hover, self.pointer, self.drawn, self.boxes),
                line=self.line,
                pins=self.pins.source,
            )
            for name in PLACES
        }
        for each in self.figures.values():
            each.on_tap(self._on_tap)
        self.legends = {name: html("", "legend", min_height=34) for name in PLACES}
        self.meanings = {name: html("", "meaning", min_height=34) for name in PLACES}

    def _make_choices(self) -> None:
        self.energy = Slider(
            start=0, end=1, value=0, step=1, show_value=False, name="energy", margin=(9, 10)
        )
        self.follow = Checkbox(label="follow", active=True, width=70, margin=(9, 2))
        self.phases = select(PHASE_LAYERS, lambda _: self._paint("phases"), "phases-layer")
        self.doubt = select(DOUBT_LAYERS, lambda _: self._on_doubt(), "doubt-layer")
        nothing = [("0", "")]
        self.first, self.second, self.third = (
            select(nothing, lambda _: self._paint("doubt"), name, width=84, margin=(0, 2))
            for name in ("first", "second", "third-energy")
        )
        self.share_of = select(nothing, lambda _: self._paint("doubt"), "share-of", width=130)
        self.share_of.visible = False
        self.between = html("−", margin=(7, 2), width=14)
        # all of them from the beginning, for they get the colors of the page with the others
        choices = self.first, self.between, self.second, self.third
        self.of_energies = Row(*choices, visible=False, height=36)
        self.colors = [
            select(nothing, lambda _: self._paint("doubt"), name, width=84, margin=(0, 2))
            for name in ("red", "green", "blue")
        ]
        self.of_maps = Row(*self.colors, visible=False, height=36)
        self.energy.on_change("value", lambda attr, old, new: self._on_energy(new))
        self.follow.on_change("active", lambda attr, old, new: self._follow())

    def tools(self) -> LayoutDOM:
        """Return the buttons for dragging, and for showing the whole field."""
        drag = RadioButtonGroup(labels=list(_DRAGS), active=0, name="drag")
        kinds = [
            [getattr(each, kind) for each in self.figures.values()]
            for kind in ("zoom", "pan", "select", "lasso")
        ]
        for each in self.figures.values():
            self.line.draw_on(each.plot, drag, _DRAGS.index("Draw a line"))
        drag.js_on_change("active", CustomJS(args={"tools": kinds}, code=_ACTIVATE))
        whole = button("Whole field", self._show_whole)
        clear = button("Remove drawing", self._clear)
        release = button("Clear pins", self.pins.clear)
        words = html("Dragging on a map:", "small", margin=(9, 4))
        return Row(words, drag, whole, clear, release, styles=WRAPPED)

    def columns_of_maps(self) -> dict[str, LayoutDOM]:
        """Return the maps by name, each with its choice above it and its legend below."""
        above: dict[str, LayoutDOM] = {
            "od": Row(self.energy, self.follow, height=44),
            "phases": Row(self.phases, height=44),
            "doubt": Row(self.doubt, self.share_of, height=44),
        }
        below = {"od": [], "phases": [], "doubt": [self.of_energies, self.of_maps]}
        self.columns = {
            name: Column(
                above[name],
                *below[name],
                self.meanings[name],
                each.plot,
                self.legends[name],
                css_classes=["map", f"map-{name}"],
            )
            for name, each in self.figures.items()
        }
        self._fit_widths()
        return dict(self.columns)

    def fit(self, frame_px: int) -> None:
        """Fit the maps to the size of the window."""
        if frame_px == self.frame_px:
            return
        self.frame_px = frame_px
        self._fit_widths()
        if self.scene is not None:
            self._place(self.scene)

    @property
    def plots(self) -> list[figure]:
        """Return the three figures."""
        return [each.plot for each in self.figures.values()]

    @property
    def column_px(self) -> int:
        """Width of one map with its axis."""
        return self.frame_px + MapFigure.BESIDE_PX

    def _fit_widths(self) -> None:
        for name, column in self.columns.items():
            column.width = self.column_px
            self.legends[name].width = self.meanings[name].width = self.column_px - 12
        self.energy.width = self.column_px - 115
        self.phases.width = self.column_px - 20
        for each in self.colors:
            each.width = (self.column_px - 32) // 3
        self._fit_doubt()

    def _fit_doubt(self) -> None:
        beside = 150 if self.share_of.visible else 0
        self.doubt.width = self.column_px - 20 - beside

    def show(self, scene: Scene) -> None:
        """Show a scene; keep zoom and energy if possible, and the pixel for the same stack."""
        is_other = self.scene is not None and not scene.shows_same_field(self.scene)
        if is_other:
            self.pins.clear()
            self._limits.clear()
            self._mark(None)
        if scene is not self.scene:
            self._moves = {}
        self.scene = self._seen = scene
        if (scene.field, scene.specimen.shape) != self._shape:
            self._shape = (scene.field, scene.specimen.shape)
            self._place(scene)
            self._show_whole()
            self._clear()
            self.pointer.at = []  # or a mouse that comes back to the same place is not reported
        self._offer_energies(scene)
        self._offer_phases(scene)
        self._follow()
        for name in PLACES:
            self._paint(name)
        if is_other and len(self.pointer.at) == 3:  # it rests, and says nothing
            self._look_at(*map(float, self.pointer.at[1:]))

    def _place(self, scene: Scene) -> None:
        for each in self.figures.values():
            each.place(scene.field, self.frame_px)

    def _clear(self) -> None:
        self.drawn.clear()
        self.line.clear()

    def _show_whole(self) -> None:
        if self.scene is not None:
            show_whole(self._ranges, self.scene.field)

    @property
    def part_um(self) -> tuple[float, float, float, float] | None:
        """Ends in x, then y, of the part of the field that is shown; None for the whole field."""
        x, y = self._ranges
        whole = (x.reset_start, x.reset_end, y.reset_start, y.reset_end)
        shown = (x.start, x.end, y.start, y.end)
        return None if shown == whole else shown

    def show_part(self, x0: float, x1: float, y0: float, y1: float) -> None:
        """Show a part of the field; nothing changes if it is smaller than a pixel."""
        if self.scene is None:
            return
        field, (ny, nx) = self.scene.field, self.scene.specimen.shape
        is_wide = x1 - x0 > abs(field.x_last - field.x_first) / nx
        if is_wide and y1 - y0 > abs(field.y_last - field.y_first) / ny:
            for axis, low, high in zip(self._ranges, (x0, y0), (x1, y1), strict=True):
                axis.update(start=low, end=high)

    def _offer_phases(self, scene: Scene) -> None:
        options = [(str(k), name) for k, name in enumerate(scene.phase_names)] or [("0", "")]
        if options != self.share_of.options:
            self.share_of.options, self.share_of.value = options, "0"
        colors = channel_names(scene.phase_names)
        if colors != self.colors[0].options:
            for k, each in enumerate(self.colors):
                each.options, each.value = colors, colors[min(k, len(colors) - 1)][0]

    def _offer_energies(self, scene: Scene) -> None:
        last = len(scene.energies_ev) - 1
        if self._energy > last:
            self.energy.value = last
        self.energy.end = max(last, 1)
        options = [(str(k), f"{e:.2f}") for k, e in enumerate(scene.energies_ev)]
        if options == self.first.options:
            return
        middle = (last + 1) // 2
        for choice, default in ((self.first, 0), (self.second, middle), (self.third, last)):
            known = int(choice.value) <= last and len(choice.options) > 1
            choice.options = options
            choice.value = choice.value if known else str(default)

    @property
    def _energy(self) -> int:
        return int(self.energy.value)

    @property
    def energy_shown(self) -> int:
        """Return the number of the energy whose image is shown."""
        last = 0 if self.scene is None else len(self.scene.energies_ev) - 1
        return min(self._energy, last)

    def move_images(self, moves: Moves) -> None:
        """Show some images moved by rows and columns; everything else stays as it is."""
        if self.scene is None or moves == self._moves:
            return
        self._moves, self._seen = moves, self.scene
        if moves:
            self._seen = replace(
                self.scene, od=with_moves(self.scene.od, self.scene.energies_ev, moves)
            )
        self._paint("od")
        self._paint("doubt")

    def _follow(self) -> None:
        if self.follow.active and self.scene is not None:
            self.energy.value = self.scene.latest

    def _on_energy(self, energy: float) -> None:
        if self.scene is not None and round(energy) != self.scene.latest:
            self.follow.active = False
        self._paint("od")

    def _on_doubt(self) -> None:
        name = self.doubt.value
        if name == "rgb":
            chosen = [self.first, self.second, self.third]
        elif name in OF_ENERGIES:
            ends = (self.second, self.first) if name == "difference" else (self.first, self.second)
            self.between.text = "−" if name == "difference" else "to"
            chosen = [ends[0], self.between, ends[1]]
        else:
            chosen = []
        self.of_energies.children = [*chosen, html("eV", margin=(7, 2))]
        self.of_energies.visible = name in OF_ENERGIES
        self.of_maps.visible = name == "rgb-maps"
        # the choices say it
        self.meanings["doubt"].visible = not (self.of_energies.visible or self.of_maps.visible)
        self.share_of.visible = name == "composition"
        self._fit_doubt()
        self._paint("doubt")

    def _paint(self, name: str) -> None:
        if self.scene is None:
            return
        layer = self.layers[name] = self._layer(self._seen or self.scene, name)
        self.figures[name].paint(for_screen(layer.image, self.scene.field))
        self.legends[name].text = layer.legend
        self.meanings[name].text = escape(layer.meaning)

    def _layer(self, scene: Scene, name: str) -> Layer:
        last = len(scene.energies_ev) - 1
        if name == "od":
            return od_layer(scene, self.energy_shown, self.limits(name))
        if name == "phases":
            return phase_layer(scene, self.phases.value)
        chosen = self.first, self.second, self.third
        energies = tuple(min(int(choice.value), last) for choice in chosen)
        limits = self.limits(name)
        phase, channels = int(self.share_of.value), tuple(each.value for each in self.colors)
        return doubt_layer(scene, self.doubt.value, energies, phase, limits, channels)

    def _limited(self, name: str) -> str:
        """Return the name under which the limits of a map's contrast are kept."""
        return self.doubt.value if name == "doubt" else name

    def limits(self, name: str) -> Limits | None:
        """Return the limits that were chosen for a map, "od" or "doubt"; None if automatic."""
        return self._limits.get(self._limited(name))

    def set_limits(self, name: str, limits: Limits | None) -> None:
        """Show a map, "od" or "doubt", from dark at one value to bright at a larger one."""
        if limits is not None and not 0 < limits[1] - limits[0] < np.inf:
            return
        self._limits.pop(self._limited(name), None)
        if limits is not None:
            self._limits[self._limited(name)] = limits
        self._paint(name)

    def _on_move(self, attr: str, old: list[Any], new: list[Any]) -> None:
        if len(new) < 3:
            self._mark(None)
        else:
            self._look_at(float(new[1]), float(new[2]))

    def _on_tap(self, name: str, x: float, y: float) -> None:
        place = None if self.scene is None else self.scene.pixel_at(x, y)
        if place is not None:
            self.pins.toggle(place)
            self._look_at(x, y)

    def _look_at(self, x: float, y: float) -> None:
        scene = self.scene
        place = None if scene is None else scene.pixel_at(x, y)
        self._mark(place)
        if scene is not None and place is not None:
            self._on_pixel(scene, *place)

    def _mark(self, place: tuple[int, int] | None) -> None:
        where = [] if place is None or self.scene is None else [self.scene.centre_of(*place)]
        self._hover.data = {"x": [x for x, _ in where], "y": [y for _, y in where]}
