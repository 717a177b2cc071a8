"""Images in HDF5 files, also while they are being written."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.io.documents.hdf5_sources import Hdf5Files
from stxm_live.io.documents.paths import Roots

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
        self._files: Hdf5Files | None = None
        self._is_growing = False

    def event(
        self, index: int, n_frames: int, max_values: int = MAX_EVENT_BYTES, n_events: int = 1
    ) -> NDArray[Any]:
        """Return the frames of one event, or of several that follow, along the first axis.

        The dataset has a row for every frame, (n, ny, nx), or one for every event,
        (n, n_frames, ny, nx).

        Raises
        ------
        OSError
            If the file or the rows are not there yet.
        ValueError
            If the file points outside the roots, the dataset has no images, or an event has more
            than ``max_values``.
        """
        if self._files is None:
            self._files = self._open()
        try:
            data = self._files.dataset(self._path, self._dataset)
        except KeyError as error:
            self._let_go()
            raise OSError(f"{self._path.name} has no {self._dataset} yet") from error
        if self._swmr and hasattr(data, "refresh"):
            data.refresh()
        if data.ndim < 1 or not np.issubdtype(data.dtype, np.number):
            raise ValueError(f"{self._path.name}: {self._dataset} holds no images")
        if data.ndim > 3:
            n_frames = 1
        rows = index * n_frames, (index + n_events) * n_frames
        self._files.check(data, rows)
        if rows[1] > len(data):
            self._let_go()
            raise OSError(
                f"{self._path.name} has {len(data)} images, number {rows[1]} is not there yet"
            )
        check_size(self._path.name, (n_frames * n_events, *data.shape[1:]), data.dtype, max_values)
        return np.asarray(data[slice(*rows)])

    def close(self) -> None:
        """Close the file."""
        if self._files is not None:
            self._files.close()
            self._files = None

    def _open(self) -> Hdf5Files:
        """Open the file, with or without SWMR as its writer requires."""
        problem: OSError | None = None
        for swmr in (True, False) if self._swmr else (False,):
            for locking in (None, False):
                files = Hdf5Files(self._roots, swmr=swmr, locking=locking)
                try:
                    files.opened(self._path)
                except OSError as error:
                    problem = problem or error
                    if "lock" not in str(error):
                        break
                else:
                    self._is_growing = swmr
                    return files
        assert problem is not None
        raise OSError(f"{self._path.name} cannot be opened yet ({problem})")

    def _let_go(self) -> None:
        """Close the file; without SWMR, new rows appear only when it is opened again."""
        if not self._is_growing:
            self.close()


def check_size(name: str, shape: tuple[int, ...], dtype: Any, max_values: int) -> None:
    """Check the size of an event's images before they are read.

    Raises
    ------
    ValueError
        If there are more values than announced, or more bytes than any event may have.
    """
    n_values = 1
    for n in shape:
        n_values *= int(n)
    if n_values > max_values:
        raise ValueError(
            f"{name}: an event has images of shape {shape}, more than the {max_values} values "
            "that were announced"
        )
    if n_values * np.dtype(dtype).itemsize > MAX_EVENT_BYTES:
        raise ValueError(f"{name}: an image has more than {MAX_EVENT_BYTES} bytes")
