"""Layouts of pystxmcontrol's ``.stxm`` files in its versions.

Version 3 is an NXstxm. Before, the counts at the requested positions were separate from the
measured ones: 2.1 has them in ``binned_values``, 2.0 has none, so that they are binned here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.io.files.hdf5 import attribute, counts, numbers, text_of

_Images = tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]


def version_of(entry: Any) -> float | None:
    """Return the version of pystxmcontrol's own layout, 0 if not given; None for others."""
    if "motors" not in entry and "instrument/motors" not in entry:
        return None
    noted = attribute(entry.get("definition"), "version")
    for found in (text_of(entry, "version"), text_of(entry, "definition"), noted):
        try:
            return float(found)
        except (TypeError, ValueError):
            continue
    return 0.0


def with_requested_positions(path: Path, entry: Any, data: Any) -> _Images | None:
    """Return counts (n_energies, ny, nx), x and y in um for 2.x, else None."""
    if "binned_values/data" in entry:
        binned = entry["binned_values"]
        return (
            counts(path, binned, "data"),
            numbers(path, binned, "sample_x"),
            numbers(path, binned, "sample_y"),
        )
    if "requested_values/sample_x" not in entry:
        return None
    x_um = numbers(path, entry["requested_values"], "sample_x")
    y_um = numbers(path, entry["requested_values"], "sample_y")
    measured, measured_um = counts(path, data, "data"), numbers(path, data, "sample_x")
    if measured.shape != measured_um.shape or measured.ndim != 3:
        raise ValueError(
            f"{path}: {data.name} has counts of shape {measured.shape} at positions of shape "
            f"{measured_um.shape}, expected one position for each"
        )
    return binned_lines(measured, measured_um, x_um), x_um, y_um


def binned_lines(
    measured: NDArray[np.floating], measured_um: NDArray[np.float64], x_um: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return mean counts of the points nearest to each requested position of a line.

    Parameters
    ----------
    measured, measured_um : ndarray of shape (n_energies, ny, n_points)
        Counts, and their positions in um.
    x_um : ndarray of shape (nx,)
        Requested positions, evenly spaced; may descend.

    Returns
    -------
    ndarray of shape (n_energies, ny, nx)
        NaN where no point is near: nothing is interpolated.
    """
    n_lines, nx = measured.shape[0] * measured.shape[1], len(x_um)
    step_um = (x_um[-1] - x_um[0]) / max(nx - 1, 1) or 1.0
    place = np.rint((measured_um.reshape(n_lines, -1) - x_um[0]) / step_um)
    inside = (place >= 0) & (place < nx)
    line = np.broadcast_to(np.arange(n_lines)[:, None], place.shape)
    bins = (line * nx + np.where(inside, place, 0).astype(np.intp))[inside]
    values = measured.reshape(n_lines, -1)[inside]
    total = np.bincount(bins, weights=values, minlength=n_lines * nx)
    n_points = np.bincount(bins, minlength=n_lines * nx)
    mean = np.divide(total, n_points, out=np.full(n_lines * nx, np.nan), where=n_points > 0)
    return mean.reshape(*measured.shape[:2], nx).astype(np.float32)
