"""The figures of a first look: spectra with error bars, and the scree plot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, Range1d, Span
from bokeh.plotting import figure

from stxm_live.dashboard.energy_plot import EnergyPlot
from stxm_live.dashboard.offline_page.page_figures import style_plot
from stxm_live.phase_mapping.exploration import Principal
from stxm_live.plotting.panels.scree import ABOVE, NOISE, n_shown
from stxm_live.plotting.style.grounds import on_ground
from stxm_live.plotting.style.palette import AMBIGUOUS, FAINT, GROUND
from stxm_live.preprocessing.reference_extraction import MeasuredSpectrum


class SpectraPlot(EnergyPlot):
    """Spectra with their standard errors."""

    def __init__(self) -> None:
        super().__init__("first-look-spectra", "optical density", 230)
        nothing: dict[str, list[Any]] = {"x": [], "low": [], "high": [], "color": []}
        self.errors = ColumnDataSource(nothing, name="first-look-errors")
        self._error_colors: list[str] = []
        self.plot.segment(
            "x", "low", "x", "high", line_color="color", line_width=2, source=self.errors
        )

    def draw(self, spectra: Sequence[MeasuredSpectrum], colors: Sequence[str]) -> None:
        """Draw spectra of one stack in their colors."""
        energies = spectra[0].energies_ev
        curves = [(each.od, color) for each, color in zip(spectra, colors, strict=True)]
        few = len(energies) <= 40
        points = [(od, color, "circle") for od, color in curves if few]
        self._error_colors = [color for color in colors for _ in energies]
        self.show(energies.tolist(), [(od, color, 1.5) for od, color in curves], points)
        std = np.array([np.zeros(len(energies)) if s.std is None else s.std for s in spectra])
        od = np.array([each.od for each in spectra])
        low, high = (od - std).ravel(), (od + std).ravel()
        self.errors.data = {
            "x": np.tile(energies, len(spectra)),
            "low": low,
            "high": high,
            "color": self._seen_error_colors(),
        }
        margin = 0.06 * (np.nanmax(high) - np.nanmin(low)) or 0.5
        self.plot.y_range.update(start=np.nanmin(low) - margin, end=np.nanmax(high) + margin)

    def _draw(self) -> None:
        super()._draw()
        seen = self._seen_error_colors()
        if len(self.errors.data["x"]) == len(seen):
            self.errors.data = {**self.errors.data, "color": seen}

    def _seen_error_colors(self) -> list[str]:
        return [on_ground(color, self.plot.background_fill_color) for color in self._error_colors]


class ScreePlot:
    """Variance of each principal component on a logarithmic scale, and the noise floor."""

    def __init__(self) -> None:
        self.plot = figure(
            name="scree",
            height=190,
            sizing_mode="stretch_width",
            min_border_right=12,
            x_range=Range1d(-0.5, 1),
            y_range=Range1d(0.1, 1),
            y_axis_type="log",
            toolbar_location=None,
            tools="",
        )
        self.points = ColumnDataSource({"x": [], "y": [], "color": []}, name="scree-points")
        self.plot.line("x", "y", line_color=FAINT, line_width=0.8, source=self.points)
        self.plot.scatter(
            "x", "y", fill_color="color", line_color=GROUND, size=8, source=self.points
        )
        self.floor = Span(dimension="width", line_color=AMBIGUOUS, line_dash=[6, 4], line_width=1.5)
        self.plot.add_layout(self.floor)
        style_plot(self.plot, "component, from 0", "variance")
        for axis in (self.plot.xaxis, self.plot.yaxis):
            axis.axis_label_text_font_size = axis.major_label_text_font_size = "11px"

    def draw(self, pca: Principal) -> None:
        """Draw the eigenvalues."""
        above, n = pca.n_above_noise, n_shown(pca)
        shown = np.maximum(pca.eigenvalues[:n], 1e-30)
        colors = [ABOVE if k < above else NOISE for k in range(n)]
        self.points.data = {"x": np.arange(n), "y": shown, "color": colors}
        floor = pca.noise_floor if pca.noise_floor > 0 else None
        self.floor.location = floor
        bottom = min(float(shown.min()), floor or np.inf) / 2
        top = 2 * float(shown[0])
        self.plot.x_range.update(start=-0.5, end=n - 0.5)
        self.plot.y_range.update(start=max(bottom, 1e-9 * top), end=top)
