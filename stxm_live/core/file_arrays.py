"""Arrays that are too large for the memory, in temporary files that the system maps into it.

Such an array is an ndarray like any other. What is computed from images in a file is put into one
as well, wherever it is as large as the stack: `empty_as` and `kept_as` follow the images that they
are given. So where a stack is read decides for the whole way to its maps.

A file has no name from the moment it is made: it is gone when nothing refers to its arrays any
more, and when the process ends, however it ends.
"""

from __future__ import annotations

import errno
import math
import mmap
import os
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from stxm_live.core.machine_memory import available_bytes

MEMORY = "STXM_LIVE_MEMORY"
"""Variable with the memory that a map may take, in GiB; by default what is available."""

SCRATCH = "STXM_LIVE_SCRATCH"
"""Variable with the folder of the files; by default TMPDIR, /var/tmp or the system's own."""

CUBES_IN_MEMORY = 8
"""Memory of a map, with the reading, in sizes of its images as float32."""

CUBES_ON_DISK = 9
"""Disk space of a map whose arrays are in files, in the same unit."""

_FILE_BYTES = 256 * 2**20
"""Size of the files for arrays that are smaller: images of a stack share one."""

_BAND_BYTES = 2**26
"""Size of what is made at once of an array in a file."""

_PIXELS = 16_384
"""Spectra taken at once."""

_ALIGNED = 64
"""Bytes at a multiple of which an array begins, as numpy's own do."""

_MAPPED_BYTES = 2**28
"""Memory that shows parts of files from which it is given back."""

_LOOK_S = 0.05
"""Time between two looks at how much that is."""

_STATM = Path("/proc/self/statm")
"""Sizes of this process in pages; the third is what is mapped of files."""

_maps: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()
_lock = threading.Lock()
_open: tuple[weakref.ref[mmap.mmap], int] | None = None
"""The file with free space, and where that begins."""

_watched = False


class NoFileSpaceError(OSError):
    """The disk has no space for a temporary file, or none can be made there."""


def too_large_for_memory(n_bytes: int) -> bool:
    """Return True if the map of a stack of this size does not fit into memory.

    Parameters
    ----------
    n_bytes : int
        Size of its images as float32.
    """
    return CUBES_IN_MEMORY * n_bytes > memory_bytes()


def memory_bytes() -> int:
    """Return the memory that a map may take.

    Raises
    ------
    ValueError
        If STXM_LIVE_MEMORY is not a number of GiB.
    """
    text = os.environ.get(MEMORY, "").strip()
    if not text:
        return available_bytes()
    try:
        gib = float(text)
    except ValueError:
        gib = math.nan
    if not 0 < gib < math.inf:
        raise ValueError(f"{MEMORY}={text}: expected a number of GiB above 0, such as 4")
    return int(gib * 2**30)


def scratch_folder() -> Path:
    """Return the folder of the files; /tmp may be in memory, /var/tmp is on a disk."""
    named = os.environ.get(SCRATCH) or os.environ.get("TMPDIR")
    if named:
        return Path(named)
    usual = Path("/var/tmp")
    return usual if os.access(usual, os.W_OK) else Path(tempfile.gettempdir())


def check_disk(n_bytes: int) -> None:
    """Check that the folder has the space for the map of a stack of this size.

    Raises
    ------
    ValueError
        If it has not, or cannot be used; the message says what is needed and what to do.
    """
    folder = scratch_folder()
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise ValueError(
            f"{folder}: cannot be used for temporary files ({error.strerror}); set {SCRATCH} to a "
            "folder that can"
        ) from error
    if CUBES_ON_DISK * n_bytes > free:
        raise ValueError(
            f"images of {_gib(n_bytes)} do not fit into memory with what is computed of them "
            f"({_gib(memory_bytes())} may be used, {_gib(CUBES_IN_MEMORY * n_bytes)} are needed), "
            f"and the {_gib(CUBES_ON_DISK * n_bytes)} of temporary files that take its place do "
            f"not fit into {folder} ({_gib(free)} are free); make space there, set {SCRATCH} to a "
            "folder on another disk, or map fewer energies or a part of the field"
        )


def _gib(n_bytes: int) -> str:
    return f"{n_bytes / 2**30:.3g} GiB"


def is_in_file(array: NDArray[Any]) -> bool:
    """Return True if an array, or that of which it is a part, is in a file of ours."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    owner = base.obj if isinstance(base, memoryview) else base
    return isinstance(owner, mmap.mmap) and owner in _maps


def empty(shape: Sequence[int], dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Return an array in a file, its values not set.

    Raises
    ------
    NoFileSpaceError
        If the disk is full, before anything is written.
    """
    kind = np.dtype(dtype)
    n_bytes = math.prod(shape) * kind.itemsize
    if not n_bytes:
        return np.empty(shape, kind)
    held, start = _place_for(n_bytes)
    return np.frombuffer(held, np.uint8, n_bytes, start).view(kind).reshape(shape)


def empty_as(
    like: NDArray[Any], shape: Sequence[int], dtype: DTypeLike = np.float32
) -> NDArray[Any]:
    """Return an array in a file if another one is, else in memory; its values are not set."""
    return empty(shape, dtype) if is_in_file(like) else np.empty(shape, dtype)


def empty_like(array: NDArray[Any], dtype: DTypeLike | None = None) -> NDArray[Any]:
    """Return an array of the shape and the order in memory of another one, in a file if that is."""
    kind = array.dtype if dtype is None else np.dtype(dtype)
    if not is_in_file(array):
        return np.empty_like(array, kind)
    order = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
    made = empty([array.shape[axis] for axis in order], kind)
    return made.transpose(np.argsort(order))


def kept_as(like: NDArray[Any], array: NDArray[Any]) -> NDArray[Any]:
    """Return an array as it is, or its copy in a file if another one is in a file."""
    return to_file(array) if is_in_file(like) else array


def to_file(array: NDArray[Any]) -> NDArray[Any]:
    """Return the copy of an array in a file; the array itself if it is in one."""
    if is_in_file(array):
        return array
    order = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
    copied = empty([array.shape[axis] for axis in order], array.dtype)
    copied = copied.transpose(np.argsort(order))
    copied[...] = array
    return copied


def stacked(images: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return images of one shape as one array, in a file if the first one is."""
    made = empty_as(images[0], (len(images), *images[0].shape), images[0].dtype)
    for image, place in zip(images, made, strict=True):
        place[...] = image
    return made


def parts_of(shape: Sequence[int]) -> Iterator[slice]:
    """Yield places along the first axis of an array that is filled some MiB after the others."""
    n_bytes = max(1, 4 * math.prod(shape[1:]))
    step = max(1, _BAND_BYTES // n_bytes)
    for start in range(0, shape[0], step):
        yield slice(start, start + step)


def of_pixels(
    cube: NDArray[Any],
    mask: NDArray[np.bool_],
    change: Callable[[NDArray[Any]], NDArray[Any]] = np.asarray,
    dtype: DTypeLike | None = None,
) -> NDArray[Any]:
    """Return some pixels of all images, shape (n_images, n_pixels), each pixel's values together.

    Parameters
    ----------
    cube : ndarray of shape (n_images, ny, nx)
    mask : ndarray of bool, shape (ny, nx)
    change : callable, optional
        Makes the values of some pixels from those of the cube, each by itself, in the same order.
    dtype : dtype, optional
        That of the values that are made; by default that of the cube.
    """
    if not is_in_file(cube):
        return change(cube[:, mask])
    n_images, ny, nx = cube.shape
    found = empty((int(mask.sum()), n_images), cube.dtype if dtype is None else dtype).T
    n_rows, start = max(1, _BAND_BYTES // max(1, n_images * nx * cube.itemsize)), 0
    for first in range(0, ny, n_rows):
        rows = slice(first, first + n_rows)
        some = change(cube[:, rows][:, mask[rows]])
        found[:, start : start + some.shape[1]] = some
        start += some.shape[1]
    return found


def in_bands(change: Callable[[slice], NDArray[Any]], out: NDArray[Any]) -> NDArray[Any]:
    """Return an array of shape (n, n_pixels) that was set for some pixels after the others.

    Parameters
    ----------
    change : callable
        Returns the values of the pixels of a slice.
    out : ndarray of shape (n, n_pixels)
        Is overwritten.
    """
    for part in bands(out.shape[1]):
        out[:, part] = change(part)
    return out


def bands(n_pixels: int) -> Iterator[slice]:
    """Yield places of so many pixels, some after the others."""
    for start in range(0, n_pixels, _PIXELS):
        yield slice(start, start + _PIXELS)


def _place_for(n_bytes: int) -> tuple[mmap.mmap, int]:
    """Return a file with space for an array, and where that begins."""
    global _open
    with _lock:
        held, start = (None, 0) if _open is None else (_open[0](), _open[1])
        if held is None or start + n_bytes > len(held):
            held, start = _new_file(max(n_bytes, _FILE_BYTES)), 0
        if n_bytes < _FILE_BYTES:
            _open = weakref.ref(held), -(-(start + n_bytes) // _ALIGNED) * _ALIGNED
        _watch()
        return held, start


def _new_file(n_bytes: int) -> mmap.mmap:
    """Return a file without a name whose space is reserved: a full disk would end the process."""
    folder = scratch_folder()
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, n_bytes)
            elif shutil.disk_usage(folder).free < n_bytes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            else:
                file.truncate(n_bytes)
            made = mmap.mmap(file.fileno(), n_bytes)
    except OSError as error:
        raise NoFileSpaceError(
            error.errno,
            f"{_gib(n_bytes)} of temporary files for a stack larger than memory: {error.strerror}; "
            f"make space there, or set {SCRATCH} to a folder on another disk",
            str(folder),
        ) from error
    _maps.add(made)
    return made


def _watch() -> None:
    """Give memory back that shows parts of the files, as long as there are any (Linux)."""
    global _watched
    if _watched or not hasattr(mmap, "MADV_DONTNEED") or not _STATM.exists():
        return
    _watched = True
    threading.Thread(target=_give_back, name="stxm-live-file-arrays", daemon=True).start()


def _give_back() -> None:
    """Let go of what the process has mapped of files; the system keeps it as long as it can.

    It does so by itself when memory is short, but until then it counts as memory of the process.
    """
    global _watched
    while True:
        time.sleep(_LOOK_S)
        with _lock:
            files = list(_maps)
            if not files:
                _watched = False
                return
        mapped = int(_STATM.read_text(encoding="ascii").split()[2]) * mmap.PAGESIZE
        if mapped > _MAPPED_BYTES:
            _let_go(files)
        del files


def _let_go(files: Iterable[mmap.mmap]) -> None:
    """Show nothing of the files until it is asked for; what was written stays."""
    for file in files:
        file.madvise(mmap.MADV_DONTNEED)
