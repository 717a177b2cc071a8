"""Spectra in files: as columns, or recorded by the microscope at a point."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.recipe_files import read_two_columns
from stxm_live.io.files.folder import check_inside, chosen
from stxm_live.io.files.hdf5 import numbers, opened_hdf5
from stxm_live.io.files.nexus_axes import energies_of
from stxm_live.io.files.nexus_stxm import (
    detectors_of,
    energy_name,
    nexus_entries,
    scan_type_of,
    signal_name,
)
from stxm_live.io.files.reading import is_nexus
from stxm_live.io.files.reading_apart import read_apart
from stxm_live.io.files.sdf_header import read_header

_Spectrum = tuple[NDArray[np.float64], NDArray[np.float64]]


def read_spectrum(
    path: str | Path, *, region: str | None = None, detector: str | None = None
) -> _Spectrum:
    """Read a spectrum from two columns, or from a point scan in SDF or NXstxm.

    A microscope records counts at a point: I0 if there was no specimen. For a reference
    spectrum, two of them give an optical density, ln(I0 / I).

    Parameters
    ----------
    path : path-like
        A text file (``.xsp``, ``.t``, ``.csv``), an SDF header or an NXstxm file.
    region, detector : str, optional
        Choice in a file of several; without it, the error names them.

    Returns
    -------
    energies_ev, values : ndarray of shape (n_energies,)
        Ascending energies.

    Raises
    ------
    ValueError
        If the file cannot be read or is not a point scan; the message names the file and line.
    """
    path = Path(path)
    if is_nexus(path):
        parts = read_apart("spectrum", path, [path], region=region, detector=detector)
        energies_ev, values = parts.arrays
        return energies_ev, values
    if path.suffix.lower() == ".hdr":
        return read_two_columns(_xsp_of(path, region))
    return read_two_columns(path)


def _xsp_of(path: Path, region: str | None) -> Path:
    """Return the text file that a point scan's header names."""
    definition = read_header(path).get("ScanDefinition")
    scan_type = str(definition.get("Type", "")) if isinstance(definition, dict) else ""
    if not isinstance(definition, dict) or "point" not in scan_type.lower():
        raise ValueError(f"{path}: {scan_type!r}, expected a point scan")
    n_regions = len(definition.get("Regions") or [0])
    index = int(chosen(path, "region", [str(k + 1) for k in range(n_regions)], region)) - 1
    return check_inside(path.with_name(f"{path.stem}_{index}.xsp"), path.parent)


def nexus_spectrum(path: Path, *, region: str | None, detector: str | None) -> _Spectrum:
    """Read a point scan of an NXstxm file in this process; see `read_spectrum`."""
    with opened_hdf5(path) as file:
        entry = file[chosen(path, "region", nexus_entries(file), region)]
        data = entry[chosen(path, "detector", detectors_of(entry), detector)]
        scan_type = scan_type_of(data)
        if "point" not in scan_type.lower():
            raise ValueError(f"{path}: {scan_type!r}, expected a point scan")
        energies_ev = energies_of(path, data, energy_name(path, data))
        counts = numbers(path, data, signal_name(data)).ravel()
    if counts.shape != energies_ev.shape:
        raise ValueError(f"{path}: {counts.size} counts for {energies_ev.size} energies")
    measured = np.isfinite(counts)
    order = np.argsort(energies_ev[measured], kind="stable")
    return energies_ev[measured][order], counts[measured][order]
