"""Handlers of common area-detector files, after their public specifications.

Each is made with a path and the resource's keywords, and called with the datum's; it returns an
array of shape (n_frames, ny, nx). A missing file or frame raises an OSError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.io.documents.hdf5_images import MAX_EVENT_BYTES, Hdf5Images
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
        roots: Roots,
        swmr: bool = False,
        key: str = "/entry/data/data",
        **_: Any,
    ) -> None:
        self._n_frames = _checked_frames(frame_per_point)
        self._images = Hdf5Images(path, key, roots, swmr=swmr)

    def __call__(self, *, point_number: int, **_: Any) -> NDArray[Any]:
        """Return the frames of a point, shape (n_frames, ny, nx)."""
        return self._images.event(int(point_number), self._n_frames)

    def close(self) -> None:
        """Close the file."""
        self._images.close()


class AreaDetectorTiff:
    """``AD_TIFF``: one file for every frame, named by the plug-in's template."""

    def __init__(
        self,
        path: str,
        template: str = "%s%s_%6.6d.tiff",
        filename: str = "",
        frame_per_point: int = 1,
        *,
        roots: Roots,
        **_: Any,
    ) -> None:
        if not _TEMPLATE.fullmatch(template):
            raise ValueError(f"file name template {template!r} is not that of a TIFF plugin")
        self._n_frames = _checked_frames(frame_per_point)
        self._name = partial(_formatted, template, str(path).rstrip("/") + "/", filename)
        self._roots = roots

    def __call__(self, *, point_number: int, **_: Any) -> NDArray[Any]:
        """Return the frames of a point, shape (n_frames, ny, nx)."""
        first = int(point_number) * self._n_frames
        return np.stack(
            [
                read_tiff(self._roots.confined(self._name(number)))
                for number in range(first, first + self._n_frames)
            ]
        )


class NumpySequence:
    """``NPY_SEQ``: one ``.npy`` file for every point."""

    def __init__(self, path: str, *, roots: Roots, **_: Any) -> None:
        self._path = path
        self._roots = roots

    def __call__(self, *, index: int, **_: Any) -> NDArray[Any]:
        """Return the frames of a point, shape (n_frames, ny, nx)."""
        image = read_npy(self._roots.confined(f"{self._path}_{int(index)}.npy"))
        return image[np.newaxis] if image.ndim < 3 else image


SPECS: Mapping[str, Callable[..., Any]] = {
    "AD_HDF5": AreaDetectorHdf5,
    "AD_HDF5_SWMR": partial(AreaDetectorHdf5, swmr=True),
    "AD_TIFF": AreaDetectorTiff,
    "NPY_SEQ": NumpySequence,
}
"""Handler for each ``spec`` of a resource."""


def handlers(roots: Roots, made: list[Any]) -> dict[str, Callable[..., Any]]:
    """Return handlers by ``spec``, confined to these folders; ``made`` collects the instances."""
    return {spec: _within(roots, handler, made) for spec, handler in SPECS.items()}


def _within(roots: Roots, handler: Callable[..., Any], made: list[Any]) -> Callable[..., Any]:
    """Return a handler whose roots cannot be changed by the keywords of a document."""

    def make(path: str, **keywords: Any) -> Any:
        made.append(handler(path, **{**keywords, "roots": roots}))
        return made[-1]

    return make


def read_tiff(path: Path) -> NDArray[Any]:
    """Return the first image of a TIFF file; an unfinished file raises an OSError."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            n_bytes = page.size * np.dtype(page.dtype).itemsize
            image = None if n_bytes > MAX_EVENT_BYTES else np.asarray(page.asarray())
    except (tifffile.TiffFileError, ValueError, TypeError, IndexError, KeyError) as error:
        raise OSError(f"{path.name} is not complete ({error})") from error
    if image is None:
        raise ValueError(f"{path.name}: an image has more than {MAX_EVENT_BYTES} bytes")
    return image


def read_npy(path: Path) -> NDArray[Any]:
    """Return the array of an ``.npy`` file; an unfinished file raises an OSError."""
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise OSError(f"{path.name} is not complete or holds no numbers ({error})") from error
    if mapped.nbytes > MAX_EVENT_BYTES:
        raise ValueError(f"{path.name}: an image has more than {MAX_EVENT_BYTES} bytes")
    return np.array(mapped)


def _formatted(template: str, folder: str, filename: str, number: int) -> str:
    return template % (folder, filename, number)


def _checked_frames(value: Any) -> int:
    n_frames = int(value or 1)
    if not 1 <= n_frames <= MAX_FRAMES:
        raise ValueError(f"{n_frames} frames per point; expected 1 to {MAX_FRAMES}")
    return n_frames
