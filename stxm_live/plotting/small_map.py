"""A picture of the final map without axes, for lists of many results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stxm_live.core.whole_file import whole_file
from stxm_live.plotting.style.palette import GROUND, phase_colors

if TYPE_CHECKING:
    from stxm_live.core.phase_maps import PhaseMaps

MOST_PX = 512
"""Longest side of a picture; of larger maps every second, third ... pixel is shown."""


def write_small_map(maps: PhaseMaps, path: str | Path) -> Path:
    """Write the final map as a PNG: a color for each phase, x to the right and y upwards.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    from matplotlib.colors import to_rgb
    from matplotlib.image import imsave

    colors = np.vstack([phase_colors(maps.phase_names, maps.colors), to_rgb(GROUND)])
    x0, x1, y0, y1 = maps.extent_um
    index = maps.final_index[:: 1 if y1 < y0 else -1, :: -1 if x1 < x0 else 1]
    step = -(-max(index.shape) // MOST_PX)
    image = np.rint(255 * colors).astype(np.uint8)[index[::step, ::step]]
    with whole_file(path) as unfinished, unfinished.open("wb") as file:
        imsave(file, np.ascontiguousarray(image), format="png")
    return Path(path)
