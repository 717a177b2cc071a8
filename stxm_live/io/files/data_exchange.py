"""Stacks in Data Exchange files (HDF5) of MANTiS and SSRF: the group ``exchange``."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.origin import Origin, iso_time
from stxm_live.core.stack import Stack
from stxm_live.io.files.assembly import ScanGrid, assembled
from stxm_live.io.files.folder import chosen
from stxm_live.io.files.hdf5 import ADVICE, attribute, counts, numbers, text_of
from stxm_live.io.files.nexus_axes import energies_of, positions_um
from stxm_live.io.files.quantity import quantity_of

_NAMES = ("energy", "y", "x")
_MANTIS = (2, 1, 0)  # its arrays are (x, y, energy)


def is_data_exchange(file: Any) -> bool:
    """Return True if an open HDF5 file has the data sets of Data Exchange."""
    return "exchange/data" in file and "exchange/energy" in file


def read_data_exchange(path: Path, file: Any, *, region: str | None, detector: str | None) -> Stack:
    """Read the stack of an open file; errors as for `read_nexus_stxm`.

    The order of the axes is that of the attribute ``axes``, or the one that fits the lengths and
    the positions of the pixels; MANTiS writes (x, y, energy).
    """
    chosen(path, "region", ["1"], region)
    chosen(path, "detector", ["exchange/data"], detector)
    group, notes = file["exchange"], list[str]()
    images = counts(path, group, "data")
    energies_ev = energies_of(path, group, "energy", notes)
    if images.ndim == 2 and len(energies_ev) == 1:
        images = images[..., np.newaxis]
    if images.ndim != 3:
        raise ValueError(
            f"{path}: exchange/data has shape {images.shape}, expected energies, y and x; {ADVICE}"
        )
    images = images.transpose(_places(path, group, images.shape, len(energies_ev)))
    y_um, x_um = _positions(path, file, images.shape[1:], notes)
    unit = attribute(group["data"], "units")
    title = text_of(group, "title")
    grid = ScanGrid(
        x_um=tuple(x_um),
        y_um=tuple(y_um),
        quantity=quantity_of(unit if isinstance(unit, str) else "", title),
    )
    origin = Origin(
        sample=text_of(file, "information/sample/name")
        or text_of(file, "information/sample/description"),
        measured=iso_time(text_of(file, "information/file_creation_datetime")),
    )
    return replace(assembled(path, images, energies_ev, grid, notes=notes), origin=origin)


def _places(path: Path, group: Any, shape: tuple[int, ...], n_energies: int) -> tuple[int, ...]:
    """Return the dimensions of energy, y and x."""
    axes = attribute(group["data"], "axes")
    named = axes.replace(",", ":").split(":") if isinstance(axes, str) else list(axes or ())
    named = [str(name).strip().lower() for name in named]
    if sorted(named) == sorted(_NAMES):
        return tuple(named.index(name) for name in _NAMES)
    if not {"x", "y"} <= set(group):
        fitting = [p for p in (_MANTIS, *permutations(range(3))) if shape[p[0]] == n_energies]
    elif group["x"].ndim == 2 and group["y"].ndim == 2:
        y_axis = _slow_axis(numbers(path, group, "y"))
        fitting = [(2, y_axis, 1 - y_axis), (0, 1 + y_axis, 2 - y_axis)]
        fitting = [
            p
            for p in fitting
            if shape[p[0]] == n_energies
            and tuple(np.delete(shape, p[0])) == tuple(group["y"].shape)
        ]
    else:
        lengths = (n_energies, group["y"].size, group["x"].size)
        fitting = [
            p for p in (_MANTIS, *permutations(range(3))) if tuple(shape[k] for k in p) == lengths
        ]
    if not fitting:
        found = ", ".join(f"{name} {group[name].shape}" for name in _NAMES if name in group)
        raise ValueError(
            f"{path}: exchange/data has shape {shape}, which does not fit {found}; {ADVICE}"
        )
    return fitting[0]


def _slow_axis(y: NDArray[np.float64]) -> int:
    """Return the dimension along which the y of each pixel changes."""
    change = [np.ptp(np.nanmedian(y, axis=1 - axis)) for axis in (0, 1)]
    return int(np.argmax(change))


def _positions(
    path: Path, file: Any, shape: tuple[int, ...], notes: list[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the positions of the pixels along y and x in um."""
    group, (ny, nx) = file["exchange"], shape
    if {"x", "y"} <= set(group):
        of_raster: list[str] = []
        y_um, x_um = positions_um(path, group, (ny, nx), of_raster, names=("y", "x"))
        missing = [note for note in of_raster if "no raster" in note]
        if not missing:
            notes += of_raster
            return y_um, x_um
    sizes = [_pixel_size_um(path, file, name) for name in ("vertical", "horizontal")]
    y_size, x_size = (size or 1.0 for size in sizes)
    notes.append(
        f"{path.name}: the positions make no raster; taken from the pixel size, {x_size:g} um"
    )
    return np.arange(float(ny)) * y_size, np.arange(float(nx)) * x_size


def _pixel_size_um(path: Path, file: Any, name: str) -> float | None:
    """Return the pixel size that the file gives, if it does."""
    where = "information/detector/pixel_size"
    if f"{where}/{name}" not in file:
        return None
    size = numbers(path, file[where], name).ravel()
    return float(size[0]) if size.size and 0 < size[0] < 100 else None
