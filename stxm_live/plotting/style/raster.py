"""Images in motor coordinates: orientation, ticks, scale bar, color bar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.plotting.style.lettering import FONT, PLAIN
from stxm_live.plotting.style.palette import FAINT, GROUND, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

Extent = tuple[float, float, float, float]
"""First and last pixel centre in x, then in y, in um; either may descend."""

_LARGEST_SHOWN = 1024

# Narrower fields have no room for a scale bar or for the label of a color bar; ticks and title
# give the same information.
_NARROWEST = 0.25


class FieldOfView(NamedTuple):
    """Position of an image: outer edges of its first and last pixels, and their unit."""

    x_first: float
    x_last: float
    y_first: float
    y_last: float
    unit: Literal["um", "px"]

    @property
    def aspect(self) -> float:
        """Height over width."""
        return abs((self.y_last - self.y_first) / (self.x_last - self.x_first))


def field_of_view(extent_um: Extent, shape: tuple[int, ...]) -> FieldOfView:
    """Return the field of an image of shape (ny, nx, ...), in pixels if the extent has no length.

    Examples
    --------
    >>> field_of_view((0.0, 3.0, 5.0, 3.0), (3, 4))
    FieldOfView(x_first=-0.5, x_last=3.5, y_first=5.5, y_last=2.5, unit='um')
    >>> field_of_view((0.0, 0.0, 0.0, 0.0), (3, 4)).unit
    'px'
    """
    ny, nx = shape[:2]
    x0, x1, y0, y1 = extent_um
    step_x = (x1 - x0) / (nx - 1) if nx > 1 else 0.0
    step_y = (y1 - y0) / (ny - 1) if ny > 1 else 0.0
    has_lengths = (step_x or nx == 1) and (step_y or ny == 1) and (step_x or step_y)
    if not has_lengths or not np.isfinite(extent_um).all():
        return FieldOfView(-0.5, nx - 0.5, -0.5, ny - 0.5, "px")
    # one line of pixels has no step of its own: square pixels
    half_x, half_y = (step_x or abs(step_y)) / 2, (step_y or abs(step_x)) / 2
    return FieldOfView(x0 - half_x, x1 + half_x, y0 - half_y, y1 + half_y, "um")


def draw_raster(ax: Axes, image: NDArray[Any], extent_um: Extent, **options: Any) -> AxesImage:
    """Show an image with x growing to the right and y upwards, in whatever order it was scanned.

    Parameters
    ----------
    image : ndarray of shape (ny, nx) or (ny, nx, 3)
        Row 0 and column 0 lie at the first values of ``extent_um`` in y and x.
    **options
        Passed to `matplotlib.axes.Axes.imshow`.
    """
    field = field_of_view(extent_um, image.shape)
    artist = ax.imshow(
        thinned(image),
        origin="lower",
        extent=field[:4],
        **{"interpolation": "nearest", **options},
    )
    ax.set_xlim(*sorted(field[:2]))
    ax.set_ylim(*sorted(field[2:4]))
    ax.set_aspect("equal", adjustable="box", anchor="NW")
    shown = "µm" if field.unit == "um" else "pixel"
    style_axes(ax, f"x ({shown})", f"y ({shown})")
    ax.locator_params(axis="x", nbins=5 if field.aspect < 2 else 3)
    ax.locator_params(axis="y", nbins=5 if field.aspect > 0.5 else 2)
    if _NARROWEST < field.aspect < 1 / _NARROWEST:
        _add_scale_bar(ax, field.unit)
    return artist


def thinned(image: NDArray[Any]) -> NDArray[Any]:
    """Return every second, third, ... row and column of an image larger than a screen."""
    stride = -(-max(image.shape[:2]) // _LARGEST_SHOWN)
    return image[::stride, ::stride]


def style_axes(ax: Axes, x_label: str, y_label: str) -> None:
    """Set small labels, thin ticks and a dark background."""
    ax.set_facecolor(GROUND)
    ax.set_xlabel(x_label, fontsize=8.5, color=INK, labelpad=2, **PLAIN)
    ax.set_ylabel(y_label, fontsize=8.5, color=INK, labelpad=3, **PLAIN)
    ax.tick_params(labelsize=8, colors=INK, color=FAINT, length=3, width=0.6, labelfontfamily=FONT)
    for spine in ax.spines.values():
        spine.set(color=FAINT, linewidth=0.6)


def _add_scale_bar(ax: Axes, unit: str) -> None:
    from matplotlib_scalebar.scalebar import ScaleBar

    dimension, name = ("si-length", "um") if unit == "um" else ("pixel-length", "px")
    ax.add_artist(
        ScaleBar(
            1,
            name,
            dimension,
            length_fraction=0.25,
            width_fraction=0.012,
            location="lower right",
            color="white",
            box_color="black",
            box_alpha=0.45,
            border_pad=0.5,
            pad=0.3,
            sep=3,
            font_properties={"size": 8, "family": FONT},
            scale_formatter=_length_in_words,
        )
    )


def _length_in_words(value: float, unit: str) -> str:
    """Return a length with its unit as plain text, where the scale bar would use a formula."""
    micro = "µm" if "mu" in unit else unit
    return f"{value:g} {micro}"


def add_colorbar(ax: Axes, artist: AxesImage, label: str, extend: str = "neither") -> None:
    """Draw a color bar as high as the image, directly to its right."""
    from mpl_toolkits.axes_grid1.inset_locator import inset_axes  # type: ignore[import-untyped]

    side = inset_axes(
        ax,
        width=0.13,
        height="100%",
        loc="lower left",
        bbox_to_anchor=(0.0, 0.0, 1.0, 1.0),
        bbox_transform=_right_of(ax, 0.1),
        borderpad=0,
    )
    bar = ax.figure.colorbar(artist, cax=side, extend=extend)
    if ax.get_data_ratio() > _NARROWEST:
        bar.set_label(label, fontsize=8.5, color=INK, **PLAIN)
    bar.outline.set(edgecolor=FAINT, linewidth=0.6)
    side.tick_params(labelsize=8, colors=INK, color=FAINT, length=3, width=0.6)


def _right_of(ax: Axes, gap_in: float) -> Any:
    """Return axes coordinates that begin a gap to the right of the axes."""
    from matplotlib.transforms import Affine2D, ScaledTranslation

    figure = ax.get_figure(root=True)
    assert figure is not None
    shift = ScaledTranslation(gap_in, 0, figure.dpi_scale_trans)
    return Affine2D().translate(1, 0) + ax.transAxes + shift
