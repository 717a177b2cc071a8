"""Images in HDF5 files, also while they are being written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.io.documents.paths import Roots

if TYPE_CHECKING:
    import h5py

MAX_EVENT_BYTES = 2**30
"""Most bytes in the images of one event."""


class Hdf5Images:
    """Read rows of a dataset; the file stays open from one read to the next.

    All opens of a file in one process must have the same locking, and a file that is being
    written can be opened only if its writer allows it (SWMR); a file that cannot be opened yet is
    an OSError, and is to be tried again.

    Parameters
    ----------
    path : str
    dataset : str
    roots : Roots
    swmr : bool
        True if the file may still grow.
    """

    def __init__(self, path: str, dataset: str, roots: Roots, *, swmr: bool = True) -> None:
        self._path = roots.confined(path)
        self._dataset = dataset
        self._roots = roots
        self._swmr = swmr
        self._file: h5py.File | None = None

    def event(self, index: int, n_frames: int) -> NDArray[Any]:
        """Return the frames of one event, along the first axis.

        The dataset has a row for every frame, (n, ny, nx), or one for every event,
        (n, n_frames, ny, nx).

        Raises
        ------
        OSError
            If the file or the rows are not there yet.
        ValueError
            If the file points outside the roots, or the dataset has no images.
        """
        data = self._opened()
        if self._swmr and hasattr(data, "refresh"):
            data.refresh()
        if data.ndim < 1 or not np.issubdtype(data.dtype, np.number):
            raise ValueError(f"{self._path.name}: {self._dataset} holds no images")
        if data.ndim > 3:
            n_frames = 1
        start, stop = index * n_frames, (index + 1) * n_frames
        if stop > len(data):
            self._let_go()
            raise OSError(
                f"{self._path.name} has {len(data)} images, number {stop} is not there yet"
            )
        row_bytes = int(np.prod(data.shape[1:], dtype=np.int64)) * data.dtype.itemsize
        if (stop - start) * row_bytes > MAX_EVENT_BYTES:
            raise ValueError(f"{self._path.name}: an image has more than {MAX_EVENT_BYTES} bytes")
        return np.asarray(data[start:stop])

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> h5py.Dataset:
        import h5py

        if self._file is None or not self._file:
            self._file = self._open()
        try:
            data = self._file[self._dataset]
        except KeyError as error:
            self._let_go()
            raise OSError(f"{self._path.name} has no {self._dataset} yet") from error
        if not isinstance(data, h5py.Dataset):
            raise ValueError(f"{self._path.name}: {self._dataset} is not a dataset")
        self._check_confined(data)
        return data

    def _open(self) -> h5py.File:
        """Open the file, with or without SWMR as its writer requires."""
        import h5py

        problem: OSError | None = None
        for swmr in (True, False) if self._swmr else (False,):
            for locking in (None, False):
                try:
                    return h5py.File(self._path, "r", swmr=swmr, locking=locking)
                except OSError as error:
                    problem = problem or error
                    if "lock" not in str(error):
                        break
        assert problem is not None
        raise OSError(f"{self._path.name} cannot be opened yet ({problem})")

    def _let_go(self) -> None:
        """Close the file; without SWMR, new rows appear only when it is opened again."""
        if self._file is not None and not self._file.swmr_mode:
            self.close()

    def _check_confined(self, data: h5py.Dataset) -> None:
        """Raise an error for links, external storage and virtual datasets to other files."""
        others = [name for name, *_ in data.external or ()]
        if data.is_virtual:
            others += [source.file_name for source in data.virtual_sources()]
        if data.file.filename != str(self._path):
            others.append(data.file.filename)
        for name in others:
            if name != ".":
                self._roots.confined(self._path.parent / str(name))
