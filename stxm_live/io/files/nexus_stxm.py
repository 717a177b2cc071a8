"""Stacks in NXstxm files of the CLS, PolLux and MAX IV, and ``.stxm`` of pystxmcontrol."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.origin import Origin, iso_time
from stxm_live.core.quantity import Quantity
from stxm_live.core.stack import Stack
from stxm_live.io.files.assembly import ScanGrid, assembled
from stxm_live.io.files.folder import chosen
from stxm_live.io.files.hdf5 import (
    ADVICE,
    attribute,
    counts,
    dataset_in,
    numbers,
    opened_hdf5,
    text,
    text_of,
)
from stxm_live.io.files.nexus_axes import axis_places, count_time_ms, energies_of, positions_um
from stxm_live.io.files.quantity import quantity_of
from stxm_live.io.files.scan_type import check_is_stack, is_stack
from stxm_live.io.files.stxm_versions import version_of, with_requested_positions

_ENERGY_NAMES = ("energy", "photon_energy")

_MOST_LISTED = 12
"""Groups of an entry that are listed."""


def read_nexus_stxm(
    path: str | Path, *, region: str | None = None, detector: str | None = None
) -> Stack:
    """Read an image stack in this process; see `stxm_live.io.files.read_nexus_stxm`."""
    path, notes = Path(path), []
    with opened_hdf5(path) as file:
        entries = nexus_entries(file)
        if not entries:
            raise ValueError(f"{path}: no entry with the definition NXstxm")
        name = chosen(
            path, "region", stacks_of(file, entries) if region is None else entries, region
        )
        detectors = detectors_of(file[name])
        if not detectors:
            found = ", ".join(sorted(map(text, file[name]))[:_MOST_LISTED]) or "nothing"
            raise ValueError(
                f"{path}: {name} has no group with counts (data) and energies; it has {found}; "
                f"{ADVICE}"
            )
        counter = chosen(path, "detector", detectors, detector)
        data = file[name][counter]
        check_is_stack(path, scan_type_of(data), where=f", {name}")
        if not text_of(file[name], "definition").strip():
            notes.append(f"{path.name}: no definition; read as NXstxm, by the names of its data")
        images, grid = _images(path, file[name], data, notes)
        default = "" if version_of(file[name]) is None else "eV"
        energies_ev = energies_of(path, data, energy_name(path, data), notes, default)
        current = _ring_current(path, file[name], len(energies_ev), notes)
        changes = {
            "region": name if len(entries) > 1 else "1",
            "n_regions": len(entries),
            "quantity": _quantity(data, counter),
        }
        origin = Origin(
            sample=text_of(file[name], "sample/name"),
            measured=iso_time(text_of(file[name], "start_time")),
        )
    stack = assembled(path, images, energies_ev, grid.model_copy(update=changes), current, notes)
    return replace(stack, origin=origin)


def nexus_entries(file: Any) -> list[str]:
    """Return the names of the NXstxm groups, in order of their number.

    The definition is a text or an array of one text; early pystxmcontrol writes its version there,
    HERMES and SoftiMAX write none: there a group with energies, positions and counts counts.
    """
    import h5py

    found = []
    names = [name for name in file if isinstance(name, str)]  # damaged ones are bytes
    for name in sorted(names, key=lambda name: (len(name), name)):
        entry = file.get(name)
        if not isinstance(entry, h5py.Group):
            continue
        definition = text_of(entry, "definition").strip().lower()
        is_pystxm = version_of(entry) is not None and "counter0" in entry
        if definition == "nxstxm" or is_pystxm or (not definition and detectors_of(entry)):
            found.append(name)
    return found


def stacks_of(file: Any, entries: list[str]) -> list[str]:
    """Return the entries that are image stacks, or all of them if none is."""
    found = []
    for name in entries:
        types = [scan_type_of(file[name][counter]) for counter in detectors_of(file[name])]
        if any(is_stack(scan_type) for scan_type in types):
            found.append(name)
    return found or entries


def detectors_of(entry: Any) -> list[str]:
    """Return the names of an entry's groups that hold counts with their energies.

    Without a definition they are recognized by their positions, too. Monitors, such as the ring
    current, are none.
    """
    import h5py

    needed = {"sample_x", "sample_y"} if not text_of(entry, "definition").strip() else set()
    return [
        name
        for name in entry
        if isinstance(name, str)
        and isinstance(entry.get(name), h5py.Group)
        and attribute(entry[name], "NX_class") != "NXmonitor"
        and needed <= set(entry[name])
        and not {*_ENERGY_NAMES}.isdisjoint(entry[name])
        and signal_name(entry[name]) in entry[name]
        and name not in ("binned_values", "requested_values", "control")
    ]


def scan_type_of(data: Any) -> str:
    """Return the type of a scan; empty if it is not in the file."""
    return text_of(data, "stxm_scan_type") or text_of(data, "scan_type")


def energy_name(path: Path, data: Any) -> str:
    """Return the name of the energies in an NXdata group."""
    for name in _ENERGY_NAMES:
        if name in data:
            return name
    raise ValueError(f"{path}: {data.name} has neither energy nor photon_energy")


def _images(
    path: Path, entry: Any, data: Any, notes: list[str]
) -> tuple[NDArray[np.float32], ScanGrid]:
    """Return counts (n_energies, ny, nx), with the grid and settings of the scan."""
    dwell_ms = count_time_ms(path, entry, data, notes)
    requested = with_requested_positions(path, entry, data)
    if requested is not None:
        images, x_um, y_um = requested
    else:
        images = _counts(path, data)
        default = "" if version_of(entry) is None else "um"
        y_um, x_um = positions_um(path, data, images.shape[1:], notes, default=default)
    return images, ScanGrid(x_um=tuple(x_um), y_um=tuple(y_um), dwell_ms=dwell_ms)


def _counts(path: Path, data: Any) -> NDArray[np.float32]:
    """Return counts (n_energies, ny, nx) of a stack, or of a single image."""
    energy = energy_name(path, data)
    images, n_energies = counts(path, data, signal_name(data)), dataset_in(path, data, energy).size
    if images.ndim == 2 and n_energies == 1:
        return (images.T if _is_turned(data, images.shape) else images)[np.newaxis]
    if images.ndim != 3:
        raise ValueError(
            f"{path}: {data.name} has counts of shape {images.shape} for {n_energies} energies, "
            f"expected (energies, y, x); {ADVICE}"
        )
    return images.transpose(axis_places(path, data, (energy, "sample_y", "sample_x"), images.shape))


def _is_turned(data: Any, shape: tuple[int, ...]) -> bool:
    """Return True if a single image is (x, y): by the axes' names, or else their lengths."""
    axes = attribute(data, "axes")
    axes = axes.replace(",", ":").split(":") if isinstance(axes, str) else list(axes or ())
    if sorted(map(str, axes)) == ["sample_x", "sample_y"]:
        return str(axes[0]) == "sample_x"
    lengths = tuple(getattr(data.get(name), "size", None) for name in ("sample_y", "sample_x"))
    return lengths != shape and lengths[::-1] == shape


def _quantity(data: Any, counter: str) -> Quantity | None:
    """Return what the counts are by their unit or the detector's name."""
    unit = attribute(data.get(signal_name(data)), "units")
    return quantity_of(unit if isinstance(unit, str) else "", counter)


def _ring_current(
    path: Path, entry: Any, n_energies: int, notes: list[str]
) -> NDArray[np.float64] | None:
    """Return the mean ring current of each image, shape (n_energies,), or None."""
    where = next((n for n in ("control", "instrument/control") if f"{n}/data" in entry), None)
    if where is None:
        return None
    try:
        values = numbers(path, entry, f"{where}/data")
    except ValueError:
        return None
    if values.size == 0 or values.size % n_energies:
        notes.append(
            f"{path.name}: the ring current is not used: {values.size} values for {n_energies} "
            "energies"
        )
        return None
    if values.ndim == 3 and n_energies in values.shape:
        values = np.moveaxis(values, values.shape.index(n_energies), 0)
    per_image = values.reshape(n_energies, -1)
    known = np.isfinite(per_image)
    total = np.where(known, per_image, 0.0).sum(axis=1)
    count = known.sum(axis=1)
    return np.asarray(np.divide(total, count, out=np.full(n_energies, np.nan), where=count > 0))


def signal_name(data: Any) -> str:
    """Return the name of the counts; "data" unless the group has another one."""
    name = attribute(data, "signal")
    return name if isinstance(name, str) and name in data else "data"
