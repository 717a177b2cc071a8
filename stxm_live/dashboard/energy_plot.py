"""Small plots over the photon energy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.models import BasicTickFormatter, ColumnDataSource, Range1d
from bokeh.plotting import figure
from numpy.typing import NDArray

from stxm_live.dashboard.offline_page.page_figures import BAND, point_size, style_plot
from stxm_live.plotting.style.grounds import on_ground
from stxm_live.plotting.style.palette import GROUND

Curve = tuple[NDArray[np.floating], str, float]
"""Values, color and width of a line."""

Points = tuple[NDArray[np.floating], str, str]
"""Values, color and marker of a row of points."""


class EnergyPlot:
    """A small plot over the photon energy.

    Parameters
    ----------
    name, label : str
    height_px : int
        Height with its axis; the width is that of the page's part.
    along : str
        Label of the axis of energies, or of what is in their place.
    """

    def __init__(
        self, name: str, label: str, height_px: int, along: str = "photon energy (eV)"
    ) -> None:
        self.plot = figure(
            name=name,
            height=height_px,
            sizing_mode="stretch_width",
            min_border_right=12,
            x_range=Range1d(0, 1),
            y_range=Range1d(0, 1),
            toolbar_location=None,
            tools="",
        )
        self._x: NDArray[np.float64] = np.zeros(0)
        self._curves: Sequence[Curve] = ()
        self._points: Sequence[Points] = ()
        nothing: dict[str, list[Any]] = {"xs": [], "ys": [], "color": [], "width": []}
        self.lines = ColumnDataSource(nothing, name=f"{name}-lines")
        self.points = ColumnDataSource(
            {"x": [], "y": [], "color": [], "marker": []}, name=f"{name}-points"
        )
        self.band = ColumnDataSource({"x": [], "low": [], "high": []}, name=f"{name}-band")
        self.plot.varea("x", "low", "high", source=self.band, **BAND)
        self.plot.multi_line("xs", "ys", line_color="color", line_width="width", source=self.lines)
        self._marks = self.plot.scatter(
            *("x", "y"),
            fill_color="color",
            marker="marker",
            line_color=GROUND,
            size=point_size(0),
            source=self.points,
        ).glyph
        style_plot(self.plot, along, label)
        self.plot.axis.visible = False
        self.plot.grid.visible = True
        self.plot.yaxis.formatter = BasicTickFormatter(power_limit_low=-5)
        for axis in (self.plot.xaxis, self.plot.yaxis):
            axis.axis_label_text_font_size = axis.major_label_text_font_size = "11px"
        self.plot.on_change("background_fill_color", lambda attr, old, new: self._draw())

    def show(
        self,
        energies_ev: Sequence[float],
        curves: Sequence[Curve],
        points: Sequence[Points],
        band: tuple[NDArray[np.float64], ...] = (),
    ) -> None:
        """Draw curves with color and width, points, and a band from low to high.

        NaN leaves a gap.
        """
        x = np.asarray(energies_ev, dtype=np.float64)
        _span(self.plot.x_range, x)
        _span(self.plot.y_range, *(y for y, _, _ in curves), *(y for y, *_ in points), *band)
        self.band.data = dict(
            zip(("x", "low", "high"), (x, *band) if band else ([],) * 3, strict=True)
        )
        self.plot.axis.visible = bool(curves or points)
        self._x, self._curves, self._points = x, curves, points
        self._draw()

    def _draw(self) -> None:
        """Draw lines and points in the colors for the ground of the plot."""
        x, points, ground = self._x, self._points, self.plot.background_fill_color
        size = point_size(len(x))
        self._marks.update(size=size, line_width=1.0 if size > 3 else 0.3)
        curves = [(y, on_ground(color, ground), width) for y, color, width in self._curves]
        self.lines.data = {
            "xs": [x] * len(curves),
            "ys": [np.asarray(y, dtype=np.float64) for y, _, _ in curves],
            "color": [color for _, color, _ in curves],
            "width": [width for _, _, width in curves],
        }
        self.points.data = {
            "x": np.concatenate([x] * len(points)) if points else [],
            "y": np.concatenate([np.asarray(y, np.float64) for y, *_ in points]) if points else [],
            "color": [on_ground(color, ground) for y, color, _ in points for _ in y],
            "marker": [marker for y, _, marker in points for _ in y],
        }


def _span(shown: Range1d, *values: NDArray[np.floating]) -> None:
    """Set a range to the finite values and a margin."""
    every = np.concatenate([np.asarray(v, dtype=np.float64) for v in values] or [np.zeros(0)])
    finite = every[np.isfinite(every)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    margin = 0.06 * (high - low) or max(0.05 * abs(high), 0.5)
    shown.update(start=low - margin, end=high + margin)
