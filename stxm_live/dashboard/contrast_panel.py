"""Histogram and contrast of a map that is shown, and its values along a drawn line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.models import (
    BoxAnnotation,
    Column,
    ColumnDataSource,
    LayoutDOM,
    Range1d,
    RangeSlider,
    Row,
    Spinner,
)
from bokeh.plotting import figure
from numpy.typing import NDArray

from stxm_live.core.even_selection import at_most
from stxm_live.dashboard.energy_plot import EnergyPlot
from stxm_live.dashboard.line_profile import MOST_ACROSS, profile
from stxm_live.dashboard.offline_page.page_figures import style_plot
from stxm_live.dashboard.style import WRAPPED, button, html, select
from stxm_live.plotting.style.palette import FAINT

if TYPE_CHECKING:
    from stxm_live.dashboard.layers import Layer
    from stxm_live.dashboard.maps_panel import MapsPanel

N_BINS = 80

_STEPS = 400
"""Steps of the slider from the least to the largest value."""

_MOST_COUNTED = 2**18
"""Larger images are counted at every second, third ... pixel."""

_DRAW = "Choose “Draw a line” above and drag on a map for the values along it."
_NO_NUMBERS = "This map shows no single number: choose another one above it."

_MAPS = (("od", "the image"), ("doubt", "the third map"))


class ContrastPanel:
    """Histogram, contrast limits and line profile of the image or of the third map.

    Parameters
    ----------
    maps : MapsPanel
    """

    title = "Contrast and profile"

    def __init__(self, maps: MapsPanel) -> None:
        self._maps = maps
        self._known: tuple[Any, ...] = ()
        self._is_filling = False
        self.of = select(_MAPS, lambda _: self.look(), "contrast-of", width=180)
        self.slider = RangeSlider(
            start=0.0,
            end=1.0,
            value=(0.0, 1.0),
            step=1 / _STEPS,
            title="dark to bright",
            format="0[.]000",
            name="contrast",
            sizing_mode="stretch_width",
            margin=(2, 18),
        )
        self.slider.on_change("value_throttled", lambda attr, old, new: self._limit(new))
        self.width = Spinner(
            value=1, low=1, high=MOST_ACROSS, step=1, width=72, name="profile-width"
        )
        named = html("mean across the line (pixels)", margin=(9, 6))
        self.across = Row(named, self.width, visible=False)
        self.words = html("", "small", sizing_mode="stretch_width")
        self.below = html(_DRAW, "small", sizing_mode="stretch_width")
        self.line = EnergyPlot("profile", "", 165, "distance (µm)")
        self._make_histogram()

    def _make_histogram(self) -> None:
        self.bars = ColumnDataSource({"left": [], "right": [], "top": []}, name="histogram")
        self.shown = BoxAnnotation(left=0, right=1, fill_alpha=0.3, fill_color=FAINT)
        self.histogram = figure(
            name="histogram-plot",
            height=120,
            sizing_mode="stretch_width",
            x_range=Range1d(0, 1),
            y_range=Range1d(0, 1),
            toolbar_location=None,
            tools="",
            min_border_right=12,
        )
        self.histogram.quad(
            left="left", right="right", bottom=0, top="top", source=self.bars, color="#9aa4b0"
        )
        self.histogram.add_layout(self.shown)
        style_plot(self.histogram, "", "")
        self.histogram.yaxis.visible = False

    def layout(self) -> LayoutDOM:
        """Return the panel."""
        choice = Row(
            Row(html("of", margin=(9, 6)), self.of),
            button("Automatic contrast", lambda: self._maps.set_limits(self.of.value, None)),
            styles=WRAPPED,
        )
        return Column(
            *(
                choice,
                self.words,
                self.histogram,
                self.slider,
                self.below,
                self.line.plot,
                self.across,
            ),
            sizing_mode="stretch_width",
        )

    @property
    def plots(self) -> list[figure]:
        """Return the two figures."""
        return [self.histogram, self.line.plot]

    def look(self) -> None:
        """Show histogram and profile of the map, if they have changed."""
        layer, ends = self._maps.layers.get(self.of.value), self._maps.line.ends
        known = (layer, ends, self.width.value)
        if known == self._known or layer is None:
            return
        is_other = not self._known or layer is not self._known[0]
        self._known = known
        if is_other:
            self._show_histogram(layer)
        self._show_profile(layer)

    def _show_histogram(self, layer: Layer) -> None:
        values = _finite(layer)
        self.slider.visible = self.histogram.visible = values.size > 0
        self.words.text = "" if values.size else _NO_NUMBERS
        if not values.size:
            return
        low, high = layer.limits
        start = min(float(values.min()), low)
        end = max(float(values.max()), high)
        end = end if end > start else start + 1.0
        counts, edges = np.histogram(values, N_BINS, (start, end))
        self.bars.data = {"left": edges[:-1], "right": edges[1:], "top": np.log1p(counts)}
        self.histogram.x_range.update(start=start, end=end)
        self.histogram.y_range.end = float(np.log1p(counts.max())) * 1.05
        self.histogram.xaxis.axis_label = _of_what(layer) + "; bars: pixels, logarithmic"
        self.shown.update(left=low, right=high)
        self._is_filling = True
        self.slider.update(start=start, end=end, step=(end - start) / _STEPS, value=(low, high))
        self._is_filling = False

    def _show_profile(self, layer: Layer) -> None:
        scene, ends = self._maps.scene, self._maps.line.ends
        self.below.visible = layer.values is not None
        self.line.plot.visible = self.across.visible = self.below.visible and ends is not None
        if scene is None or ends is None or layer.values is None or ends[0] == ends[1]:
            self.line.show([0.0, 1.0], [], [])
            self.below.text = _DRAW
            return
        asked = self.width.value
        width = int(asked) if asked is not None and 1 <= asked <= MOST_ACROSS else 1
        distance, values = profile(scene, layer.values, ends, width)
        if not distance.size:
            return
        unit = "µm" if scene.field.unit == "um" else "pixel"
        self.line.plot.xaxis.axis_label = f"distance ({unit})"
        self.line.plot.yaxis.axis_label = layer.unit or "value"
        self.line.show(distance.tolist(), [(values, "white", 1.5)], [])
        across = f", mean of {width} pixels across it" if width > 1 else ""
        self.below.text = f"from the first to the last point, {distance[-1]:.3g} {unit}{across}"

    def _limit(self, limits: tuple[float, float]) -> None:
        """Show the map from dark to bright between limits that the user chose."""
        if not self._is_filling:
            self._maps.set_limits(self.of.value, (float(limits[0]), float(limits[1])))


def _finite(layer: Layer) -> NDArray[np.floating]:
    """Return the values of a map that are numbers, not more than are worth counting."""
    if layer.values is None:
        return np.zeros(0)
    finite = np.asarray(layer.values[np.isfinite(layer.values)])
    return finite[at_most(_MOST_COUNTED, finite.size)]


def _of_what(layer: Layer) -> str:
    return f"value ({layer.unit})" if layer.unit else "value"
