"""Axes of an NXdata group: their order, their units, and missing positions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.io.files.hdf5 import attribute, dataset_in, numbers
from stxm_live.io.files.stxm_versions import version_of

_UM = {"m": 1e6, "mm": 1e3, "um": 1.0, "µm": 1.0, "μm": 1.0, "nm": 1e-3}
_EV = {"ev": 1.0, "kev": 1e3}
_MS = {"s": 1e3, "sec": 1e3, "seconds": 1e3, "ms": 1.0, "us": 1e-3}


def axis_places(path: Path, data: Any, names: tuple[str, str, str]) -> tuple[int, ...]:
    """Return the dimension of the counts that belongs to each named axis.

    The order comes from the group's ``axes``, or in files older than the final definition from
    the ``axis`` of each data set, which counts from 1. Without either it is the definition's.
    """
    axes = attribute(data, "axes")
    axes = axes.replace(",", ":").split(":") if isinstance(axes, str) else axes
    if axes and len(axes) == len(names):
        if set(axes) != set(names):
            raise ValueError(f"{path}: {data.name} has axes {axes}, expected {list(names)}")
        return tuple(axes.index(name) for name in names)
    places = [attribute(data[name], "axis") for name in names]
    if any(place is None for place in places):
        return 0, 1, 2
    numbers_from_0 = tuple(int(np.ravel(place)[0]) - 1 for place in places)
    if sorted(numbers_from_0) != [0, 1, 2]:
        raise ValueError(f"{path}: {data.name}: its axes have the places {places}, not 1, 2 and 3")
    return numbers_from_0


def energies_of(path: Path, data: Any, name: str) -> NDArray[np.float64]:
    """Return photon energies in eV, shape (n_energies,)."""
    return numbers(path, data, name).ravel() * _factor(path, data, name, _EV, "ev")


def positions_um(path: Path, data: Any, name: str, n_points: int) -> NDArray[np.float64]:
    """Return the positions of the pixel centers along an axis, shape (n_points,).

    Missing positions are found from the others by a straight line.
    """
    values = numbers(path, data, name) * _factor(path, data, name, _UM, "um")
    if values.size == 1:
        values = np.full(n_points, values.ravel()[0])
    if values.ndim != 1 or len(values) != n_points:
        raise ValueError(
            f"{path}: {data.name}/{name} has shape {values.shape}, the counts have {n_points} "
            "points"
        )
    known = np.flatnonzero(np.isfinite(values))
    if len(known) == n_points:
        return values
    if len(known) < 2:
        raise ValueError(f"{path}: {data.name}/{name} has no positions, only NaN")
    slope, start = np.polyfit(known, values[known], 1)
    return np.asarray(start + slope * np.arange(n_points))


def count_time_ms(path: Path, entry: Any, data: Any) -> float:
    """Return the exposure of a pixel, the median over the images; 0 if it is not in the file.

    NXstxm uses seconds, pystxmcontrol ms; a unit in the file takes precedence.
    """
    if "count_time" not in data or dataset_in(path, data, "count_time").dtype.kind not in "fiu":
        return 0.0
    values = numbers(path, data, "count_time")
    values = values[np.isfinite(values) & (values > 0)]
    if not values.size:
        return 0.0
    default = "ms" if version_of(entry) is not None else "s"
    return float(np.median(values)) * _factor(path, data, "count_time", _MS, default)


def _factor(path: Path, data: Any, name: str, units: dict[str, float], default: str) -> float:
    """Return the factor for a data set's unit; the default if the unit cannot be read."""
    unit = attribute(data[name], "units")
    unit = str(np.ravel(unit)[0]) if unit is not None and np.size(unit) else ""
    unit = unit.strip().lower() or default
    if unit not in units:
        known = ", ".join(units)
        raise ValueError(f"{path}: {data.name}/{name} is in {unit!r}; known units are {known}")
    return units[unit]
