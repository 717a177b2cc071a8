"""Positions on the live figure: text has a fixed size, the panels share the remaining space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from stxm_live.plotting.style.lettering import FONT, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE_IN = (15.6, 8.9)
"""Width and height in inches at which text has its natural size."""

CONTROL = "control"
"""The gid of axes that hold a slider or a box instead of a panel; they stay on every redraw."""

_PANEL = "panel "
"""First part of the gid of a panel's axes."""

# inches at the natural size, in order from left to right and from top to bottom
_LEFT, _RIGHT = 0.75, 0.85
_HEADER, _ABOVE, _BELOW_IMAGES, _BELOW_CURVES, _FOOTER = 1.08, 0.52, 0.82, 0.45, 0.38
_IMAGES_SHARE = 0.25, 0.62
"""Smallest and largest share of the panels' height that the images take."""

_LABELS = 0.5
"""Height in inches of the ticks and the label below an image; the slider is below them."""

_SMALLEST, _LARGEST = 0.68, 2.0

AxesBounds = tuple[float, float, float, float]
"""Left, bottom, width and height as parts of the figure."""


class LiveAxes(NamedTuple):
    """The axes of the six panels; the fifth has two."""

    image: Axes
    phases: Axes
    ambiguity: Axes
    spectra: Axes
    drift: Axes
    counts: Axes
    energies: Axes


def text_scale(figure: Figure) -> float:
    """Return the size of text relative to its natural size: below 1 on a small figure."""
    width, height = figure.get_size_inches()
    return float(min(max(min(width / SIZE_IN[0], height / SIZE_IN[1]), _SMALLEST), _LARGEST))


def live_axes(figure: Figure, aspect: float, *, sixth: str) -> LiveAxes:
    """Return axes for images of this height over width, with the curves below them.

    Axes that exist already are emptied and used again, because new axes and ticks are slow to
    make. ``sixth`` names what the sixth panel shows; for something else it gets new axes.
    """
    images, curves = _rows(figure, aspect)
    cells = [_cell(figure, column, *images) for column in range(3)]
    cells.append(_cell(figure, 0, *curves))
    left, bottom, width, height = _cell(figure, 1, *curves)
    half = 0.46 * height
    cells += [(left, bottom + height - half, width, half), (left, bottom, width, half)]
    cells.append(_cell(figure, 2, *curves))
    names = [_PANEL + name for name in (*LiveAxes._fields[:-1], sixth)]
    remove_panels(figure, but=names)
    kept = {str(ax.get_gid()): ax for ax in figure.axes}
    return LiveAxes(
        *(_placed(figure, kept, name, cell) for name, cell in zip(names, cells, strict=True))
    )


def cleared(figure: Figure) -> None:
    """Remove everything but the panels' axes and the controls, which the user may be holding."""
    others = (figure.texts, figure.legends, figure.artists, figure.patches)
    sides = [ax for ax in figure.axes if not str(ax.get_gid()).startswith((CONTROL, _PANEL))]
    for artist in (*sides, *(artist for kind in others for artist in kind)):
        artist.remove()
    for ax in figure.axes:
        if ax.get_gid() != CONTROL:
            _empty(ax)


def remove_panels(figure: Figure, but: Sequence[str] = ()) -> None:
    """Remove all axes but controls and those of these gids."""
    for ax in figure.axes:
        if ax.get_gid() != CONTROL and ax.get_gid() not in but:
            ax.remove()


def _empty(ax: Axes) -> None:
    """Remove a panel's content; keep axis and ticks, which are slow to make."""
    legend = ax.get_legend()
    if legend is not None:
        legend.remove()
    for artist in (*ax.lines, *ax.images, *ax.collections, *ax.patches, *ax.texts, *ax.artists):
        artist.remove()
    ax.set_aspect("auto")
    ax.set_autoscale_on(True)
    ax.relim()


def _placed(figure: Figure, kept: dict[str, Axes], gid: str, box: AxesBounds) -> Axes:
    ax = kept.get(gid)
    if ax is None:
        return figure.add_axes(box, gid=gid)
    ax.set_position(box)
    return ax


def slider_boxes(ax: Axes) -> tuple[AxesBounds, AxesBounds]:
    """Return the places of the slider, below the axes of an image, and of the box beside it."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    scale = text_scale(figure)
    left, bottom, width, _ = ax.get_position(original=True).bounds
    figure_width, figure_height = figure.get_size_inches()
    low = bottom - 0.8 * scale / figure_height
    high = 0.26 * scale / figure_height
    gap, side = 0.16 * scale / figure_width, 0.72 * scale / figure_width
    return (left, low, width, high), (left + width + gap, low, side, high)


def panel_box(ax: Axes) -> AxesBounds:
    """Return the area of the panel in the first row and column, with titles and axis labels."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    scale = text_scale(figure) / figure.get_figheight()
    _, bottom, _, height = ax.get_position(original=True).bounds
    low = bottom - _LABELS * scale
    return (0.0, low, 1 / 3, bottom + height + _ABOVE * scale - low)


def panel_width_in(figure: Figure) -> float:
    """Return the width in inches that a panel's titles may take, to the edge of its cell."""
    return float(figure.get_figwidth() / 3 - (_LEFT + 0.1) * text_scale(figure))


def _rows(figure: Figure, aspect: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return bottom and height of the images and of the curves, in inches."""
    scale = text_scale(figure)
    around = scale * (_HEADER + 2 * _ABOVE + _BELOW_IMAGES + _BELOW_CURVES + _FOOTER)
    free = max(0.5, figure.get_figheight() - around)
    needed = aspect * (figure.get_figwidth() / 3 - scale * (_LEFT + _RIGHT))
    least, most = _IMAGES_SHARE
    of_images = min(max(needed, least * free), most * free)
    curves = scale * (_FOOTER + _BELOW_CURVES), free - of_images
    return (sum(curves) + scale * (_ABOVE + _BELOW_IMAGES), of_images), curves


def _cell(figure: Figure, column: int, bottom_in: float, height_in: float) -> AxesBounds:
    scale = text_scale(figure)
    figure_width, figure_height = figure.get_size_inches()
    cell = figure_width / 3
    return (
        (column * cell + scale * _LEFT) / figure_width,
        bottom_in / figure_height,
        (cell - scale * (_LEFT + _RIGHT)) / figure_width,
        height_in / figure_height,
    )


def fit_text(figure: Figure, axes: LiveAxes) -> None:
    """Scale the text of all panels to the size of the figure; cut titles at the cell's edge."""
    scale, width_in = text_scale(figure), panel_width_in(figure)
    for ax in axes:
        for text in ax.texts:
            if text.get_gid() in ("title", "subtitle"):
                letter = 0.66 if text.get_gid() == "title" else 0.57
                letter_in = letter * float(text.get_fontsize()) * scale / 72
                text.set_text(plain(text.get_text(), max(8, int(width_in / letter_in))))
    if scale == 1.0:
        return
    for ax in figure.axes:
        if ax.get_gid() != CONTROL:
            _scale_axes(ax, scale)


def _scale_axes(ax: Axes, scale: float) -> None:
    from matplotlib.text import Annotation
    from matplotlib_scalebar.scalebar import ScaleBar

    for text in (*ax.texts, ax.xaxis.label, ax.yaxis.label):
        text.set_fontsize(float(text.get_fontsize()) * scale)
        if isinstance(text, Annotation):
            text.xyann = (text.xyann[0] * scale, text.xyann[1] * scale)
    ax.tick_params(labelsize=8 * scale)
    for artist in ax.artists:
        if isinstance(artist, ScaleBar):
            artist.font_properties = {"size": 8 * scale, "family": FONT}
