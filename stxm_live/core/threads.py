"""Threads for parallel work of the analysis."""

from __future__ import annotations

import os
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
    return ThreadPool(os.cpu_count())


# a forked process has the pool's object but not its threads
os.register_at_fork(after_in_child=_pool.cache_clear)
