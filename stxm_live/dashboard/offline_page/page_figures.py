"""The Bokeh figures of a page without any data; the page's script fills them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stxm_live.plotting.panels.spectra import scaled_to
from stxm_live.plotting.style.grounds import LIGHT_GROUND, on_ground
from stxm_live.plotting.style.palette import AMBIGUOUS, FAINT, GROUND, INK, UNIDENTIFIED
from stxm_live.plotting.style.raster import FieldOfView

if TYPE_CHECKING:
    import xarray
    from bokeh.models import Range1d
    from bokeh.plotting import figure

BAND: Mapping[str, Any] = {"fill_color": UNIDENTIFIED, "fill_alpha": 0.35}
"""Color of the band for the scatter of pixels that were not identified."""

PALE_INK = "#dfe3e8"
"""Color of texts and grids on a dark ground."""

_WIDTH_PX = 300
_SPECTRUM_PX = 310
"""The widest that a phone shows without scrolling, with its axis."""

_HEIGHTS_PX = (100, 520)


def map_figures(names: tuple[str, ...], field: FieldOfView) -> dict[str, figure]:
    """Return a figure for each map, all moving together, with a marked pixel and a scale bar."""
    from bokeh.models import ColumnDataSource, Range1d

    x_range = Range1d(*sorted(field[:2]))
    y_range = Range1d(*sorted(field[2:4]))
    marks = {
        name: ColumnDataSource({"x": [], "y": []}, name=f"{name}-mark") for name in ("hover", "pin")
    }
    return {name: _map_figure(name, field, x_range, y_range, marks) for name in names}


def _map_figure(
    name: str, field: FieldOfView, x_range: Range1d, y_range: Range1d, marks: dict[str, Any]
) -> figure:
    from bokeh.models import ColumnDataSource
    from bokeh.plotting import figure

    plot = figure(
        name=name,
        x_range=x_range,
        y_range=y_range,
        frame_width=_WIDTH_PX,
        frame_height=int(np.clip(_WIDTH_PX * field.aspect, *_HEIGHTS_PX)),
        match_aspect=True,
        tools="box_zoom,wheel_zoom,pan,reset",
        active_drag="box_zoom",
        active_scroll=None,
        toolbar_location="above",
    )
    # the script replaces this pixel by an image of the true shape
    pixel = np.zeros((1, 1), dtype=np.uint32)
    plot.image_rgba(
        "image",
        x=min(field[:2]),
        y=min(field[2:4]),
        dw=abs(field.x_last - field.x_first),
        dh=abs(field.y_last - field.y_first),
        source=ColumnDataSource({"image": [pixel]}, name=f"{name}-image"),
    )
    add_mark(plot, marks["hover"])
    add_mark(plot, marks["pin"], AMBIGUOUS, "circle_cross")
    unit = "µm" if field.unit == "um" else "pixel"
    style_plot(plot, f"x ({unit})", f"y ({unit})")
    if field.unit == "um":
        add_scale_bar(plot, x_range)
    return plot


def add_mark(plot: Any, source: Any, color: str = "#ffffff", marker: str = "circle") -> None:
    """Mark the pixels of a source with columns x and y; the mouse's own in white."""
    plot.scatter(
        "x",
        "y",
        source=source,
        size=13,
        marker=marker,
        fill_alpha=0,
        line_color=color,
        line_width=1.6,
    )


def add_scale_bar(plot: figure, x_range: Range1d) -> None:
    """Add a scale bar in the lower right corner, for an axis in um."""
    from bokeh.models import MetricLength, ScaleBar

    plot.add_layout(
        ScaleBar(
            range=x_range,
            unit="µm",
            dimensional=MetricLength(),
            location="bottom_right",
            bar_length=0.15,
            padding=5,
            margin=5,
            label_standoff=2,
            bar_line_color="white",
            bar_line_width=3,
            label_text_color="white",
            background_fill_color="black",
            background_fill_alpha=0.45,
            border_line_color=None,
        )
    )


def spectrum_figure(energies_ev: Sequence[float], colors: list[str]) -> figure:
    """Return a figure of a pixel's spectrum over the references, from first to last energy."""
    from bokeh.models import ColumnDataSource, Range1d

    plot = _energy_figure("spectrum", energies_ev, _SPECTRUM_PX)
    plot.y_range = Range1d(0.0, 1.0)
    nothing: list[list[float]] = [[] for _ in colors]
    seen = [on_ground(color, LIGHT_GROUND) for color in colors]
    lines = ColumnDataSource(
        {"xs": nothing, "ys": nothing, "color": seen, "width": [1.5] * len(colors)},
        name="references",
    )
    plot.multi_line("xs", "ys", line_color="color", line_width="width", source=lines)
    pixel = ColumnDataSource({"x": [], "y": []}, name="pixel")
    plot.line("x", "y", source=pixel, line_color=INK, line_width=1.0)
    plot.scatter(
        "x",
        "y",
        source=pixel,
        size=point_size(len(energies_ev)),
        fill_color=INK,
        line_color=GROUND,
    )
    style_plot(plot, "photon energy (eV)", "optical density", LIGHT_GROUND)
    return plot


def unidentified_figure(dataset: xarray.Dataset, colors: list[str]) -> figure:
    """Return a figure of the mean of the unidentified pixels over the references scaled to it."""
    energies = dataset["energy_ev"].values
    mean, scatter, std = (
        dataset[f"unidentified_{n}"].values for n in ("od", "od_scatter", "od_std")
    )
    plot = _energy_figure("unidentified", energies.tolist(), _WIDTH_PX)
    plot.varea(energies, mean - scatter, mean + scatter, **BAND)
    for reference, color in zip(dataset["reference_od"].values, colors, strict=True):
        scaled = scaled_to(reference, mean, np.isfinite(mean))
        plot.line(energies, scaled, line_color=on_ground(color, LIGHT_GROUND), line_width=1.5)
    plot.line(energies, mean, line_color=on_ground(UNIDENTIFIED, LIGHT_GROUND), line_width=2.5)
    plot.segment(energies, mean - std, energies, mean + std, line_color=INK, line_width=2)
    style_plot(plot, "photon energy (eV)", "optical density", LIGHT_GROUND)
    return plot


def _energy_figure(name: str, energies_ev: Sequence[float], width_px: int) -> figure:
    """Return an empty figure from the first to the last energy."""
    from bokeh.models import Range1d
    from bokeh.plotting import figure

    first, last = energies_ev[0], energies_ev[-1]
    margin = 0.03 * abs(last - first) or 1.0
    return figure(
        name=name,
        frame_width=width_px,
        frame_height=210,
        x_range=Range1d(first - margin, last + margin),
        tools="box_zoom,pan,reset",
        toolbar_location="above",
    )


def point_size(n_energies: int) -> int:
    """Return the size of points in px: small where they would hide the curves below."""
    return 6 if n_energies <= 40 else 3


_WITHOUT_EDGE = ".bk-Canvas { clip-path: inset(1px 0 0 1px); }"
"""Hides the first row and column of a plot: Bokeh covers them by half, and old colors remain."""


def style_plot(plot: Any, x_label: str, y_label: str, ground: str = GROUND) -> None:
    """Set small labels, thin ticks and the background, a dark one for maps."""
    plot.toolbar.logo = None
    plot.toolbar.autohide = True
    plot.background_fill_color = ground
    plot.border_fill_color = None
    plot.stylesheets = [_WITHOUT_EDGE]
    plot.grid.visible = plot.name in ("spectrum", "unidentified")
    plot.grid.grid_line_alpha = 0.15
    plot.grid.grid_line_color = PALE_INK if ground == GROUND else INK
    plot.outline_line_color = FAINT
    plot.xaxis.axis_label, plot.yaxis.axis_label = x_label, y_label
    for axis in (plot.xaxis, plot.yaxis):
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_color = INK
        axis.major_label_text_color = INK
        axis.axis_label_standoff = 4
        axis[0].ticker.desired_num_ticks = 5
