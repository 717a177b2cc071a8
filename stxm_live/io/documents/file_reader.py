"""Image files read in another process, which is given up if a file does not answer.

h5py holds the interpreter while HDF5 opens, reads and unpacks: on a storage that does not answer
the RunEngine would stand still. A process can be ended, whatever it waits for.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.io.documents.hdf5_images import MAX_EVENT_BYTES
from stxm_live.io.documents.paths import Roots
from stxm_live.io.other_process import START_S, OtherProcess

logger = logging.getLogger("stxm_live")

ANSWER_S = 5.0
"""Longest wait for an image."""

CLOSE_S = 2.0
"""Longest wait for files to be closed."""

REST_S = 7.0
"""Time without a further attempt in a folder with a file that did not answer."""

_NUMBERS = "biufc"

_MAX_NAME = 4096
"""Most characters of the name of a dataset."""


class StalledError(OSError):
    """A file does not answer; it may later."""


class ReaderProcess:
    """A process that reads image files for this one; it starts when it is needed.

    Only types, shapes and bytes come back, nothing that can be executed.
    """

    def __init__(self) -> None:
        self._process = OtherProcess("stxm_live.io.documents.reader_process")
        self._resting: dict[str, float] = {}
        self._harmful: set[str] = set()
        self._imported: set[tuple[int | None, str]] = set()

    @property
    def pid(self) -> int | None:
        """Return the number of the process; None if there is none."""
        return self._process.pid

    def start(self) -> None:
        """Start the process, if it does not run; it imports what it needs while others work."""
        with self._process.lock, suppress(OSError):  # the first image says that it does not start
            self._process.start()

    def ask(self, request: dict[str, Any], path: str) -> NDArray[Any]:
        """Return the array that a request is answered with; ``path`` is the file concerned.

        Raises
        ------
        StalledError
            If the file does not answer, or another one in its folder did not a moment ago.
        OSError
            If it is not there yet.
        ValueError
            If it is refused, or if it ended the process.
        """
        folder, name = os.path.split(path)
        with self._process.lock:
            if path in self._harmful:
                raise ValueError(f"{name} ended the process that reads files")
            if time.monotonic() < self._resting.get(folder, -math.inf):
                raise StalledError(f"{name} does not answer")
            try:
                header, data = self._exchanged(request)
            except TimeoutError:
                self._process.end()
                self._resting[folder] = time.monotonic() + REST_S
                logger.warning("%r did not answer within %g s; trying again", path, ANSWER_S)
                raise StalledError(f"{name} did not answer within {ANSWER_S:g} s") from None
            except (EOFError, OSError) as error:
                was_ready = self._process.is_ready
                self._process.end()
                if not was_ready:
                    raise ValueError(
                        f"{name}: the process that reads files does not start ({error})"
                    ) from None
                self._harmful.add(path)
                raise ValueError(f"{name} ended the process that reads files") from None
        if "problem" in header:
            kind = OSError if header["is_late"] else ValueError
            raise kind(str(header["problem"]))
        return _array(header, data)

    def wake(self) -> None:
        """Attempt the next file at once, whatever did not answer before."""
        with self._process.lock:
            self._resting.clear()

    def close_files(self, owner: int) -> None:
        """Close the files that were opened for an owner, so that others may write them again."""
        with self._process.lock:
            if not self._process.is_ready:
                return
            try:
                self._process.asked({"close": owner}, CLOSE_S)
            except (EOFError, OSError):  # its files are closed with it
                self._process.end()

    def end(self) -> None:
        """End the process."""
        with self._process.lock:
            self._process.end()

    def _exchanged(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Send a request and return its answer; a problem has no data."""
        header = self._process.asked(request, self._longest_s(request))
        if "problem" in header:
            return header, b""
        return header, self._process.answering(ANSWER_S).recv_bytes(MAX_EVENT_BYTES)

    def _longest_s(self, request: dict[str, Any]) -> float:
        """Return the longest wait for an answer; a handler is imported when it is first used."""
        handler = (self._process.pid, str(request.get("spec", "")))
        if not handler[1] or handler in self._imported:
            return ANSWER_S
        self._process.start()
        self._imported = {(self._process.pid, handler[1])} | {
            known for known in self._imported if known[0] == self._process.pid
        }
        return START_S


_process = ReaderProcess()
_owners = count()


class FileReader:
    """Read the image files of a run.

    Parameters
    ----------
    roots : Roots
        Folders that may be read from.

    Attributes
    ----------
    max_values : int
        Most values of an image; more are refused before they are read.
    """

    def __init__(self, roots: Roots) -> None:
        self.max_values = 0
        self._roots = roots
        self._owner = next(_owners)
        self._is_used = False

    def start(self) -> None:
        """Start the process, so that the first image need not wait for it."""
        if self._roots.folders:
            _process.start()

    def hdf5(
        self,
        path: str,
        dataset: str,
        *,
        index: int,
        n_frames: int,
        n_events: int = 1,
        swmr: bool = True,
    ) -> NDArray[Any]:
        """Return the rows of an event, or of several that follow.

        Errors are those of `Hdf5Images.event`, and `StalledError`.
        """
        if len(dataset) > _MAX_NAME:
            raise ValueError(f"the name of the dataset has {len(dataset)} characters")
        rows = {"dataset": dataset, "index": index, "n_frames": n_frames, "n_events": n_events}
        return self._ask(
            path, self.max_values * n_frames * n_events, kind="hdf5", swmr=swmr, **rows
        )

    def files(self, kind: str, paths: Iterable[str]) -> NDArray[Any]:
        """Return the images of files of one image each, along a new first axis.

        Errors are those of `read_image`, and `StalledError`.
        """
        images = []
        for path in paths:
            images.append(self._ask(path, self.max_values, kind=kind))
            if sum(image.nbytes for image in images) > MAX_EVENT_BYTES:
                raise ValueError(f"an event has images of more than {MAX_EVENT_BYTES} bytes")
        return np.stack(images)

    def by_handler(self, path: str, request: dict[str, Any]) -> NDArray[Any]:
        """Return the frames of an event as a handler of another package reads them."""
        return self._ask(path, self.max_values, kind="handler", **request)

    def wake(self) -> None:
        """Attempt the next file at once, whatever did not answer before."""
        _process.wake()

    def close(self) -> None:
        """Close all files."""
        if self._is_used:
            _process.close_files(self._owner)

    def _ask(self, path: str, max_values: int, **request: Any) -> NDArray[Any]:
        checked = self._roots.checked(path)
        self._is_used = True
        request |= {
            "owner": self._owner,
            "path": checked,
            "roots": [str(folder) for folder in self._roots.folders],
            "max_values": max_values,
        }
        return _process.ask(request, checked)


def _array(header: dict[str, Any], data: bytes) -> NDArray[Any]:
    dtype = np.dtype(str(header["dtype"]))
    if dtype.kind not in _NUMBERS:
        raise ValueError(f"the images are of type {dtype}, expected numbers")
    return np.frombuffer(data, dtype).reshape(header["shape"])
