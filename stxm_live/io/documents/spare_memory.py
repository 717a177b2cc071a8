"""Memory for copies of images, fetched by another thread before it is needed.

The system finds memory when it is first written: a copy of 64 MiB took 40 to 320 ms so, nearly
all of it in the system, and 13 ms in memory that had been written before
(``benchmarks.robustness.scan_thread``). Memory in small pages is found more quickly, 28 ms with
the copy, because a system hands out pages that were used before, where it takes large pages from
memory that nobody used: on a virtual machine its host has to find that first.
"""

from __future__ import annotations

import mmap
import threading
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.worker import Worker

SMALLEST_BYTES = 2**20
"""Size from which an array is worth it; finding less takes the system a few milliseconds."""

MOST_BYTES = 192 * 2**20
"""Most memory that is kept in advance, by all subscribers together."""

_AT_FIRST = ((64 * 2**20, 1), (16 * 2**20, 2))
"""Sizes and numbers of pieces before any array has come."""

_OF_ONE_SIZE = 3
"""Pieces of the size of the latest array: a mapper, a writer and a publisher take one each."""

_PAGE_BYTES = 4096

_POPULATE_WRITE = 23
"""MADV_POPULATE_WRITE of Linux, which Python names from 3.14 on."""


class SpareMemory:
    """Pieces of memory that have been written once, each for one array.

    Examples
    --------
    >>> SpareMemory().like(np.zeros(3)) is None  # small, and nothing was fetched
    True
    """

    def __init__(self) -> None:
        self._pieces: list[NDArray[np.uint8]] = []
        self._lock = threading.Lock()
        self._worker: Worker[tuple[int, int]] | None = None

    def begin(self) -> None:
        """Fetch the first pieces; call it long before the first array."""
        if self._worker is None:
            self._worker = Worker(self._fetch, name="stxm-live-memory")
            for item in _AT_FIRST:
                self._worker.submit(item)

    def like(self, value: NDArray[Any]) -> NDArray[Any] | None:
        """Return an array of this shape, type and order without values; None for a small one.

        It never waits: if no piece is at hand, it fetches one.

        Raises
        ------
        MemoryError
            If there is none.
        """
        n_bytes = value.nbytes
        if self._worker is None or not SMALLEST_BYTES <= n_bytes <= MOST_BYTES:
            return None
        self._worker.submit((n_bytes, _OF_ONE_SIZE))
        piece = self._at_hand(n_bytes)
        if piece is None:
            piece = _memory(n_bytes, is_found=True)
        strides = np.empty_like(value, order="K", subok=False).strides
        return np.ndarray(value.shape, value.dtype, buffer=piece, strides=strides)

    def _at_hand(self, n_bytes: int) -> NDArray[np.uint8] | None:
        """Return the smallest piece in which so much fits."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            fitting = [n for n, piece in enumerate(self._pieces) if piece.nbytes >= n_bytes]
            if not fitting:
                return None
            return self._pieces.pop(min(fitting, key=lambda n: self._pieces[n].nbytes))
        finally:
            self._lock.release()

    def _fetch(self, item: tuple[int, int]) -> None:
        """Fetch pieces of a size until there are so many; the oldest ones go for them."""
        n_bytes, number = item
        most = min(number, MOST_BYTES // n_bytes)
        while sum(piece.nbytes == n_bytes for piece in self._pieces) < most:
            try:
                piece = _memory(n_bytes)
            except MemoryError:  # images are copied without
                return
            piece[::_PAGE_BYTES] = 0
            with self._lock:
                self._pieces.append(piece)
                while sum(piece.nbytes for piece in self._pieces) > MOST_BYTES:
                    self._pieces.pop(0)


def _memory(n_bytes: int, *, is_found: bool = False) -> NDArray[np.uint8]:
    """Return memory in small pages; with ``is_found`` all of it is found in one call.

    That call keeps the interpreter, so it is for the thread that needs the memory at once.
    """
    if not hasattr(mmap, "MADV_NOHUGEPAGE"):
        return np.empty(n_bytes, np.uint8)
    try:
        memory = mmap.mmap(-1, n_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(f"{n_bytes} bytes") from error
    with suppress(OSError):  # a system without large pages, or one before Linux 5.14
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        if is_found:
            memory.madvise(_POPULATE_WRITE)
    return np.frombuffer(memory, np.uint8)


def surplus_bytes(value: NDArray[Any]) -> int:
    """Return by how much the piece that an array takes is larger than itself."""
    base = value.base
    return max(0, base.nbytes - value.nbytes) if isinstance(base, np.ndarray) else 0


SPARE = SpareMemory()
"""The memory of this process."""
