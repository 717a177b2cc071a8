"""Description of one region and channel in the header of an SDF stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.io.files.assembly import LEAST_EV, ScanGrid
from stxm_live.io.files.folder import chosen
from stxm_live.io.files.quantity import quantity_of
from stxm_live.io.files.scan_type import check_is_stack
from stxm_live.io.files.units import impossible_pixels, length_factor
from stxm_live.io.units import normal

_STACKS = ("Image Stack", "Multi-Region Image Stack")
_IMAGES = ("Image", "Multi-Region Image")


@dataclass(frozen=True, eq=False)
class SDFRegion:
    """One region of a stack.

    Parameters
    ----------
    grid : ScanGrid
    energies_ev : ndarray of shape (n_energies,)
        Energies of the StackAxis.
    noted_ev : ndarray of shape (n_energies,)
        Energy noted with each image; NaN if there is none.
    ring_current_ma : ndarray of shape (n_energies,), or None
        Ring current noted with each image; None if no image has one.
    letter : str
        Letter of the channel in the names of the image files.
    suffix : str
        Suffix of the region in the names of the image files.
    is_single : bool
        True for a single image, whose file has no number.
    notes : tuple of str
    """

    grid: ScanGrid
    energies_ev: NDArray[np.float64]
    noted_ev: NDArray[np.float64]
    ring_current_ma: NDArray[np.float64] | None
    letter: str
    suffix: str
    is_single: bool = False
    notes: tuple[str, ...] = ()


def chosen_region(
    path: Path, header: Mapping[str, Any], region: str | None, channel: str | None
) -> SDFRegion:
    """Return the wanted region and channel, or the only ones; errors as for `read_sdf`."""
    definition = header.get("ScanDefinition")
    if not isinstance(definition, dict):
        raise ValueError(f"{path}: no ScanDefinition; is it an SDF header?")
    check_is_stack(path, str(definition.get("Type", "")))
    flags, known = definition.get("Flags"), [*_STACKS, *_IMAGES]
    if flags not in known:
        raise ValueError(f"{path}: {flags!r}, expected one of {known}")
    regions = _list(definition.get("Regions"))
    if not regions:
        raise ValueError(f"{path}: the ScanDefinition has no Regions")
    name = chosen(path, "region", [str(k + 1) for k in range(len(regions))], region)
    index = int(name) - 1
    channels = channel_names(definition)
    letter = channels.index(chosen(path, "detector", channels, channel))
    notes: list[str] = []
    energies_ev = _energies(path, header, is_single=flags in _IMAGES)
    noted = [_noted(header, k, index) for k in range(len(energies_ev))]
    noted_ev = np.array([_number(n.get("Energy")) for n in noted])
    noted_ev = np.where(noted_ev < LEAST_EV, 1e3 * noted_ev, noted_ev)  # in keV
    if "StackAxis" in definition:
        _check_energy_axis(path, header, energies_ev, noted_ev)
    grid = ScanGrid(
        x_um=tuple(_positions_um(path, regions[index], "PAxis", notes)),
        y_um=tuple(_positions_um(path, regions[index], "QAxis", notes)),
        dwell_ms=float(np.nan_to_num(_number(definition.get("Dwell")))),
        region=name,
        n_regions=len(regions),
        quantity=quantity_of(_channel_unit(definition, letter), channels[letter]),
    )
    odd = impossible_pixels(np.array(grid.x_um), np.array(grid.y_um))
    notes += [f"{path.name}: {odd}"] if odd else []
    current = np.array([_number(n.get("StorageRingCurrent")) for n in noted])
    return SDFRegion(
        grid=grid,
        energies_ev=energies_ev,
        noted_ev=noted_ev,
        ring_current_ma=current if np.isfinite(current).any() else None,
        letter=chr(ord("a") + letter),
        suffix="" if len(regions) == 1 else str(index),
        is_single=flags in _IMAGES,
        notes=tuple(notes),
    )


def channel_names(definition: Mapping[str, Any]) -> list[str]:
    """Return the channels in the order of their letters; one "" if none is named."""
    channels = _list(definition.get("Channels")) or [{}]
    names = [str(c.get("Name", "")) if isinstance(c, dict) else str(c) for c in channels]
    return [name or f"channel {k + 1}" for k, name in enumerate(names)]


def _energies(path: Path, header: Mapping[str, Any], *, is_single: bool) -> NDArray[np.float64]:
    """Return the energies of a stack in eV, or the one at which a single image was taken."""
    definition = header["ScanDefinition"]
    axis = definition.get("StackAxis")
    if not is_single or (isinstance(axis, dict) and len(_list(axis.get("Points"))) == 1):
        values = _points(path, definition, "StackAxis")
        unit = str(axis.get("Unit", "")) if isinstance(axis, dict) else ""
        return values * (1e3 if normal(unit) == "kev" else 1.0)
    for place, name in (("Image000_0", "Energy"), ("Energy", "LastPosition")):
        noted = header.get(place)
        energy_ev = _number(noted.get(name)) if isinstance(noted, dict) else float("nan")
        if energy_ev > 0:
            return np.array([energy_ev])
    raise ValueError(f"{path}: a single image, and the header does not say at which energy")


def _positions_um(path: Path, region: Any, name: str, notes: list[str]) -> NDArray[np.float64]:
    """Return the positions of an axis in um; what is taken where no unit says it is noted."""
    values = _points(path, region, name)
    unit = str(region[name].get("Unit", ""))
    factor, taken = length_factor(unit, values)
    if factor is None:
        factor, taken = length_factor("", values)
        taken = f"in {unit!r}, which is no length; taken as {taken}"
    elif taken:
        taken = f"without unit; taken as {taken}"
    if taken:
        notes.append(f"{path.name}: the positions {name} are {taken}")
    return values * (factor or 1.0)


def _channel_unit(definition: Mapping[str, Any], channel: int) -> str:
    """Return the unit of a channel; empty if the header gives none."""
    channels = _list(definition.get("Channels"))
    found = channels[channel] if channel < len(channels) else None
    return str(found.get("Unit", "")) if isinstance(found, dict) else ""


def _check_energy_axis(
    path: Path,
    header: Mapping[str, Any],
    axis: NDArray[np.float64],
    noted_ev: NDArray[np.float64],
) -> None:
    """Raise an error if a StackAxis is called Energy but something else was scanned."""
    definition = header["ScanDefinition"]
    places = (header, definition, definition["StackAxis"], header.get("ImageScan"))
    stages = [
        str(p["ScanningStage"]) for p in places if isinstance(p, dict) and "ScanningStage" in p
    ]
    runs = f"the StackAxis runs from {axis[0]:g} to {axis[-1]:g}"
    name = str(definition["StackAxis"].get("Name", "Energy"))
    if name != "Energy":
        raise ValueError(f"{path}: the images are a scan of {name!r}, not of the energy")
    if any("magn" in stage.lower() for stage in stages):
        raise ValueError(
            f"{path}: {runs}, but of ScanningStage {stages[0]!r}: a scan of the magnet, "
            "not of the energy"
        )
    if min(axis) <= 0:
        raise ValueError(f"{path}: {runs}: these are not photon energies")
    known = noted_ev[noted_ev > 0]
    if len(known) > 1 and np.ptp(known) < 0.01 and np.ptp(axis) > 1:
        raise ValueError(
            f"{path}: {runs}, but {len(known)} images were taken at {known[0]:g} eV: "
            "a scan of something else, not of the energy"
        )


def _noted(header: Mapping[str, Any], energy: int, region: int) -> Mapping[str, Any]:
    noted = header.get(f"Image{energy:03d}_{region}")
    return noted if isinstance(noted, dict) else {}


def _points(path: Path, parent: Any, name: str) -> NDArray[np.float64]:
    """Return the points of an axis."""
    axis = parent.get(name) if isinstance(parent, dict) else None
    if not isinstance(axis, dict) or not _list(axis.get("Points")):
        raise ValueError(f"{path}: there is no {name} with Points, where a stack has one")
    values = np.array([_number(value) for value in axis["Points"]])
    for value, number in zip(axis["Points"], values, strict=True):
        if not np.isfinite(number):
            raise ValueError(f"{path}{_line(path, value)}: {name}: {value!r} is not a number")
    return values


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any) -> float:
    return float(value) if isinstance(value, float) else float("nan")


def _line(path: Path, value: Any) -> str:
    """Return the line of a word in a header, as text for a message."""
    lines = path.read_text(encoding="latin-1").splitlines()
    found = [k for k, line in enumerate(lines, start=1) if str(value) in line]
    return f", line {found[0]}" if found else ""
