"""Images in TIFF files: pages of one file, or one file for each energy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.file_arrays import empty, parts_of, stacked
from stxm_live.core.stack import Stack
from stxm_live.io.files.assembly import ScanGrid, assembled
from stxm_live.io.files.folder import check_inside, check_size, chosen
from stxm_live.io.files.number_table import read_energies

TIFF = (".tif", ".tiff")
_ENERGIES = (".txt", ".csv", ".dat")
_NUMBERED = re.compile(r"(.+?)[_-]?(\d+)")


def read_tiff(path: str | Path, *, region: str | None = None, detector: str | None = None) -> Stack:
    """Read a TIFF of one page for each energy, as MANTiS does: the energies are in NAME.txt.

    Or one image of a series, see `energies_of_series`.

    Raises
    ------
    ValueError
        If there is no such text file, or the numbers of pages and energies differ.
    """
    path = Path(path)
    chosen(path, "region", ["1"], region)
    chosen(path, "detector", ["counts"], detector)
    beside, energies_ev, notes = _energies_of(path)
    images = tiff_images([path])
    if images.ndim == 2:
        images = images[np.newaxis]
    if len(energies_ev) != len(images):
        raise ValueError(
            f"{path}: {len(images)} pages, but {beside.name} has {len(energies_ev)} energies"
        )
    ny, nx = images.shape[1:]
    grid = ScanGrid(x_um=tuple(np.arange(nx) * 1.0), y_um=tuple(np.arange(ny) * 1.0))
    notes = [f"{path.name}: no pixel size; a pixel is taken as 1 um", *notes]
    return assembled(path, images, energies_ev, grid, notes=notes)


def _energies_of(path: Path) -> tuple[Path, NDArray[np.float64], list[str]]:
    """Return the file with the energies of a TIFF, those of its pages, and notes."""
    beside, series = energies_beside(path), energies_of_series(path)
    if beside is not None:
        return beside, *read_energies(check_inside(beside, path.parent))
    if series is None:
        raise ValueError(
            f"{path}: a TIFF says nothing of its energies; write them into {path.stem}.txt beside "
            "it, or write a mapping file (.toml) with energies and pixel size"
        )
    beside, place = series
    energies_ev, notes = read_energies(check_inside(beside, path.parent))
    if place >= len(energies_ev):
        raise ValueError(
            f"{path}: image {place + 1}, but {beside.name} has {len(energies_ev)} energies"
        )
    return beside, energies_ev[place : place + 1], notes


def energies_beside(path: Path) -> Path | None:
    """Return the text file of the same name with the energies, if there is one."""
    return next((p for s in _ENERGIES if (p := path.with_suffix(s)).is_file()), None)


def energies_of_series(path: Path) -> tuple[Path, int] | None:
    """Return the file with the energies of a series, and the place of an image in it.

    The images are ``scan_0001.tif``, ``scan_0002.tif`` and so on, from 0 or 1; the energies are in
    ``scan.txt`` or ``energies.txt``.
    """
    found = _NUMBERED.fullmatch(path.stem)
    if found is None:
        return None
    zero = path.with_name(f"{path.stem[: found.start(2)]}{'0' * len(found[2])}{path.suffix}")
    first = 0 if zero.is_file() else 1
    for stem in (found[1], "energies"):
        beside = energies_beside(path.with_name(stem + path.suffix))
        if beside is not None and int(found[2]) >= first:
            return beside, int(found[2]) - first
    return None


def tiff_files(path: Path) -> list[Path]:
    """Return the TIFF and the file of its energies."""
    beside = energies_beside(path)
    series = energies_of_series(path)
    if beside is None and series is not None:
        beside = series[0]
    return [path] if beside is None else [path, beside]


def tiff_images(files: Sequence[Path]) -> NDArray[np.float32]:
    """Return the pages of a file, or one image of each file, shape (n, ny, nx) or (ny, nx).

    Raises
    ------
    ValueError
        If a file is damaged, holds colors, or its images have different shapes.
    """
    import tifffile

    images = []
    for file in files:
        try:
            with tifffile.TiffFile(file) as tiff:
                images.append(_pages(file, tiff, len(files)))
        except _WrongContentError:
            raise
        except Exception as error:  # tifffile has errors of any kind for a damaged file
            raise ValueError(
                f"{file}: cannot be read; it is not a TIFF or is incomplete ({error!r:.200})"
            ) from error
    if len({image.shape for image in images}) > 1:
        shapes = ", ".join(f"{f.name} {i.shape}" for f, i in zip(files, images, strict=True))
        raise ValueError(f"{files[0].parent}: the images have different shapes: {shapes}")
    return images[0] if len(images) == 1 else stacked(images)


class _WrongContentError(ValueError):
    """An error that says what is wrong with the content of a file."""


def _pages(file: Path, tiff: Any, n_files: int) -> NDArray[np.float32]:
    """Return all pages of an open TIFF, also if each was written as an image of its own."""
    first, shapes = tiff.series[0], [series.shape for series in tiff.series]
    if first.axes.endswith("S") and first.dtype == np.uint8:
        raise _WrongContentError(f"{file}: a picture in colors, not counts")
    if first.dtype.kind not in "buif":
        raise _WrongContentError(f"{file}: holds {first.dtype}, expected counts")
    if len(shapes) == 1 or first.ndim > 2:
        is_large = check_size(file, (n_files, *first.shape))
        if not is_large:
            return np.asarray(first.asarray(), dtype=np.float32)
        pages = first.asarray(out=empty(first.shape, first.dtype))
        images = empty(first.shape)
        for part in parts_of(first.shape):
            images[part] = pages[part]
        return images
    if len(set(shapes)) > 1:
        raise _WrongContentError(
            f"{file}: its pages have different shapes: {', '.join(map(str, shapes[:5]))}"
        )
    if not check_size(file, (len(shapes), *first.shape)):
        return np.stack([np.asarray(s.asarray(), dtype=np.float32) for s in tiff.series])
    images = empty((len(shapes), *first.shape))
    for image, series in zip(images, tiff.series, strict=True):
        image[...] = series.asarray()
    return images
