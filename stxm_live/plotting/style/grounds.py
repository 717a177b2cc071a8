"""Colors of lines on a dark and on a light ground."""

from __future__ import annotations

import numpy as np

from stxm_live.plotting.style.palette import GROUND, INK, hex_of

LIGHT_GROUND = "#ffffff"

_BRIGHTEST = 0.3
"""Largest luminance of a line on a light ground: a contrast of 3 to 1 with white."""


def on_ground(color: str, ground: str) -> str:
    """Return a color for lines and points on a ground: on the light one, dark enough to be seen.

    Parameters
    ----------
    color : str
        One that is bright enough for the dark ground.
    ground : str
        `GROUND` or `LIGHT_GROUND`.

    Examples
    --------
    >>> on_ground("#d3d98a", GROUND), on_ground("#d3d98a", LIGHT_GROUND)
    ('#d3d98a', '#959960')
    >>> on_ground("white", LIGHT_GROUND)
    '#20242a'
    """
    from matplotlib.colors import to_rgb

    if ground == GROUND:
        return color
    if color == "white":
        return INK
    rgb = np.array(to_rgb(color))
    light = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)  # of sRGB
    luminance = float(light @ (0.2126, 0.7152, 0.0722))
    if luminance <= _BRIGHTEST:
        return hex_of(rgb[np.newaxis])[0]
    light *= _BRIGHTEST / luminance
    dark = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return hex_of(np.clip(dark, 0, 1)[np.newaxis])[0]
