"""Images that a user moves by hand, where the alignment failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.core.properties import Any as AnyValue
from bokeh.core.properties import List
from bokeh.events import DocumentReady
from bokeh.model import DataModel
from bokeh.models import CustomJS, LayoutDOM, Row, Toggle
from numpy.typing import NDArray

from stxm_live.dashboard.style import WRAPPED, html
from stxm_live.preprocessing.alignment.spline_shift import shifted

if TYPE_CHECKING:
    from bokeh.document import Document

    from stxm_live.core.phase_maps import PhaseMaps
    from stxm_live.dashboard.maps_panel import MapsPanel

STEP_PX, LARGE_STEP_PX = 0.25, 1.0

FARTHEST_PX = 100.0

Moves = dict[float, tuple[float, float]]
"""Rows and columns by which the image at an energy in eV is moved."""

_HINT = (
    "Arrow keys move the image (the first map) by a quarter of a pixel, with Shift by a whole one. "
    "The difference of two energies shows whether it lies on another one."
)

_LISTEN = """
let count = 0, last = 0;
document.addEventListener("keydown", (event) => {
  const step = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]};
  const from = event.composedPath()[0];
  const isField = from.matches !== undefined && from.matches("select, input, [role=slider]");
  if (!(event.key in step) || !toggle.active || isField) return;
  event.preventDefault();
  if (event.repeat && Date.now() - last < 100) return;  // a large image takes a while to move
  last = Date.now();
  keys.pressed = [count++, ...step[event.key], event.shiftKey];
});
"""


class Keys(DataModel):  # type: ignore[misc]
    """The arrow key that was pressed last: a number, steps in x and y, and whether with Shift."""

    pressed = List(AnyValue, default=[])


class MovedImages:
    """The images that were moved by hand, and the switch for the arrow keys.

    Parameters
    ----------
    maps : MapsPanel
        Shows the images as they are moved.

    Attributes
    ----------
    moves : dict
        Rows and columns by which images are moved, in addition to their shifts.
    """

    def __init__(self, maps: MapsPanel) -> None:
        self._maps = maps
        self.moves: Moves = {}
        self._applied: Moves = {}
        self.keys = Keys()
        self.keys.on_change("pressed", self._on_key)
        self.switch = Toggle(label="Move an image", name="move-image", tags=[self.keys])
        self.switch.visible = False  # until the browser reports its arrow keys
        self.switch.on_change("active", lambda attr, old, new: self._write())
        self.words = html("", "small", margin=(9, 6))

    def layout(self) -> LayoutDOM:
        """Return the switch and what was moved."""
        return Row(self.switch, self.words, styles=WRAPPED)

    def listen(self, doc: Document) -> None:
        """Let the browser report its arrow keys."""
        self.switch.visible = True
        args = {"keys": self.keys, "toggle": self.switch}
        doc.js_on_event(DocumentReady, CustomJS(args=args, code=_LISTEN))

    def set(self, moves: Moves, applied: Moves | None = None) -> None:
        """Move these images; those of the maps shown have been moved by ``applied``."""
        self.moves = dict(moves)
        self._applied = self._applied if applied is None else dict(applied)
        left = {k: self._left(k) for k in {**self.moves, **self._applied}}
        self._maps.move_images({k: by for k, by in left.items() if by != (0.0, 0.0)})
        self._write()

    def title(self) -> str:
        """Return the moves in words; empty if there are none."""
        return "; ".join(
            f"image at {energy_ev:.2f} eV moved by {y:+g} rows, {x:+g} columns"
            for energy_ev, (y, x) in sorted(self.moves.items())
        )

    def shifts(self, maps: PhaseMaps) -> NDArray[np.float64]:
        """Return lines (n, 3) of energy in eV and shift in y and x in px, moves included."""
        moved = maps.shifts_px.copy()
        for energy_ev, by in self.moves.items():
            if energy_ev in maps.energies_ev:
                moved[maps.energies_ev.index(energy_ev)] += by
        return np.column_stack([maps.energies_ev, moved])

    def _left(self, energy_ev: float) -> tuple[float, float]:
        both = self.moves, self._applied
        (y, x), (y0, x0) = (moves.get(energy_ev, (0.0, 0.0)) for moves in both)
        return y - y0, x - x0

    def _on_key(self, attr: str, old: list[Any], new: list[Any]) -> None:
        scene = self._maps.scene
        if scene is None or scene.maps is None or len(new) != 4 or not self.switch.active:
            return
        right, up = new[1:3]
        if right not in (-1, 0, 1) or up not in (-1, 0, 1):
            return
        step = LARGE_STEP_PX if new[3] else STEP_PX
        field, k = scene.field, scene.energies_ev[self._maps.energy_shown]
        y, x = self.moves.get(k, (0.0, 0.0))
        y += step * up * np.sign(field.y_last - field.y_first)
        x += step * right * np.sign(field.x_last - field.x_first)
        y, x = (float(np.clip(each, -FARTHEST_PX, FARTHEST_PX)) for each in (y, x))
        moves = {**self.moves, k: (y, x)}
        self.set({k: by for k, by in moves.items() if by != (0.0, 0.0)})

    def _write(self) -> None:
        self.words.text = self.title() or (_HINT if self.switch.active else "")


def with_moves(
    od: NDArray[np.float32], energies_ev: tuple[float, ...], moves: Moves
) -> NDArray[np.float32]:
    """Return a cube (n_energies, ny, nx) with some images moved, to look at."""
    seen = od.copy()
    for k, energy_ev in enumerate(energies_ev):
        if energy_ev in moves:
            seen[k] = shifted(seen[k], moves[energy_ev])
    return seen
