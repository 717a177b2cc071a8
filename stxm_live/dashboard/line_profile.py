"""A line that is drawn on a map, and the values along it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.models import ColumnDataSource, CustomJS
from numpy.typing import NDArray

from stxm_live.plotting.style.palette import GROUND

if TYPE_CHECKING:
    from bokeh.models import RadioButtonGroup

    from stxm_live.dashboard.scene import Scene

MOST_ACROSS = 50
"""Largest number of pixels across a line whose mean is taken."""

Ends = tuple[tuple[float, float], tuple[float, float]]
"""x, y of the first and of the last point."""

_DRAW = """
if (drag.active != mode) return;
if (cb_obj.event_name == "panstart") line._from = [cb_obj.x, cb_obj.y];
if (line._from == null) return;
line._next = {x: [line._from[0], cb_obj.x], y: [line._from[1], cb_obj.y]};
const show = () => { line._timer = null; line.data = line._next; };
if (cb_obj.event_name == "panend") { clearTimeout(line._timer); show(); line._from = null; }
else if (line._timer == null) line._timer = setTimeout(show, wait_ms);
"""

_LONGEST = 4
"""Longest line that is followed, in times the rows and columns of the image."""

_WAIT_MS = 60
"""Shortest time in ms between two reports of the line while it is drawn."""


class Line:
    """The line that a user drew, the same on all maps.

    Attributes
    ----------
    source : ColumnDataSource
        Columns x and y with the first and the last point, empty without a line.
    """

    def __init__(self) -> None:
        self.source = ColumnDataSource({"x": [], "y": []}, name="drawn-line")

    @property
    def ends(self) -> Ends | None:
        """Return the first and the last point; None if no line is drawn."""
        x, y = (list(self.source.data[name]) for name in ("x", "y"))
        if len(x) != 2 or len(y) != 2 or not np.isfinite([*x, *y]).all():
            return None
        return (float(x[0]), float(y[0])), (float(x[1]), float(y[1]))

    def show(self, first: tuple[float, float], last: tuple[float, float]) -> None:
        """Show another line."""
        self.source.data = {"x": [first[0], last[0]], "y": [first[1], last[1]]}

    def clear(self) -> None:
        """Remove the line."""
        self.source.data = {"x": [], "y": []}

    def place_on(self, plot: Any) -> None:
        """Show it on a map: a light line on a wider dark one, with a dot at its beginning."""
        for color, width in ((GROUND, 6), ("white", 2)):
            plot.line("x", "y", source=self.source, line_color=color, line_width=width)
        plot.scatter("x", "y", source=self.source, size=5, color="white")

    def draw_on(self, plot: Any, drag: RadioButtonGroup, mode: int) -> None:
        """Draw it by dragging on a map while a mode of dragging is chosen."""
        args = {"line": self.source, "drag": drag, "mode": mode, "wait_ms": _WAIT_MS}
        for event in ("panstart", "pan", "panend"):
            plot.js_on_event(event, CustomJS(args=args, code=_DRAW))


def profile(
    scene: Scene, values: NDArray[np.floating], ends: Ends, width_px: int = 1
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return distances along a line, in the field's unit, and the values there.

    Parameters
    ----------
    scene : Scene
    values : ndarray of shape (ny, nx)
    ends : pair of points
        In the field's unit.
    width_px : int
        Pixels across the line whose mean is taken.

    Returns
    -------
    distance, value : ndarray of shape (n,)
        Points one pixel apart; NaN outside of the image and where nothing is measured. Nothing for
        a line that is much longer than the image.
    """
    from skimage.measure import profile_line

    (x0, y0), (x1, y1) = ends
    first, last = (_row_column(scene, x, y) for x, y in ends)
    if np.hypot(first[0] - last[0], first[1] - last[1]) > _LONGEST * sum(values.shape):
        return np.zeros(0), np.zeros(0)
    along = profile_line(
        np.asarray(values, dtype=np.float64),
        first,
        last,
        linewidth=min(max(width_px, 1), MOST_ACROSS),
        order=1,
        mode="constant",
        cval=np.nan,
        reduce_func=_mean,
    )
    return np.linspace(0.0, float(np.hypot(x1 - x0, y1 - y0)), len(along)), along


def _mean(values: NDArray[np.float64]) -> float:
    """Return the mean of the values across a line that are known."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def _row_column(scene: Scene, x: float, y: float) -> tuple[float, float]:
    """Return a point in pixels; whole numbers are the centres of pixels."""
    ny, nx = scene.specimen.shape
    field = scene.field
    row = (y - field.y_first) / (field.y_last - field.y_first) * ny - 0.5
    column = (x - field.x_first) / (field.x_last - field.x_first) * nx - 0.5
    return round(row, 6), round(column, 6)  # or 30 pixels would be 30.000001, and one more
