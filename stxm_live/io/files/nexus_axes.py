"""Axes of an NXdata group: their order, their units, and missing positions."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.io.files.hdf5 import ADVICE, attribute, dataset_in, numbers
from stxm_live.io.files.stxm_versions import version_of
from stxm_live.io.files.units import (
    KNOWN,
    energy_factor,
    impossible_pixels,
    length_factor,
    pixel_size,
)
from stxm_live.io.units import normal, unit_in_ms


def axis_places(
    path: Path, data: Any, names: tuple[str, str, str], shape: tuple[int, ...]
) -> tuple[int, ...]:
    """Return the dimension of the counts that belongs to each named axis.

    The order comes from the group's ``axes``, or in files older than the final definition from
    the ``axis`` of each data set, which counts from 1. Without either it is the definition's, or
    the only one that fits the number of energies and positions.

    Raises
    ------
    ValueError
        If the file contradicts itself, or nothing says which dimension is which.
    """
    axes = attribute(data, "axes")
    axes = axes.replace(",", ":").split(":") if isinstance(axes, str) else axes
    axes = [str(name).strip() for name in axes] if isinstance(axes, list | tuple) else []
    if len(axes) == len(names) and set(axes) == set(names):
        return tuple(axes.index(name) for name in names)
    places = [attribute(data.get(name), "axis") for name in names]
    if all(place is not None for place in places):
        from_0 = tuple(int(np.ravel(place)[0]) - 1 for place in places)
        if sorted(from_0) != [0, 1, 2]:
            raise ValueError(
                f"{path}: {data.name}: its axes have the places {places}, not 1, 2 and 3"
            )
        return from_0
    lengths = {name: data[name].size for name in names[1:] if _is_dataset(data, name)}
    lengths[names[0]] = dataset_in(path, data, names[0]).size
    fitting = [
        p
        for p in permutations(range(3))
        if all(shape[k] == lengths.get(name, shape[k]) for k, name in zip(p, names, strict=True))
    ]
    if not fitting:
        found = ", ".join(f"{name} {lengths[name]}" for name in names if name in lengths)
        raise ValueError(
            f"{path}: {data.name} has counts of shape {shape}, but {found} values; {ADVICE}"
        )
    return fitting[0]  # the definition's, if that fits


def _is_dataset(data: Any, name: str) -> bool:
    return hasattr(data.get(name), "size")


def energies_of(
    path: Path, data: Any, name: str, notes: list[str] | None = None, default: str = ""
) -> NDArray[np.float64]:
    """Return photon energies in eV, shape (n_energies,); a missing unit is added to the notes."""
    values = numbers(path, data, name).ravel()
    if not values.size:
        raise ValueError(f"{path}: {data.name}/{name} is empty, expected photon energies")
    unit = _unit(data, name) or default
    factor, taken = energy_factor(unit, values)
    if factor is None:
        raise ValueError(
            f"{path}: {data.name}/{name} is in {unit!r}; known units are {KNOWN['energy']}"
        )
    if taken and notes is not None:
        notes.append(f"{path.name}: the energies have no unit; taken as {taken}")
    return values * factor


def positions_um(
    path: Path,
    data: Any,
    shape: tuple[int, int],
    notes: list[str],
    names: tuple[str, str] = ("sample_y", "sample_x"),
    default: str = "",
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the positions of the pixel centers along y, shape (ny,), and x, shape (nx,).

    Missing positions are found from the others by a straight line. Where the unit is missing or
    none of a length, or where the positions are missing, do not fit or make no raster, a note says
    what was taken: maps do not need them.
    """
    raw = [_raster(_along(path, data, names[axis], shape, axis)) for axis in (0, 1)]
    units = [_unit(data, name) for name in names]
    shared = next((unit for unit in units if normal(unit)), default)
    found: list[NDArray[np.float64]] = []
    said: dict[str, list[str]] = {}
    for name, n, values, unit in zip(names, shape, raw, units, strict=True):
        factor, taken = _length(unit or shared, raw)
        if values is None:
            found.append(np.arange(float(n)))
            taken = "missing or no raster; a pixel is 1 um"
        else:
            found.append(values * factor)
        if taken:
            said.setdefault(taken, []).append(name)
    for taken, of in said.items():
        notes.append(f"{path.name}: the positions {' and '.join(of)} are {taken}")
    odd = impossible_pixels(found[1], found[0])
    if odd:
        notes.append(f"{path.name}: {odd}")
    return found[0], found[1]


def _length(unit: str, raw: list[NDArray[np.float64] | None]) -> tuple[float, str]:
    """Return the factor of positions to um, and what was taken if their unit does not say it."""
    known = [values for values in raw if values is not None and len(values) > 1]
    typical = min(known, key=pixel_size, default=np.zeros(0))
    factor, taken = length_factor(unit, typical)
    if factor is not None:
        return factor, taken and f"without unit; taken as {taken}"
    factor, taken = length_factor("", typical)
    return factor or 1.0, f"in {unit!r}, which is no length; taken as {taken}"


def _along(
    path: Path, data: Any, name: str, shape: tuple[int, int], axis: int
) -> NDArray[np.float64]:
    """Return positions along an axis, also from one for each pixel; NaN if they do not fit."""
    n_points = shape[axis]
    try:
        values = numbers(path, data, name)
    except ValueError:
        return np.full(n_points, np.nan)
    if values.size == 1:
        return np.full(n_points, values.ravel()[0])
    if values.shape == shape and values.ndim == 2:
        return _line_of(values, axis)
    return values if values.shape == (n_points,) else np.full(n_points, np.nan)


def _line_of(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Return the positions along an axis from those of each pixel; NaN if these do not agree."""
    line = np.asarray(np.nanmedian(values, axis=1 - axis))
    step = np.abs(np.median(np.diff(line))) if len(line) > 1 else np.inf
    apart = np.nanmedian(np.abs(values - np.expand_dims(line, 1 - axis)))
    return line if apart <= step / 2 else np.full(len(line), np.nan)


def _raster(values: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the positions, missing ones filled in; None where they do not go along one way."""
    known = np.flatnonzero(np.isfinite(values))
    if len(known) < min(len(values), 2):
        return None
    if len(known) < len(values):
        slope, start = np.polyfit(known, values[known], 1)
        values = np.asarray(start + slope * np.arange(len(values)))
    way = np.sign(values[-1] - values[0])
    is_raster = len(values) == 1 or (way and np.mean(np.sign(np.diff(values)) == way) > 0.9)
    return values if is_raster else None


def count_time_ms(path: Path, entry: Any, data: Any, notes: list[str]) -> float:
    """Return the exposure of a pixel, the median over the images; 0 if it is not in the file.

    NXstxm uses seconds, pystxmcontrol ms; a unit in the file takes precedence. A unit that is
    none of a time leaves the exposure out, with a note.
    """
    try:
        values = numbers(path, data, "count_time")
    except ValueError:
        return 0.0
    values = values[np.isfinite(values) & (values > 0)]
    if not values.size:
        return 0.0
    default, unit = "ms" if version_of(entry) is not None else "s", _unit(data, "count_time")
    factor = unit_in_ms(unit or default)
    if factor is None:
        notes.append(f"{path.name}: count_time is in {unit!r}, which is no time; it is not used")
        return 0.0
    if not normal(unit) and default == "s":
        notes.append(f"{path.name}: count_time has no unit; taken as s")
    return float(np.median(values)) * factor


def _unit(data: Any, name: str) -> str:
    """Return a data set's unit; empty if there is none."""
    unit = attribute(data.get(name), "units")
    return str(np.ravel(unit)[0]).strip() if unit is not None and np.size(unit) else ""
