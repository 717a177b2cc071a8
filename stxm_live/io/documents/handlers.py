"""Handlers of common area-detector files, after their public specifications.

Each is made with a path and the resource's keywords, and called with the datum's; it returns an
array of shape (n_frames, ny, nx). A missing file or frame raises an OSError. The files are read in
another process.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from stxm_live.io.documents.facility_handlers import FacilityHandler, facility_handlers
from stxm_live.io.documents.file_reader import FileReader
from stxm_live.io.documents.hdf5_images import MAX_EVENT_BYTES, check_size
from stxm_live.io.documents.paths import Roots

MAX_FRAMES = 4096
"""Most frames of one point."""

_TEMPLATE = re.compile(r"%s%s[\w.-]*%(?:\d{1,2})?(?:\.\d{1,2})?d[\w.-]*")


class AreaDetectorHdf5:
    """``AD_HDF5``: the file plug-in of EPICS areaDetector, with all points in one file."""

    def __init__(
        self,
        path: str,
        frame_per_point: int = 1,
        *,
        reader: FileReader,
        swmr: bool = False,
        key: str = "/entry/data/data",
        **_: Any,
    ) -> None:
        self._n_frames = checked_frames(frame_per_point)
        self._read = partial(reader.hdf5, str(path), str(key), swmr=bool(swmr))

    def __call__(self, *, point_number: int, **_: Any) -> NDArray[Any]:
        """Return the frames of a point, shape (n_frames, ny, nx)."""
        return self._read(index=int(point_number), n_frames=self._n_frames)


class AreaDetectorTiff:
    """``AD_TIFF``: one file for every frame, named by the plug-in's template."""

    def __init__(
        self,
        path: str,
        template: str = "%s%s_%6.6d.tiff",
        filename: str = "",
        frame_per_point: int = 1,
        *,
        reader: FileReader,
        **_: Any,
    ) -> None:
        if not _TEMPLATE.fullmatch(template):
            raise ValueError(f"file name template {template!r} is not that of a TIFF plugin")
        self._n_frames = checked_frames(frame_per_point)
        self._name = partial(_formatted, template, str(path).rstrip("/") + "/", filename)
        self._reader = reader

    def __call__(self, *, point_number: int, **_: Any) -> NDArray[Any]:
        """Return the frames of a point, shape (n_frames, ny, nx)."""
        first = int(point_number) * self._n_frames
        names = [self._name(number) for number in range(first, first + self._n_frames)]
        return self._reader.files("tiff", names)


class NumpySequence:
    """``NPY_SEQ``: one ``.npy`` file for every point."""

    def __init__(self, path: str, *, reader: FileReader, **_: Any) -> None:
        self._path = path
        self._reader = reader

    def __call__(self, *, index: int, **_: Any) -> NDArray[Any]:
        """Return the frames of a point, shape (n_frames, ny, nx)."""
        images = self._reader.files("npy", [f"{self._path}_{int(index)}.npy"])
        return images if images.ndim < 4 else images[0]


SPECS: Mapping[str, Callable[..., Any]] = {
    "AD_HDF5": AreaDetectorHdf5,
    "AD_HDF5_SWMR": partial(AreaDetectorHdf5, swmr=True),
    "AD_TIFF": AreaDetectorTiff,
    "NPY_SEQ": NumpySequence,
}
"""Handler for each ``spec`` of a resource."""


def handlers(reader: FileReader) -> dict[str, Callable[..., Any]]:
    """Return handlers by ``spec``, which read by this reader: ours, and those of other packages."""
    found: dict[str, Callable[..., Any]] = {
        spec: partial(FacilityHandler, spec=spec) for spec in facility_handlers()
    }
    return {spec: _with(reader, handler) for spec, handler in (found | dict(SPECS)).items()}


def _with(reader: FileReader, handler: Callable[..., Any]) -> Callable[..., Any]:
    """Return a handler whose reader cannot be changed by the keywords of a document."""

    def make(path: str, **keywords: Any) -> Any:
        return handler(path, **{**keywords, "reader": reader})

    return make


def read_image(
    kind: str, path: str, roots: Roots, max_values: int = MAX_EVENT_BYTES
) -> NDArray[Any]:
    """Return the image of a file of the kind ``"tiff"`` or ``"npy"``.

    Raises
    ------
    OSError
        If the file is not there yet, or is not complete.
    ValueError
        If the path leads out of the roots, is no regular file, or the image has more values.
    """
    with roots.opened(path) as file:
        return _KINDS[kind](file, max_values)


def read_tiff(file: BinaryIO, max_values: int = MAX_EVENT_BYTES) -> NDArray[Any]:
    """Return the first image of a TIFF file; an unfinished file raises an OSError."""
    import tifffile

    name, too_large = _name(file), None
    try:
        with tifffile.TiffFile(file) as tiff:
            page = tiff.pages[0]
            try:
                check_size(name, page.shape, page.dtype, max_values)
            except ValueError as error:
                too_large = error
            else:
                return np.asarray(page.asarray(maxworkers=1))
    except (tifffile.TiffFileError, ValueError, TypeError, IndexError, KeyError) as error:
        raise OSError(f"{name} is not complete ({error})") from error
    raise too_large


def read_npy(file: BinaryIO, max_values: int = MAX_EVENT_BYTES) -> NDArray[Any]:
    """Return the array of an ``.npy`` file; an unfinished file raises an OSError."""
    name = _name(file)
    try:
        version = np.lib.format.read_magic(file)
        shape, _, dtype = _NPY_HEADERS[version](file)
        file.seek(0)
    except (ValueError, EOFError, KeyError) as error:
        raise OSError(f"{name} is not complete or holds no numbers ({error})") from error
    check_size(name, shape, dtype, max_values)
    try:
        return np.asarray(np.load(file, allow_pickle=False))
    except (ValueError, EOFError) as error:
        raise OSError(f"{name} is not complete or holds no numbers ({error})") from error


def _name(file: BinaryIO) -> str:
    return str(file.name).rpartition("/")[2]


_NPY_HEADERS: Mapping[tuple[int, int], Callable[[BinaryIO], Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}

_KINDS: Mapping[str, Callable[[BinaryIO, int], NDArray[Any]]] = {
    "tiff": read_tiff,
    "npy": read_npy,
}


def _formatted(template: str, folder: str, filename: str, number: int) -> str:
    return template % (folder, filename, number)


def checked_frames(value: Any) -> int:
    """Return the number of frames of a point; raises ValueError if it is out of range."""
    n_frames = int(value or 1)
    if not 1 <= n_frames <= MAX_FRAMES:
        raise ValueError(f"{n_frames} frames per point; expected 1 to {MAX_FRAMES}")
    return n_frames
