"""Results as NeXus files: each product is an NXdata; the final map is the default plot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stxm_live.core.map_products import VARIABLE_TEXTS
from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.whole_file import whole_hdf5
from stxm_live.io.results.dataset import as_dataset, final_index_name

if TYPE_CHECKING:
    import h5py
    import xarray

_COMPRESSED_FROM = 1024
_LABELS = ("phase", "direction")
"""Dimensions with words as coordinates: viewers accept only numbers, so they are no NeXus axes."""


def write_nexus(maps: PhaseMaps | xarray.Dataset, path: str | Path) -> Path:
    """Write a result as a NeXus file (HDF5).

    ``/entry`` holds an NXdata group for each product of `PhaseMaps.to_xarray`, named like it,
    with signal, axes, units and interpretation; ``/entry/result`` (NXcollection) the status,
    verdict, warnings and phase names, ``/entry/process`` (NXprocess) program, version and, as
    JSON, the provenance. Masks are 0 and 1; an index of -1 is no specimen or no data, NaN no
    value. Rows and columns are in the order of the scan; the axes ``y`` and ``x`` may descend.

    Parameters
    ----------
    maps : PhaseMaps or xarray.Dataset
        A dataset as `PhaseMaps.to_xarray` makes it.
    path : path
        The file to write; an existing one is replaced.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OSError
        If the file cannot be written; an existing one stays.
    """
    dataset = as_dataset(maps)
    with whole_hdf5(path) as file:
        file.attrs.update({"NX_class": "NXroot", "default": "entry", "creator": "stxm_live"})
        _write_entry(_group(file, "entry", "NXentry"), dataset)
    return Path(path)


def read_nexus(path: str | Path) -> xarray.Dataset:
    """Read a result from a file of `write_nexus`, equal to the dataset it was written from.

    Raises
    ------
    ValueError
        If the file is not a result of stxm_live; the message names the file.
    """
    import h5py
    import xarray

    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    if not h5py.is_hdf5(path):
        raise ValueError(f"{path}: not an HDF5 file; expected one from stxm-live export")
    with h5py.File(path, "r") as file:
        if "entry/result" not in file or "dims" not in file["entry/result"].attrs:
            raise ValueError(f"{path}: not a result of stxm_live: it has no /entry/result")
        result = file["entry/result"]
        attributes = {
            name: _read_plain(result[name]) if name in result else []
            for name in result.attrs["attributes"]
        }
        variables = {name: _read_variable(group[name]) for name, group in _products(file["entry"])}
        coordinates = {name: _read_variable(result[name]) for name in result.attrs["dims"]}
    return xarray.Dataset(variables, coordinates, attributes)


def _write_entry(entry: h5py.Group, dataset: xarray.Dataset) -> None:
    entry.attrs["default"] = final_index_name(dataset)
    synthetic = " (synthetic references)" if dataset.attrs["synthetic_references"] else ""
    runs = ", ".join(uid[:8] for uid in dataset.attrs["run_uids"])
    runs = runs or dataset.attrs.get("source") or "a file"
    content = dataset.attrs.get("content", "Phase maps of")
    entry["title"] = f"{content} {runs}, region {dataset.attrs['region']}{synthetic}"
    _write_result(_group(entry, "result", "NXcollection"), dataset)
    _write_process(_group(entry, "process", "NXprocess"), dataset)
    for name, variable in dataset.data_vars.items():
        group = _group(entry, str(name), "NXdata")
        _write_variable(group, str(name), variable)
        axes = [_axis(entry, group, str(dim)) for dim in variable.dims]
        group.attrs.update({"signal": str(name), "axes": axes})
        group["title"] = f"{variable.attrs['long_name']}{_meaning(str(name), dataset)}{synthetic}"


def _write_result(group: h5py.Group, dataset: xarray.Dataset) -> None:
    """Write all attributes, and the coordinates that the products' groups link to."""
    for name, variable in dataset.coords.items():
        _write_variable(group, str(name), variable)
    attributes = {name: value for name, value in dataset.attrs.items() if name != "provenance"}
    for name, value in attributes.items():
        if value != []:  # HyperSpy does not open a file that has a data set without any value
            group.create_dataset(name, data=value, dtype=_text_type(value))
    group["provenance"] = dataset.attrs["provenance"]
    group.attrs["attributes"] = [*attributes, "provenance"]
    group.attrs["dims"] = list(map(str, dataset.coords))


def _write_process(group: h5py.Group, dataset: xarray.Dataset) -> None:
    provenance = json.loads(dataset.attrs["provenance"])
    group["program"] = "stxm_live"
    group["version"] = str(provenance.get("version", ""))
    note = _group(group, "provenance", "NXnote")
    note["type"] = "application/json"
    note["data"] = dataset.attrs["provenance"]


def _write_variable(group: h5py.Group, name: str, variable: xarray.DataArray) -> None:
    values = variable.values
    options: dict[str, Any] = {}
    if values.size >= _COMPRESSED_FROM:
        options = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
    if values.dtype.kind == "U":
        field = group.create_dataset(name, data=values.tolist(), dtype=_text_type(""))
    else:
        data = values.astype(np.uint8) if values.dtype == np.bool_ else values
        field = group.create_dataset(name, data=data, **options)
    field.attrs.update({key: value for key, value in variable.attrs.items() if value != ""})
    field.attrs["dims"] = list(map(str, variable.dims))
    field.attrs["empty"] = [key for key, value in variable.attrs.items() if value == ""]
    field.attrs["logical"] = int(values.dtype == np.bool_)
    if values.ndim > 1:
        is_image = variable.dims[-2:] == ("y", "x")
        field.attrs["interpretation"] = "image" if is_image else "spectrum"


def _axis(entry: h5py.Group, group: h5py.Group, dim: str) -> str:
    """Return the name of an axis linked in a group; "." for one without numbers."""
    result = entry["result"]
    if dim not in result or dim in _LABELS:
        return "."
    group[dim] = result[dim]
    result[dim].attrs["target"] = result[dim].name
    return dim


def _meaning(name: str, dataset: xarray.Dataset) -> str:
    """Return what the numbers of an index map or the layers of a product stand for."""
    if "phase" not in dataset:
        return ""
    names = ", ".join(f"{k} {phase}" for k, phase in enumerate(dataset["phase"].values))
    if name.endswith("_index") or name == "ambiguous_pair":
        return f": {names}, -1 none"
    return f": {names}" if "phase" in dataset[name].dims else ""


def _products(entry: h5py.Group) -> list[tuple[str, h5py.Group]]:
    groups = ((name, group) for name, group in entry.items())
    return [(name, group) for name, group in groups if group.attrs.get("NX_class") == "NXdata"]


def _read_variable(field: h5py.Dataset) -> tuple[tuple[str, ...], Any, dict[str, Any]]:
    values = _read_plain(field) if field.dtype.kind == "O" else field[()]
    if field.attrs["logical"]:
        values = values.astype(np.bool_)
    attributes: dict[str, Any] = {
        key: str(field.attrs[key]) for key in VARIABLE_TEXTS if key in field.attrs
    }
    if "flag_values" in field.attrs:
        attributes["flag_values"] = field.attrs["flag_values"].tolist()
    attributes |= dict.fromkeys(field.attrs["empty"], "")
    return tuple(field.attrs["dims"]), values, attributes


def _read_plain(field: h5py.Dataset) -> Any:
    """Return a string, a number, or a list of strings."""
    if field.dtype.kind != "O":
        return field[()].item()
    values = field.asstr()[()]
    return values if isinstance(values, str) else values.tolist()


def _text_type(value: object) -> Any:
    import h5py

    return h5py.string_dtype() if isinstance(value, str | list) else None


def _group(parent: h5py.Group, name: str, nx_class: str) -> h5py.Group:
    group = parent.create_group(name)
    group.attrs["NX_class"] = nx_class
    return group
