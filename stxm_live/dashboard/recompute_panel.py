"""New maps with changes: another I0 box, a mask, energies left out, an energy offset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from bokeh.models import Checkbox, Column, LayoutDOM, MultiChoice, Row, Spinner
from numpy.typing import NDArray

from stxm_live.dashboard.drawing import Drawn
from stxm_live.dashboard.scene import Scene
from stxm_live.dashboard.state import MASK, Board
from stxm_live.dashboard.style import WRAPPED, button, html

_NOTHING_DRAWN = "Draw a box or an outline on a map first (choose it under “Dragging on a map”)."


class ChangesPanel:
    """Changes to the maps that are shown; the scan's own maps stay as they are.

    Parameters
    ----------
    board : Board
    drawn : Drawn
    then : callable
        Called with the number of the new result, on any thread.
    """

    def __init__(self, board: Board, drawn: Drawn, then: Callable[[int], None]) -> None:
        self._board, self._drawn, self._then = board, drawn, then
        self._scene: Scene | None = None
        self._drawing: dict[str, Any] = {}
        self._titles: dict[str, str] = {}
        self._offered: list[str] = []
        self.left_out = MultiChoice(
            options=[], value=[], width=215, placeholder="energies to leave out", name="left-out"
        )
        self.offset = Spinner(value=0.0, step=0.05, low=-5, high=5, width=90, name="offset")
        self.whole = Checkbox(label="include pixels without specimen", active=False)
        self.words = html("", "small", min_height=34, sizing_mode="stretch_width")

    def layout(self) -> LayoutDOM:
        """Return the panel."""
        of_drawing = Row(
            button("I0 from the drawn box", self._take_i0),
            button("Map only the drawn area", self._take_mask),
            styles=WRAPPED,
        )
        energies = Row(
            self.left_out,
            html(
                '<span title="true photon energy = nominal energy + offset">offset (eV)</span>',
                margin=(9, 2),
            ),
            self.offset,
            styles=WRAPPED,
        )
        make = Row(
            button("Make new maps", self.make, kind="primary"),
            button("Start over", self.reset),
            self.whole,
            styles=WRAPPED,
        )
        return Column(of_drawing, energies, self.words, make, sizing_mode="stretch_width")

    def show(self, scene: Scene) -> None:
        """Offer the energies of a scene."""
        self._scene = scene
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
        if not changes:
            self._board.say(note="Nothing was changed: choose a box, an energy or an offset.")
            return
        self._board.redo(result, changes, ", ".join(titles.values()), self._then)

    def reset(self) -> None:
        """Discard all changes."""
        self._drawing, self._titles = {}, {}
        self.left_out.value, self.offset.value = [], 0.0
        self._drawn.clear()
        self._write()

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


def pixels_inside(corners: list[tuple[float, float]], scene: Scene) -> NDArray[np.bool_]:
    """Return the pixels whose centre lies in an outline, of shape (ny, nx)."""
    from skimage.measure import points_in_poly

    ny, nx = scene.specimen.shape
    x, _ = np.array([scene.centre_of(0, column) for column in range(nx)]).T
    _, y = np.array([scene.centre_of(row, 0) for row in range(ny)]).T
    points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    return np.asarray(points_in_poly(points, corners).reshape(ny, nx))
