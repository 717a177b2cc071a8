"""The only published rule for the next region, based on optical density and area."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

OD_RANGE = (0.5, 1.5)
"""Optical densities that count as worth a scan."""

MIN_AREA_UM2 = 1.0
"""Smallest area that such pixels cover together."""


def od_centres(
    od: NDArray[np.floating], pixel_um2: float, min_area_um2: float = MIN_AREA_UM2
) -> list[tuple[float, float, float]]:
    """Return row, column and area in um2 of each connected region, the largest first.

    Parameters
    ----------
    od : ndarray of shape (ny, nx)
        Optical density of one image; NaN pixels are not counted.
    pixel_um2 : float
    min_area_um2 : float
        Smaller regions are left out.

    Notes
    -----
    As in STXM_live (J. Pacold, 2018): pixels of OD 0.5 to 1.5 that touch, diagonals included, and
    cover more than 1 um2. The tool enlarged the image fourfold with a neural network
    before, which is left out: today's Keras no longer loads it.

    Examples
    --------
    >>> od = np.zeros((5, 6)); od[1:4, 1:5] = 1.0; od[0, 5] = 1.0; od[2, 2] = 2.0
    >>> [tuple(round(v, 2) for v in centre) for centre in od_centres(od, 0.25)]
    [(1.83, 2.75, 3.0)]
    """
    from scipy.ndimage import center_of_mass, label

    with np.errstate(invalid="ignore"):
        inside = (od > OD_RANGE[0]) & (od < OD_RANGE[1])
    labels, n = label(inside, structure=np.ones((3, 3)))
    areas = np.bincount(labels.ravel(), minlength=n + 1)[1:] * pixel_um2
    order = [k for k in np.argsort(-areas, kind="stable") if areas[k] > min_area_um2]
    centres = center_of_mass(inside, labels, [k + 1 for k in order])
    return [
        (float(row), float(column), float(areas[k]))
        for (row, column), k in zip(centres, order, strict=True)
    ]
