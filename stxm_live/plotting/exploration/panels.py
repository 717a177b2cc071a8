"""Panels of components, clusters and combined images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.plotting.reference_pictures import DASHES
from stxm_live.plotting.style.lettering import set_titles, side_legend
from stxm_live.plotting.style.palette import GROUND, crameri, heat
from stxm_live.plotting.style.raster import Extent, add_colorbar, draw_raster, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from stxm_live.phase_mapping.exploration import Principal

_POINTS = 5000
"""Most points of a scatter plot."""

_LOW, _HIGH = 2.0, 98.0
"""Percentiles that an image shows as dark and as bright."""


def draw_lines(
    ax: Axes,
    energies_ev: NDArray[np.float64],
    values: NDArray[np.float64],
    names: Sequence[str],
    colors: NDArray[np.float64],
    *,
    title: str,
    subtitle: str,
    label: str = "optical density",
    std: NDArray[np.float64] | None = None,
) -> None:
    """Draw spectra (n, n_energies) with error bars, and a legend in their order."""
    entries: list[tuple[Any, str]] = []
    dot = "." if len(energies_ev) <= 40 else ""
    for k, name in enumerate(names):
        (line,) = ax.plot(
            energies_ev,
            values[k],
            color=colors[k],
            linewidth=1.3,
            linestyle=DASHES[k % len(DASHES)],
            marker=dot,
            markersize=4,
        )
        if std is not None:
            ax.errorbar(
                energies_ev, values[k], std[k], color=colors[k], linewidth=0, elinewidth=0.8
            )
        entries.append((line, name))
    ax.margins(x=0.03, y=0.06)
    ax.grid(color="white", alpha=0.12, linewidth=0.5)
    style_axes(ax, "photon energy (eV)", label)
    set_titles(ax, title, subtitle)
    side_legend(ax, entries)


def draw_scatter(
    ax: Axes, pca: Principal, index: NDArray[np.intp], colors: NDArray[np.float64]
) -> None:
    """Draw the first two scores of each pixel in the color of its cluster."""
    step = -(-len(index) // _POINTS)
    x = pca.scores[::step, 0]
    y = pca.scores[::step, 1] if pca.scores.shape[1] > 1 else np.zeros_like(x)
    ax.scatter(x, y, s=4, c=colors[index[::step]], linewidths=0)
    entries: list[tuple[Any, str]] = [
        (ax.scatter([], [], s=24, color=color), f"cluster {k}") for k, color in enumerate(colors)
    ]
    ax.margins(0.05)
    style_axes(ax, "score of component 0", "score of component 1")
    set_titles(ax, "Scatter plot of the pixels", "one point per pixel, in the color of its cluster")
    side_legend(ax, entries[:20])


def draw_scores(ax: Axes, image: NDArray[np.float64], extent_um: Extent, *, title: str) -> None:
    """Draw an image whose values have both signs, zero in the middle of the colors."""
    low, high = _range(image)
    most = max(abs(low), abs(high), 1e-12)
    shown = draw_raster(
        ax, image, extent_um, cmap=crameri("vik").with_extremes(bad=GROUND), vmin=-most, vmax=most
    )
    add_colorbar(ax, shown, "score", extend="both")
    set_titles(ax, title, "red: more than the mean, blue: less")


def draw_values(
    ax: Axes,
    image: NDArray[np.float64],
    extent_um: Extent,
    *,
    title: str,
    subtitle: str,
    label: str,
) -> None:
    """Draw an image of one quantity, dark to bright; NaN is background."""
    low, high = _range(image)
    shown = draw_raster(
        ax, image, extent_um, cmap=heat(), vmin=low, vmax=high if high > low else low + 1
    )
    add_colorbar(ax, shown, label, extend="both")
    set_titles(ax, title, subtitle)


def draw_rgb(
    ax: Axes, images: Sequence[NDArray[np.float64]], names: Sequence[str], extent_um: Extent
) -> None:
    """Draw three images as red, green and blue, each from its low to its high percentile."""
    from stxm_live.plotting.panels.maps import patch

    rgb = np.zeros((*images[0].shape, 3))
    entries: list[tuple[Any, str]] = []
    for k, (image, name, color) in enumerate(
        zip(images, names, ("#ff0000", "#00c000", "#3060ff"), strict=True)
    ):
        low, high = _range(image)
        rgb[..., k] = np.clip((image - low) / max(high - low, 1e-12), 0, 1)
        entries += [(patch(color), name), (None, f"{low:.3g} to {high:.3g}")]
    nowhere = ~np.isfinite(rgb).any(axis=2)
    rgb = np.nan_to_num(rgb)
    rgb[nowhere] = np.array([0x1B, 0x1E, 0x23]) / 255  # GROUND
    draw_raster(ax, rgb, extent_um)
    set_titles(ax, "Red, green, blue", "each scaled from its 2nd to its 98th percentile")
    side_legend(ax, entries)


def _range(image: NDArray[np.float64]) -> tuple[float, float]:
    finite = image[np.isfinite(image)]
    low, high = np.percentile(finite, [_LOW, _HIGH]) if finite.size else (0.0, 1.0)
    return float(low), float(high)
