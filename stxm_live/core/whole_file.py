"""Writing of files so that they are complete or absent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import h5py
    from _typeshed import ReadableBuffer


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield a file beside the wanted one to write to; it takes the name at the end.

    A pipe or a device, such as ``/dev/stdout``, is written to as it is.

    Raises
    ------
    OSError
        If the file cannot be written; an existing one stays. The message names the file.
    """
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if _is_device(path):
            yield path
        else:
            yield unfinished
            unfinished.replace(path)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error  # h5py's own fills five lines
        raise OSError(
            error.errno, f"{path} cannot be written ({reason}); choose another folder"
        ) from error
    finally:
        if unfinished.parent.is_dir():
            unfinished.unlink(missing_ok=True)


def _is_device(path: Path) -> bool:
    """Return True for a pipe or a device, also if it stands for a file, as ``/dev/stdout`` may."""
    is_other = path.exists() and not (path.is_file() or path.is_dir())
    return is_other or path.parent in (Path("/dev"), Path("/dev/fd"))


@contextmanager
def whole_hdf5(path: str | Path) -> Iterator[h5py.File]:
    """Yield an HDF5 file to write to, as `whole_file` does.

    Raises
    ------
    OSError
        If the file cannot be written; an existing one stays. The message names the file.
    """
    import h5py

    with whole_file(path) as unfinished, _PatientFile(unfinished, "w+") as target:
        try:
            with h5py.File(target, "w") as file:
                yield file
        finally:
            if target.error is not None:
                raise target.error


class _PatientFile(FileIO):
    """A file that keeps the error of its first failed write, and takes the rest for written.

    HDF5 cannot close a file after such an error: it prints hundreds of lines, and Python ends with
    a segmentation fault.
    """

    error: OSError | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        """Write all bytes, unless an earlier write has failed."""
        rest = memoryview(data).cast("B")
        n_bytes = len(rest)
        while rest and self.error is None:
            try:
                rest = rest[super().write(rest) :]
            except OSError as error:
                self.error = error
        return n_bytes

    def truncate(self, size: int | None = None, /) -> int:
        """Set the size, unless an earlier write has failed."""
        try:
            return size or 0 if self.error else super().truncate(size)
        except OSError as error:
            self.error = error
            return size or 0
