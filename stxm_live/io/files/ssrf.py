"""Images of the STXM at SSRF (BL08U1): an HDF5 file for each energy, as its program writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.stack import Stack
from stxm_live.io.files.assembly import ScanGrid, assembled
from stxm_live.io.files.folder import chosen
from stxm_live.io.files.hdf5 import counts, numbers

_GROUP = "FPGA control board"
_COUNTER = "PMT counter"
_POSITIONS = ("positon 1 data", "positon 2 data")  # as its program spells them


def is_ssrf(file: Any) -> bool:
    """Return True if an open HDF5 file is one of the program at SSRF."""
    return f"{_GROUP}/{_COUNTER}" in file


def read_ssrf(path: Path, file: Any, *, region: str | None, detector: str | None) -> Stack:
    """Read the image of an open file, with its one energy.

    The stage goes to and fro, and the recorded positions lag behind: the image at the pixels of a
    raster is interpolated from the points that were measured, and a note says so.

    Raises
    ------
    ValueError
        If positions or energy are missing.
    """
    chosen(path, "region", ["1"], region)
    chosen(path, "detector", [_COUNTER], detector)
    group, notes = file[_GROUP], list[str]()
    image = counts(path, group, _COUNTER)
    x_um, y_um = (numbers(path, group, name) for name in _POSITIONS)
    if image.ndim != 2 or not image.shape == x_um.shape == y_um.shape:
        raise ValueError(
            f"{path}: counts of shape {image.shape} at positions of {x_um.shape} and {y_um.shape}"
        )
    steps = numbers(path, group, "step size(um)").ravel()
    if _is_raster(x_um, y_um):
        x, y = np.median(x_um, axis=0), np.median(y_um, axis=1)
    else:
        x, y = _raster_of(x_um, steps[0]), _raster_of(y_um, steps[-1])
        image = _interpolated(image, x_um, y_um, x, y)
        notes.append(f"{path.name}: pixels are interpolated between the recorded positions")
    grid = ScanGrid(
        x_um=tuple(x),
        y_um=tuple(y),
        dwell_ms=float(numbers(path, group, "pixel dwell time(ms)").ravel()[0]),
    )
    energies_ev = numbers(path, group, "energy(eV)").ravel()[:1]
    return assembled(path, image[np.newaxis], energies_ev, grid, notes=notes)


def _is_raster(x_um: NDArray[np.float64], y_um: NDArray[np.float64]) -> bool:
    """Return True if all rows have nearly the same x, and all columns the same y."""
    for positions, axis in ((x_um, 0), (y_um, 1)):
        line = np.median(positions, axis=axis)
        step = abs(float(np.median(np.diff(line))))
        if not step or np.median(np.abs(positions - np.expand_dims(line, axis))) > step / 2:
            return False
    return True


def _raster_of(positions_um: NDArray[np.float64], step_um: float) -> NDArray[np.float64]:
    """Return evenly spaced positions in the range that was measured."""
    low, high = np.percentile(positions_um, [0.5, 99.5])
    n = int(min(max((high - low) // step_um, 1), max(positions_um.shape))) if step_um > 0 else 1
    return np.asarray(low + (high - low) / max(n, 1) * np.arange(n + 1))


def _interpolated(
    image: NDArray[np.float32],
    x_um: NDArray[np.float64],
    y_um: NDArray[np.float64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Return the counts at a raster (ny, nx); NaN outside of what was measured."""
    from scipy.interpolate import griddata

    points = np.column_stack([y_um.ravel(), x_um.ravel()])
    rows, columns = np.meshgrid(y, x, indexing="ij")
    return np.asarray(griddata(points, image.ravel(), (rows, columns)), dtype=np.float32)
