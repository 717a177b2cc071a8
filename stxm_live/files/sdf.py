"""Stacks in the SDF form of the ALS, MAXYMUS, UVSOR and PolLux: ``.hdr``, ``.xim``, ``.xsp``."""

from __future__ import annotations

from glob import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.files.sdf_header import read_header
from stxm_live.scan import StackScan
from stxm_live.stack import Frame, Stack, StackKey


def read_sdf(hdr_path: str | Path) -> Stack:
    """Read an image stack of one region; the images lie beside the header.

    Row 0 of an image is the first line of its ``.xim`` file and belongs to the first point of
    the header's QAxis: the authors' masks fit so, and y ascends with the row for ``Dir = 1``.
    Of several channels the first is read. Energies are announced by the StackAxis; where the
    header notes the energy of an image (``Image000_0 = {Energy = ...}``) the frame carries that.
    Images that are missing are left out, missing lines are NaN; both are noted and leave the
    stack unfinished.

    Parameters
    ----------
    hdr_path : path-like
        The ``.hdr`` file.

    Raises
    ------
    ValueError
        Naming the file (and the line), if it is no stack of one region or cannot be read.
    FileNotFoundError
        If there is no header or not a single image.
    """
    path = Path(hdr_path)
    header = read_header(path)
    scan = _scan(path, header)
    frames: list[Frame] = []
    notes: list[str] = []
    for index, announced in enumerate(scan.energies_ev):
        image = image_path(path, index)
        if not image.exists() or image.stat().st_size == 0:
            notes.append(f"{image.name}: no image of {announced:g} eV")
            continue
        intensity, n_lines = _read_image(image, scan.image_shape)
        if n_lines < scan.image_shape[0]:
            notes.append(
                f"{image.name}: {n_lines} of {scan.image_shape[0]} lines of the image at "
                f"{announced:g} eV"
            )
        is_whole = n_lines == scan.image_shape[0]
        energy_ev = _noted_energy(header, index, announced)
        frames.append(Frame(energy_ev, intensity, announced, is_whole))
    if not frames:
        raise FileNotFoundError(f"{image_path(path, 0)}: none of the stack's images is there")
    frames.sort(key=lambda frame: frame.energy_ev)
    return Stack(StackKey(()), scan, tuple(frames), not notes, tuple(notes))


def image_path(hdr_path: Path, index: int) -> Path:
    """Where the image of the stack's ``index``-th energy lies (first channel)."""
    return hdr_path.with_name(f"{hdr_path.stem}_a{index:03d}.xim")


def sdf_files(hdr_path: Path) -> list[Path]:
    """The header and the images that are there, in order."""
    images = hdr_path.parent.glob(f"{escape(hdr_path.stem)}_a[0-9][0-9][0-9].xim")
    return [hdr_path, *sorted(images)]


def read_spectrum(path: str | Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Energies in eV and values of a two-column text file (``.xsp`` and the like)."""
    table = _read_numbers(Path(path))
    if table.ndim != 2 or table.shape[1] != 2:
        raise ValueError(f"{path}: expected two columns, energy in eV and a value")
    return table[:, 0], table[:, 1]


def _scan(path: Path, header: dict[str, Any]) -> StackScan:
    definition = header.get("ScanDefinition")
    if not isinstance(definition, dict):
        raise ValueError(f"{path}: no ScanDefinition; is it an SDF header?")
    regions = definition.get("Regions", [])
    if definition.get("Flags") != "Image Stack" or len(regions) != 1:
        raise ValueError(
            f"{path}: {definition.get('Flags')!r} of {len(regions)} regions, "
            "expected an 'Image Stack' of one region"
        )
    try:
        x_um, y_um = regions[0]["PAxis"]["Points"], regions[0]["QAxis"]["Points"]
        energies_ev = definition["StackAxis"]["Points"]
    except KeyError as error:
        raise ValueError(f"{path}: the ScanDefinition has no {error.args[0]}") from None
    if min(energies_ev) <= 0:
        raise ValueError(
            f"{path}: the StackAxis runs from {energies_ev[0]:g} to {energies_ev[-1]:g}: "
            "these are no photon energies"
        )
    try:
        return StackScan(
            shape=(len(energies_ev), len(y_um), len(x_um)),
            energies_ev=tuple(energies_ev),
            dwell_ms=max(float(definition.get("Dwell", 0.0)), 0.0),
            x_extent_um=(x_um[0], x_um[-1]),
            y_extent_um=(y_um[0], y_um[-1]),
            data_field="counts",
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _noted_energy(header: dict[str, Any], index: int, announced_ev: float) -> float:
    noted = header.get(f"Image{index:03d}_0", {}).get("Energy", 0.0)
    return float(noted) if noted > 0 else announced_ev


def _read_image(path: Path, shape: tuple[int, int]) -> tuple[NDArray[np.float32], int]:
    """An image, NaN in lines that are missing at its end, and how many lines there are."""
    values = _read_numbers(path)
    n_lines = len(values)
    if values.ndim != 2 or values.shape[1] != shape[1] or n_lines > shape[0]:
        raise ValueError(
            f"{path}: {n_lines} lines of {values.shape[-1]} numbers, the header announces "
            f"{shape[0]} of {shape[1]}"
        )
    image = np.full(shape, np.nan, dtype=np.float32)
    image[:n_lines] = values
    return image, n_lines


def _read_numbers(path: Path) -> NDArray[np.float64]:
    """A table of numbers; blanks and tabs separate, also at the end of a line."""
    try:
        table: NDArray[np.float64] = np.loadtxt(path, ndmin=2, encoding="latin-1")
    except ValueError:
        raise ValueError(_first_fault(path)) from None
    return table


def _first_fault(path: Path) -> str:
    """Which line of a table of numbers cannot be read, and why."""
    n_columns = 0
    for number, line in enumerate(path.read_text(encoding="latin-1").splitlines(), start=1):
        cells = line.split()
        for cell in cells:
            try:
                float(cell)
            except ValueError:
                return f"{path}, line {number}: {cell!r} is not a number"
        n_columns = n_columns or len(cells)
        if cells and len(cells) != n_columns:
            return f"{path}, line {number}: {len(cells)} numbers, the lines above have {n_columns}"
    return f"{path}: not a table of numbers"
