"""The threads that the analysis shares its work among."""

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
    """``map`` for a function that releases the interpreter lock; results in order.

    The shortest of the arguments counts; a single call is made right here.
    """
    calls = list(zip(*arguments, strict=False))
    if len(calls) == 1:
        return [function(*calls[0])]
    with one_blas_thread():
        return _pool().starmap(function, calls, chunksize=1)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Linear algebra stays on the thread that calls it, in the whole process.

    Its own threads wait for more by turning on the spot: at the size of our matrices that takes
    twice the processor time and makes nothing quicker, and five times as long from `in_threads`.
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
"""Held by the one call that has limited the threads, and will give them back."""


@cache
def _libraries() -> ThreadpoolController:
    """Linear algebra as it is loaded at the first call; to look for it takes milliseconds."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@cache
def _pool() -> ThreadPool:
    """One pool for the process: memory that a thread frees is best used again by itself."""
    return ThreadPool(os.cpu_count())


# a forked process has the pool's object but not its threads
os.register_at_fork(after_in_child=_pool.cache_clear)
