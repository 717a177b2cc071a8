"""New maps with changes: another I0 box, a mask, energies left out, an offset, a method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from bokeh.models import Checkbox, Column, LayoutDOM, MultiChoice, Row, Spinner
from numpy.typing import NDArray

from stxm_live.dashboard.history import History
from stxm_live.dashboard.maps_panel import MapsPanel
from stxm_live.dashboard.moved_images import MovedImages, Moves
from stxm_live.dashboard.scene import Scene
from stxm_live.dashboard.state import MASK, SHIFTS, Board, Remake, Result
from stxm_live.dashboard.style import WRAPPED, button, html, select
from stxm_live.dashboard.undo import Undo
from stxm_live.plotting.panels.result import METHODS

_RECIPES = "", "as in the recipe"

_METHODS = (_RECIPES, *METHODS.items())

_BASELINES = (
    _RECIPES,
    ("auto", "as the scan shows"),
    ("none", "none"),
    ("constant", "a constant"),
    ("slope", "a constant and a slope"),
)

Settings = tuple[dict[str, Any], dict[str, str], list[str], float, str, str, Moves]
"""Values from drawings and their titles, energies left out, offset, choices, and moved images."""

_NOTHING: Settings = {}, {}, [], 0.0, "", "", {}

_NO_IMAGES = (
    "Images are moved in runs of a catalogue only: start the dashboard with one and with map_run, "
    "or use stxm-live watch."
)

_NOTHING_DRAWN = "Draw a box or an outline on a map first (choose it under “Dragging on a map”)."


class ChangesPanel:
    """Changes to the maps that are shown; the scan's own maps stay as they are.

    Parameters
    ----------
    board : Board
    maps : MapsPanel
    then : callable
        Called with the number of the new result, on any thread.
    history : History, optional
        One with a method ``map_again``, as `CatalogHistory`, can align images anew.
    """

    def __init__(
        self,
        board: Board,
        maps: MapsPanel,
        then: Callable[[int], None],
        history: History | None = None,
    ) -> None:
        self._board, self._drawn, self._then = board, maps.drawn, then
        self._map_again: Remake | None = getattr(history, "map_again", None)
        self.moved = MovedImages(maps)
        self._scene: Scene | None = None
        self._drawing: dict[str, Any] = {}
        self._titles: dict[str, str] = {}
        self._offered: list[str] = []
        self._undo = Undo()
        self._made: dict[int, Settings] = {}
        self.left_out = MultiChoice(
            options=[], value=[], width=215, placeholder="energies to leave out", name="left-out"
        )
        self.offset = Spinner(value=0.0, step=0.05, low=-5, high=5, width=90, name="offset")
        self.method = select(_METHODS, lambda _: None, "method", width=215)
        self.baseline = select(_BASELINES, lambda _: None, "baseline", width=165)
        self.back = button("Undo", lambda: self._go(self._undo.before), disabled=True)
        self.forth = button("Redo", lambda: self._go(self._undo.after), disabled=True)
        self.whole = Checkbox(label="include pixels without specimen", active=False)
        self.words = html("", "small", min_height=34, sizing_mode="stretch_width")

    def layout(self) -> LayoutDOM:
        """Return the panel."""
        of_drawing = Row(
            button("I0 from the drawn box", self._take_i0),
            button("Map only the drawn area", self._take_mask),
            self.whole,
            styles=WRAPPED,
        )
        energies = Row(
            self.left_out,
            _named("offset (eV)", "true photon energy = nominal energy + offset", self.offset),
            styles=WRAPPED,
        )
        choices = Row(
            _named("labels", "method that gives each pixel its phase", self.method),
            _named("baseline", "what each spectrum has besides its phase", self.baseline),
            styles=WRAPPED,
        )
        make = Row(
            button("Make new maps", self.make, kind="primary"),
            self.back,
            self.forth,
            button("Start over", self.reset),
            styles=WRAPPED,
        )
        return Column(
            *(of_drawing, energies, choices, self.moved.layout(), self.words, make),
            sizing_mode="stretch_width",
        )

    def show(self, scene: Scene) -> None:
        """Offer the energies of a scene; what was drawn or moved is of one field only."""
        if self._scene is not None and not scene.shows_same_field(self._scene):
            self._drawing.pop(MASK, None)
            self._titles.pop("mask", None)
            self.moved.set({})
            self._write()
        self._scene = scene
        number = 0 if scene.result is None else scene.result.number
        self.back.disabled = self._undo.before(number) is None
        self.forth.disabled = self._undo.after(number) is None
        self.moved.set(self.moved.moves, applied=self._made.get(number, _NOTHING)[-1])
        maps = scene.result.base if scene.result is not None else None
        energies = scene.energies_ev if maps is None else maps.energies_ev
        offered = [f"{energy:.2f}" for energy in energies]
        if offered != self._offered:
            self._offered = offered
            kept = [name for name in self.left_out.value if name in offered]
            self.left_out.update(options=offered, value=kept)

    def make(self) -> None:
        """Make new maps of the result that is shown."""
        result = None if self._scene is None else self._scene.result
        if result is None:
            self._board.say(note="There are no maps to change yet; wait for the scan to end.")
            return
        changes, titles = self._changed(result)
        if self.moved.moves and self._map_again is None:
            self._board.say(note=_NO_IMAGES)
            return
        if not changes:
            self._board.say(note="Nothing was changed: choose a box, an energy or an offset.")
            return
        settings = self._now()

        def made(number: int) -> None:
            kept = {result.number for result in self._board.now.results}
            for old in self._made.keys() - kept:
                self._made[old] = _NOTHING  # it may hold a large mask
            self._made[number] = settings
            self._undo.made(number, after=result.number)
            self._then(number)

        remake = self._map_again if self.moved.moves else None
        self._board.redo(result, changes, ", ".join(titles.values()), made, remake)

    def _changed(self, result: Result) -> tuple[dict[str, Any], dict[str, str]]:
        """Return the changes of the recipe, and their titles."""
        changes, titles = dict(self._drawing), dict(self._titles)
        recipe = result.base.provenance.get("recipe_values", {})
        energies = dict(zip(self._offered, result.base.energies_ev, strict=False))
        left_out = [energies[name] for name in self.left_out.value if name in energies]
        if left_out:
            before = recipe.get("exclude_energies_ev") or ()
            changes["exclude_energies_ev"] = (*before, *left_out)
            titles["exclude"] = "without " + ", ".join(f"{e:.2f}" for e in left_out) + " eV"
        offset_ev = float(self.offset.value or 0.0)
        if offset_ev != float(recipe.get("energy_offset_ev", 0.0)) and (
            offset_ev or "offset" in self._titles
        ):
            changes["energy_offset_ev"] = offset_ev
            titles["offset"] = f"energies {offset_ev:+g} eV"
        for choice, name in ((self.method, "method"), (self.baseline, "baseline")):
            if choice.value:
                changes[f"resolver.{name}"] = choice.value
                titles[name] = f"{name}: {dict(choice.options)[choice.value]}"
        if self.moved.moves:
            changes[SHIFTS] = self.moved.shifts(result.base)
            titles["moved"] = self.moved.title()
        return changes, titles

    def reset(self) -> None:
        """Discard all changes."""
        self._drawn.clear()
        self._set(_NOTHING)

    def _now(self) -> Settings:
        choices = self.method.value, self.baseline.value
        left_out, offset_ev = list(self.left_out.value), float(self.offset.value or 0.0)
        drawing = dict(self._drawing), dict(self._titles)
        return *drawing, left_out, offset_ev, *choices, dict(self.moved.moves)

    def _set(self, settings: Settings) -> None:
        drawing, titles, left_out, self.offset.value, method, baseline, moves = settings
        self._drawing, self._titles = dict(drawing), dict(titles)
        self.left_out.value = list(left_out)
        self.method.value, self.baseline.value = method, baseline
        self.moved.set(moves)
        self._write()

    def _go(self, step: Callable[[int], int | None]) -> None:
        """Show the maps before or after those that are shown, and their settings."""
        result = None if self._scene is None else self._scene.result
        number = None if result is None else step(result.number)
        if result is None or number is None:
            return
        other = self._kept(result, number)
        if other is None:
            self._board.say(note="The maps of that step are no longer kept in memory.")
            return
        self._set(self._made.get(number, _NOTHING))
        self._then(other.number)

    def _kept(self, result: Result, number: int) -> Result | None:
        """Return a result by number; for maps of a scan that were refined since, these."""
        results = self._board.now.results
        kept = [other for other in results if other.number == number]
        if not kept and number not in self._made:
            kept = [r for r in results if r.origin == "live" and r.maps.key == result.maps.key]
        return kept[-1] if kept else None

    def _take_i0(self) -> None:
        box = self._drawn.box_um
        if box is None:
            self._board.say(note=_NOTHING_DRAWN)
            return
        x0, x1, y0, y1 = box
        self._drawing["i0.region"] = box
        self._titles["i0"] = f"I0 from x {x0:.2f} to {x1:.2f}, y {y0:.2f} to {y1:.2f} µm"
        self._drawn.clear()
        self._write()

    def _take_mask(self) -> None:
        corners = self._drawn.corners_um
        if corners is None or self._scene is None:
            self._board.say(note=_NOTHING_DRAWN)
            return
        inside = pixels_inside(corners, self._scene)
        if not self.whole.active:
            inside &= self._scene.specimen
        if not inside.any():
            self._board.say(note="There is no specimen in the drawn area.")
            return
        self._drawing[MASK] = inside
        self._titles["mask"] = f"only {int(inside.sum())} drawn pixels"
        self._drawn.clear()
        self._write()

    def _write(self) -> None:
        self.words.text = "; ".join(self._titles.values())


def _named(name: str, meaning: str, control: LayoutDOM) -> Row:
    """Return a control with its name before it, and its meaning as a tooltip."""
    return Row(html(f'<span title="{meaning}">{name}</span>', margin=(9, 6)), control)


def pixels_inside(corners: list[tuple[float, float]], scene: Scene) -> NDArray[np.bool_]:
    """Return the pixels whose centre lies in an outline, of shape (ny, nx)."""
    from skimage.measure import points_in_poly

    ny, nx = scene.specimen.shape
    x, _ = np.array([scene.centre_of(0, column) for column in range(nx)]).T
    _, y = np.array([scene.centre_of(row, 0) for row in range(ny)]).T
    points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    return np.asarray(points_in_poly(points, corners).reshape(ny, nx))
