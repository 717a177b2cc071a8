"""Threads for parallel work of the analysis."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterable
from functools import cache
from multiprocessing.pool import ThreadPool
from typing import Any, TypeVar

_R = TypeVar("_R")


def in_threads(function: Callable[..., _R], *arguments: Iterable[Any]) -> list[_R]:
    """Apply a function that releases the interpreter lock; return results in order.

    The shortest argument sets the number of calls; a single call is made on this thread.
    """
    calls = list(zip(*arguments, strict=False))
    if len(calls) == 1:
        return [function(*calls[0])]
    return _pool().starmap(function, calls, chunksize=1)


@cache
def _pool() -> ThreadPool:
    """Return the thread pool of the process; its threads reuse the memory that they free."""
    _share_freed_memory()
    return ThreadPool(os.cpu_count())


_M_ARENA_MAX = -8
"""Number of that option in glibc's ``malloc.h``."""


def _share_freed_memory() -> None:
    """Let new threads take what others have freed, where the C library is glibc.

    It keeps up to 64 MiB of freed memory for each thread, which no other thread can have.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


# a forked process has the pool's object but not its threads
os.register_at_fork(after_in_child=_pool.cache_clear)
