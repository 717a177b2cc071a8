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
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, ValidationError, field_validator

from stxm_live.core.quantity import Quantity
from stxm_live.core.stack import Stack
from stxm_live.io.files.assembly import ScanGrid, assembled
from stxm_live.io.files.folder import check_inside, check_size, chosen
from stxm_live.io.files.hdf5 import counts, numbers, opened_hdf5
from stxm_live.io.files.number_table import read_numbers

_Axis = Literal["energy", "y", "x"]
_TIFF = (".tif", ".tiff")


class Mapping(BaseModel):
    """Description of a plain file; paths are relative to the mapping file's folder.

    ``file`` is an HDF5 file, a TIFF file with a page for each energy, or a list of TIFF files,
    one for each energy. ``data`` is the HDF5 data set of the counts, ``axes`` the order of its
    dimensions. ``energies`` is a list in eV, an HDF5 data set, or a text file with energies in
    its first column. ``pixel_size_um`` is one number or [x, y]. ``quantity`` says what the numbers
    are, where they are not counts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str | Annotated[tuple[str, ...], Field(min_length=1)]
    data: str = ""
    axes: tuple[_Axis, _Axis, _Axis] = ("energy", "y", "x")
    energies: tuple[float, ...] | str
    energy_unit: Literal["eV", "keV"] = "eV"
    pixel_size_um: PositiveFloat | tuple[PositiveFloat, PositiveFloat]
    dwell_ms: Annotated[float, Field(ge=0)] = 0.0
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
    if first.suffix.lower() in _TIFF:
        images = _tiff_images([first, *others])
    else:
        images = _hdf5_images(path, mapping, first)
    if images.ndim != 3:
        raise ValueError(f"{path}: the counts have shape {images.shape}, expected {mapping.axes}")
    images = images.transpose([mapping.axes.index(axis) for axis in ("energy", "y", "x")])
    energies_ev = _energies(path, mapping, first) * (1e3 if mapping.energy_unit == "keV" else 1.0)
    size = mapping.pixel_size_um
    x_size, y_size = size if isinstance(size, tuple) else (size, size)
    grid = ScanGrid(
        x_um=tuple(np.arange(images.shape[2]) * x_size),
        y_um=tuple(np.arange(images.shape[1]) * y_size),
        dwell_ms=mapping.dwell_ms,
        quantity=mapping.quantity,
    )
    return assembled(path, images, energies_ev, grid)


def read_mapping(path: Path) -> Mapping:
    """Read the mapping in a TOML file."""
    try:
        return Mapping(**tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {error}") from error
    except ValidationError as error:
        problems = "; ".join(_in_words(e) for e in error.errors())
        raise ValueError(f"{path}: {problems}") from error


def mapped_files(path: Path) -> list[Path]:
    """Return the mapping file and those it names, which must lie in its folder or below."""
    file = read_mapping(path).file
    names = (file,) if isinstance(file, str) else file
    return [path, *(check_inside(path.parent / name, path.parent) for name in names)]


def _hdf5_images(path: Path, mapping: Mapping, file: Path) -> NDArray[np.float32]:
    if not mapping.data:
        raise ValueError(f"{path}: data: name the data set of the counts in {file.name}")
    with opened_hdf5(file) as opened:
        return counts(file, opened, mapping.data)


def _tiff_images(files: list[Path]) -> NDArray[np.float32]:
    """Return the pages of a file, or one image of each file."""
    import tifffile

    images = []
    for file in files:
        try:
            with tifffile.TiffFile(file) as tiff:
                check_size(file, (len(files), *tiff.series[0].shape))
                images.append(np.asarray(tiff.asarray(), dtype=np.float32))
        except Exception as error:  # tifffile has errors of any kind for a damaged file
            raise ValueError(
                f"{file}: cannot be read; it is not a TIFF or is incomplete ({error!r:.200})"
            ) from error
    if len({image.shape for image in images}) > 1:
        shapes = ", ".join(f"{f.name} {i.shape}" for f, i in zip(files, images, strict=True))
        raise ValueError(f"{files[0].parent}: the images have different shapes: {shapes}")
    return images[0] if len(images) == 1 else np.stack(images)


def _energies(path: Path, mapping: Mapping, file: Path) -> NDArray[np.float64]:
    """Return the energies in eV from the source that the mapping names."""
    if not isinstance(mapping.energies, str):
        return np.array(mapping.energies)
    beside = path.parent / mapping.energies
    if not mapping.energies.startswith("/") and beside.is_file():
        return read_numbers(check_inside(beside, path.parent))[:, 0]
    if file.suffix.lower() in _TIFF:
        raise ValueError(f"{path}: energies: there is no file {beside}")
    with opened_hdf5(file) as opened:
        return numbers(file, opened, mapping.energies).ravel()


def _in_words(error: Any) -> str:
    field = str(error["loc"][0]) if error["loc"] else "mapping"
    return f"{field}: {error['msg']}"
