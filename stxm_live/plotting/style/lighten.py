"""Figures with their curves on a light ground, as paper has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import Collection, QuadMesh
from matplotlib.colors import to_hex, to_rgba
from matplotlib.lines import Line2D

from stxm_live.plotting.style.grounds import LIGHT_GROUND, on_ground
from stxm_live.plotting.style.palette import GROUND, INK

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def lighten(figure: Figure) -> None:
    """Draw curves on a light ground, as paper has it; axes with an image stay dark.

    A figure that is light already stays as it is.
    """
    for ax in figure.axes:
        is_map = ax.images or any(isinstance(each, QuadMesh) for each in ax.collections)
        if is_map or (ax.patch.get_visible() and to_hex(ax.get_facecolor()) != GROUND):
            continue
        ax.set_facecolor(LIGHT_GROUND)
        for line in (*ax.get_xgridlines(), *ax.get_ygridlines()):
            line.set_color(INK)
        for text in () if ax.patches else ax.texts:
            text.set_color(_on_light(text.get_color()))
        legend = ax.get_legend()
        handles = () if legend is None else legend.legend_handles
        for artist in (*ax.lines, *ax.collections, *handles):
            _lighten(artist)


def _lighten(artist: Any) -> None:
    if isinstance(artist, Line2D):
        for part in ("color", "markerfacecolor", "markeredgecolor"):
            artist.set(**{part: _on_light(getattr(artist, f"get_{part}")())})
    elif isinstance(artist, Collection):
        for part in ("facecolor", "edgecolor"):
            colors, which = np.unique(
                np.asarray(getattr(artist, f"get_{part}")()), axis=0, return_inverse=True
            )
            if len(colors):
                seen = np.array([to_rgba(_on_light(color)) for color in colors])
                artist.set(**{part: seen[which.ravel()]})


def _on_light(color: Any) -> Any:
    """Return any color of matplotlib as it is seen on light, as transparent as before."""
    if isinstance(color, str) and color in ("none", "auto"):
        return color
    *_, alpha = to_rgba(color)
    plain = to_hex(color)
    return to_rgba(on_ground("white" if plain == "#ffffff" else plain, LIGHT_GROUND), alpha)
