"""Plain HDF5 and TIFF stacks, described by a small TOML file.

Any HDF5 file::

    file = "particle.h5"
    data = "/exchange/data"
    axes = ["y", "x", "energy"]
    energies = "/exchange/energy"
    pixel_size_um = 0.05

A TIFF file with a page for each energy, or a list of files::

    file = ["p_505.tif", "p_513.tif"]
    energies = [505.0, 513.2]
    pixel_size_um = [0.05, 0.04]
    dwell_ms = 2.0

Files that are read without a mapping, each with the images of one energy or more::

    file = ["pre.hdr", "peak.hdr"]
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from stxm_live.core.file_arrays import stacked, to_file
from stxm_live.core.quantity import Quantity
from stxm_live.core.stack import Stack
from stxm_live.core.text_files import read_toml
from stxm_live.io.files.assembly import ScanGrid, assembled
from stxm_live.io.files.folder import check_inside, check_size, chosen
from stxm_live.io.files.hdf5 import counts, numbers, opened_hdf5
from stxm_live.io.files.joined import joined
from stxm_live.io.files.number_table import read_energies
from stxm_live.io.files.tiff import TIFF, tiff_images

_Axis = Literal["energy", "y", "x"]
_PixelSizeUm = Annotated[float, Field(ge=1e-5, le=1e4)]
_DwellMs = Annotated[float, Field(ge=0, le=1e9)]


class Mapping(BaseModel):
    """Description of a plain file; paths are relative to the mapping file's folder.

    ``file`` is an HDF5 file, a TIFF file with a page for each energy, or a list of files, one for
    each energy. ``data`` is the HDF5 data set of the counts, ``axes`` the order of its dimensions.
    ``energies`` is a list in eV, an HDF5 data set, or a text file with energies in its first
    column. ``pixel_size_um`` is one number or [x, y], from 1e-5 to 1e4. ``quantity`` says what the
    numbers are, where they are not counts. Files that are read without a mapping need ``file``
    only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str | Annotated[tuple[str, ...], Field(min_length=1)]
    data: str = ""
    axes: tuple[_Axis, _Axis, _Axis] = ("energy", "y", "x")
    energies: tuple[float, ...] | str = ()
    energy_unit: Literal["eV", "keV"] = "eV"
    pixel_size_um: _PixelSizeUm | tuple[_PixelSizeUm, _PixelSizeUm] | None = None
    dwell_ms: _DwellMs = 0.0
    quantity: Quantity | None = None

    @field_validator("axes")
    @classmethod
    def _each_axis_once(cls, axes: tuple[_Axis, ...]) -> tuple[_Axis, ...]:
        if len(set(axes)) != len(axes):
            raise ValueError("expected each of energy, y and x once")
        return axes


def read_mapped(
    path: str | Path, *, region: str | None = None, detector: str | None = None
) -> Stack:
    """Read the stack that a mapping file describes.

    Raises
    ------
    FileNotFoundError
        If a file that it names does not exist.
    ValueError
        If the mapping or a file is wrong; the message names the file and the field or line.
    """
    path = Path(path)
    chosen(path, "region", ["1"], region)
    chosen(path, "detector", ["counts"], detector)
    mapping = read_mapping(path)
    first, *others = mapped_files(path)[1:]
    for file in (first, *others):
        if not file.is_file():
            raise FileNotFoundError(f"{path}: file: {file} is not there")
    if not mapping.data and first.suffix.lower() not in TIFF:
        return _of_readable(path, mapping, [first, *others])
    for field in ("energies", "pixel_size_um"):
        if not getattr(mapping, field):
            raise ValueError(f"{path}: {field}: Field required")
    if first.suffix.lower() in TIFF:
        images = tiff_images([first, *others])
    else:
        images = _hdf5_images(mapping, [first, *others])
    if images.ndim != 3:
        raise ValueError(f"{path}: the counts have shape {images.shape}, expected {mapping.axes}")
    images = images.transpose([mapping.axes.index(axis) for axis in ("energy", "y", "x")])
    energies, notes = _energies(path, mapping, first)
    energies_ev = energies * (1e3 if mapping.energy_unit == "keV" else 1.0)
    size = mapping.pixel_size_um
    x_size, y_size = size if isinstance(size, tuple) else (size or 1.0, size or 1.0)
    grid = ScanGrid(
        x_um=tuple(np.arange(images.shape[2]) * x_size),
        y_um=tuple(np.arange(images.shape[1]) * y_size),
        dwell_ms=mapping.dwell_ms,
        quantity=mapping.quantity,
    )
    return assembled(path, images, energies_ev, grid, notes=notes)


def read_mapping(path: Path) -> Mapping:
    """Read the mapping in a TOML file."""
    values = read_toml(path)
    try:
        return Mapping(**values)
    except ValidationError as error:
        problems = "; ".join(_in_words(e) for e in error.errors())
        raise ValueError(f"{path}: {problems}") from error


def mapped_files(path: Path) -> list[Path]:
    """Return the mapping file and those it names, which must lie in its folder or below."""
    file = read_mapping(path).file
    names = (file,) if isinstance(file, str) else file
    return [path, *(check_inside(path.parent / name, path.parent) for name in names)]


def _of_readable(path: Path, mapping: Mapping, files: list[Path]) -> Stack:
    """Return the stack of files that have readers of their own."""
    from stxm_live.io.files.reading import has_reader, read_here

    unread = [f for f in files if f.suffix.lower() == ".toml" or not has_reader(f)]
    if unread:
        raise ValueError(f"{path}: data: name the data set of the counts in {unread[0].name}")
    given = mapping.model_fields_set - {"file", "quantity"}
    if given:
        raise ValueError(
            f"{path}: data: name the data set of the counts in {files[0].name}; or remove "
            f"{', '.join(sorted(given))}, if it is read without a mapping"
        )
    try:
        stack = joined(files, [read_here(file) for file in files])
    except ValueError as error:
        raise ValueError(
            f"{path}: {error}; of an HDF5 file in another layout name the data set of the counts "
            "(data)"
        ) from error
    scan = stack.scan.model_copy(update={"quantity": mapping.quantity or stack.scan.quantity})
    return replace(stack, scan=scan)


def _hdf5_images(mapping: Mapping, files: list[Path]) -> NDArray[np.float32]:
    """Return the data set of a file, or one image of each file."""
    images = []
    for file in files:
        with opened_hdf5(file) as opened:
            images.append(counts(file, opened, mapping.data))
        if len(files) > 1 and check_size(file, (len(files), *images[-1].shape)):
            images[-1] = to_file(images[-1])
    if len(images) > 1 and any(
        image.ndim != 2 or image.shape != images[0].shape for image in images
    ):
        shapes = ", ".join(f"{f.name} {i.shape}" for f, i in zip(files, images, strict=True))
        raise ValueError(f"{files[0].parent}: expected images of one shape (y, x): {shapes}")
    return images[0] if len(images) == 1 else stacked(images)


def _energies(path: Path, mapping: Mapping, file: Path) -> tuple[NDArray[np.float64], list[str]]:
    """Return the energies from the source that the mapping names, and notes on them."""
    if not isinstance(mapping.energies, str):
        return np.array(mapping.energies), []
    beside = path.parent / mapping.energies
    if not mapping.energies.startswith("/") and beside.is_file():
        return read_energies(check_inside(beside, path.parent))
    if file.suffix.lower() in TIFF:
        raise ValueError(f"{path}: energies: there is no file {beside}")
    with opened_hdf5(file) as opened:
        return numbers(file, opened, mapping.energies).ravel(), []


def _in_words(error: Any) -> str:
    field = str(error["loc"][0]) if error["loc"] else "mapping"
    return f"{field}: {error['msg']}"
