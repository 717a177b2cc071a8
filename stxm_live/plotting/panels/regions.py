"""Regions on a map: numbered outlines, and beside it the reason for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from stxm_live.plotting.style.lettering import PLAIN, wrapped, write_paragraphs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from stxm_live.core.region import Region

_MOST_DESCRIBED = 7
"""Number of regions whose reasons have room."""

_INSIDE = 0.03
"""Distance of a number from the map's left and upper edge, as a share of width and height."""


def draw_regions(ax: Axes, regions: Sequence[Region]) -> None:
    """Outline regions on a map in motor coordinates, numbered from 1 in the order given.

    White between two black lines and black numbers on white are visible on every color, also
    for color-blind people. A number is at the upper left corner, always within the map.
    """
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import Normal, Stroke

    left, right = ax.get_xlim()
    bottom, top = ax.get_ylim()
    for k, region in enumerate(regions, start=1):
        x, y = sorted(region.x_extent_um), sorted(region.y_extent_um)
        box = Rectangle(
            (x[0], y[0]), x[1] - x[0], y[1] - y[0], fill=False, edgecolor="white", linewidth=1.4
        )
        box.set(path_effects=[Stroke(linewidth=3.2, foreground="black"), Normal()], zorder=4)
        ax.add_patch(box)
        ax.text(
            float(np.clip(x[0], left + _INSIDE * (right - left), right)),
            float(np.clip(y[1], bottom, top - _INSIDE * (top - bottom))),
            str(k),
            ha="center",
            va="center",
            fontsize=9,
            fontweight="bold",
            color="black",
            zorder=5,
            bbox={"boxstyle": "round,pad=0.22", "facecolor": "white", "edgecolor": "black"},
            **PLAIN,
        )


def draw_reasons(ax: Axes, regions: Sequence[Region]) -> None:
    """Write the number, position and reason of each region on its own axes."""
    shown = [
        f"{k}   {_place_and_worth(region)}\n{wrapped(region.reason or region.criterion, 78, 2)}"
        for k, region in enumerate(regions[:_MOST_DESCRIBED], start=1)
    ]
    if len(regions) > len(shown):
        shown.append(f"and {len(regions) - len(shown)} more")
    write_paragraphs(ax, "\n\n".join(shown))


def _place_and_worth(region: Region) -> str:
    (x0, x1), (y0, y1) = sorted(region.x_extent_um), sorted(region.y_extent_um)
    place = f"x {x0:.3f} to {x1:.3f}, y {y0:.3f} to {y1:.3f} µm"
    gain = region.expected_gain
    return place if gain is None else f"{place}; about {gain:.0f} labels corrected"
