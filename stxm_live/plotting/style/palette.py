"""Colors: one per phase, and the neutral colors around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

Palette = Literal["roma", "paper", "print"]
"""``roma`` (Crameri) is the default; ``paper`` runs from red to purple as arXiv:2603.07666 does.

``print`` (batlow, also by Crameri) becomes lighter from phase to phase, and stays readable in grey.
"""

GROUND = "#1b1e23"
"""Background of every map and spectrum: dark, so that thin bright features stay visible."""

NO_DATA = "#3a4657"
SPECIMEN = "#5f656e"
AMBIGUOUS = "#ffb000"
UNIDENTIFIED = "#e65aa8"
INVALID = "#648fff"
INK = "#20242a"
FAINT = "#66707c"
VERDICT = {"good": "#1b7a3d", "limited": "#a85a00", "poor": "#b3202a"}

DIMMEST = 0.45
"""Brightness of a pixel with reliability 0; full reliability has 1."""

# The part of roma that is neither too dark for GROUND nor too pale beside it. Of the Crameri
# maps it keeps phases furthest apart where reliability dims them, for dichromats too: batlow,
# ordered by lightness, makes a dimmed phase look like its neighbor (test_palette).
_ROMA_SPAN = (0.25, 0.9)
_BATLOW_SPAN = (0.25, 1.0)
"""The part of batlow that is lighter than GROUND."""

_PAPER = ("#e6194b", "#f58231", "#f2d43d", "#3cb4a0", "#8e4fd0")


def phase_colors(
    phase_names: Sequence[str],
    colors: Mapping[str, str] | None = None,
    *,
    palette: Palette = "roma",
) -> NDArray[np.float64]:
    """Return red, green and blue (0 to 1) of each phase, of shape (n_phases, 3).

    Parameters
    ----------
    phase_names : sequence of str
        In the order of the references; the palette follows it, so that phases ordered by sodium
        content get ordered colors.
    colors : mapping of str to str, optional
        Colors of the recipe, by phase name, as matplotlib understands them; phases it does not
        name keep the palette's.
    palette : {"roma", "paper", "print"}

    Raises
    ------
    ValueError
        If a color of the recipe is not valid.

    Examples
    --------
    >>> phase_colors(["Na3VPF", "Na1VPF"], {"Na3VPF": "#ff0000"})[0].tolist()
    [1.0, 0.0, 0.0]
    """
    from matplotlib.colors import is_color_like, to_rgb

    rgb = _sampled(len(phase_names), palette)
    for k, name in enumerate(phase_names):
        color = (colors or {}).get(name)
        if color is None:
            continue
        if not is_color_like(color):
            raise ValueError(
                f"color {color!r} of phase {name} in the recipe is not known to matplotlib; "
                'write it as "#rrggbb"'
            )
        rgb[k] = to_rgb(color)
    return rgb


def hex_of(colors: NDArray[np.floating]) -> list[str]:
    """Return colors (n, 3), 0 to 1, as ``#rrggbb``."""
    from matplotlib.colors import to_hex

    return [to_hex(color) for color in colors]


def _sampled(n_phases: int, palette: Palette) -> NDArray[np.float64]:
    """Return evenly spaced colors of a palette, of shape (n_phases, 3)."""
    from matplotlib.colors import LinearSegmentedColormap

    cmap: Colormap
    if palette == "paper":
        cmap, span = LinearSegmentedColormap.from_list("paper", _PAPER), (0.0, 1.0)
    elif palette == "print":
        cmap, span = crameri("batlow"), _BATLOW_SPAN
    else:
        cmap, span = crameri("roma"), _ROMA_SPAN
    return np.asarray(cmap(np.linspace(*span, n_phases)), dtype=np.float64)[:, :3]


def crameri(name: str) -> Colormap:
    """Return a scientific color map by F. Crameri (doi:10.5281/zenodo.1243862)."""
    from cmcrameri import cm

    cmap: Colormap = cm.cmaps[name]
    return cmap


def heat(name: str = "lipari") -> Colormap:
    """Return a color map whose darkest color still differs from the background, used for NaN."""
    from matplotlib.colors import ListedColormap

    return ListedColormap(crameri(name)(np.linspace(0.22, 1.0, 256))).with_extremes(bad=GROUND)
