"""Threads for parallel work of the analysis."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from multiprocessing.pool import ThreadPool
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

_R = TypeVar("_R")


def in_threads(function: Callable[..., _R], *arguments: Iterable[Any]) -> list[_R]:
    """Apply a function that releases the interpreter lock; return results in order.

    The shortest argument sets the number of calls; a single call is made on this thread.
    """
    calls = list(zip(*arguments, strict=False))
    if len(calls) == 1:
        return [function(*calls[0])]
    with one_blas_thread():
        return _pool().starmap(function, calls, chunksize=1)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep linear algebra on the thread that calls it, in the whole process.

    Threads of the linear algebra library use processor time while they wait. For our small
    matrices they take twice the processor time without any gain, and five times as long when
    called from `in_threads`.
    """
    if not _limiting.acquire(blocking=False):
        yield
        return
    try:
        with _libraries().limit(limits=1, user_api="blas"):
            yield
    finally:
        _limiting.release()


_limiting = Lock()
"""Held by the one call that has limited the threads, until it releases them."""


@cache
def _libraries() -> ThreadpoolController:
    """Return the linear algebra libraries loaded at the first call; a search takes milliseconds."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@cache
def _pool() -> ThreadPool:
    """Return the thread pool of the process; its threads reuse the memory that they free."""
    return ThreadPool(os.cpu_count())


# a forked process has the pool's object but not its threads
os.register_at_fork(after_in_child=_pool.cache_clear)
