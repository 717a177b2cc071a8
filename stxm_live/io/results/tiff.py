"""Results as TIFF images with the pixel size in their tags, as ImageJ reads them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.whole_file import whole_file
from stxm_live.io.results.dataset import as_dataset, pixel_size_um

if TYPE_CHECKING:
    import xarray

NO_PHASE = 255
"""Value in index maps for no specimen or no data."""


def write_tiff(maps: PhaseMaps | xarray.Dataset, folder: str | Path) -> list[Path]:
    """Write each image product as ``<product>.tif``, with named pages for energies or phases.

    Quantities are float32, NaN where there is no value. Index maps are uint8 with 255 for no
    phase, masks uint8 with 0 and 255. Rows and columns are in the order of the scan: row 0 is
    at the first y, as the description says. The tags hold the pixel size (um) where it is known.

    Parameters
    ----------
    maps : PhaseMaps or xarray.Dataset
        A dataset as `PhaseMaps.to_xarray` makes it.
    folder : path
        Created if it does not exist; files of the same names are replaced.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    dataset = as_dataset(maps)
    written = []
    for name, variable in dataset.data_vars.items():
        if variable.dims[-2:] != ("y", "x"):
            continue
        path = Path(folder) / f"{name}.tif"
        _write(path, variable, dataset)
        written.append(path)
    return written


def _write(path: Path, variable: xarray.DataArray, dataset: xarray.Dataset) -> None:
    import tifffile

    size = pixel_size_um(dataset)
    options: dict[str, Any] = {}
    metadata: dict[str, Any] = {"Info": _description(variable, dataset)}
    if variable.ndim == 3:
        metadata["Labels"] = _labels(variable, dataset)
        metadata["axes"] = "ZYX"
    if size is not None:
        options["resolution"] = (1.0 / size[1], 1.0 / size[0])
        metadata["unit"] = "um"
    with whole_file(path) as unfinished:
        tifffile.imwrite(
            unfinished, _pixels(variable.values), imagej=True, metadata=metadata, **options
        )


def _pixels(values: NDArray[Any]) -> NDArray[Any]:
    """Return float32, or uint8 for masks and indices."""
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype.kind == "i":
        return np.where(values < 0, NO_PHASE, values).astype(np.uint8)
    return values.astype(np.float32)


def _labels(variable: xarray.DataArray, dataset: xarray.Dataset) -> list[str]:
    dim = str(variable.dims[0])
    if dim == "phase":
        return [_one_line(name) for name in dataset["phase"].values]
    if dim == "energy_ev":
        return [f"{energy_ev:g} eV" for energy_ev in dataset["energy_ev"].values]
    return [f"{dim} {k + 1}" for k in range(variable.shape[0])]


def _description(variable: xarray.DataArray, dataset: xarray.Dataset) -> str:
    """Return a text on the numbers for ImageJ's Show Info."""
    names = [f"{k} {_one_line(name)}" for k, name in enumerate(dataset["phase"].values)]
    lines = [f"{variable.attrs['long_name']} ({variable.attrs['units'] or 'no unit'})"]
    if variable.dtype.kind == "i":
        lines.append(f"{', '.join(names)}, {NO_PHASE} none")
    lines.append(f"row 0 at y = {dataset['y'].values[0]:g} um, last {dataset['y'].values[-1]:g} um")
    lines.append(
        f"column 0 at x = {dataset['x'].values[0]:g} um, last {dataset['x'].values[-1]:g} um"
    )
    if dataset.attrs["synthetic_references"]:
        lines.append("synthetic references: calculated spectra")
    lines.append(f"quality {_one_line(dataset.attrs['quality'])}")
    return "\n".join(lines)


def _one_line(text: object) -> str:
    """Return the text in one line without surrogates, which no file accepts."""
    return " ".join(str(text).encode("utf-8", "replace").decode().split())
