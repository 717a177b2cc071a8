"""Objects that convert themselves to arrays, such as an xarray.DataArray: at once or not at all."""

from __future__ import annotations

import mmap
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

PATIENCE_S = 0.04
"""Longest wait for all objects of unknown packages in one document, once for each type."""

_LATE = frozenset({"dask", "h5py", "tiled", "zarr"})
"""Packages whose arrays are read or computed when they are converted."""

_AT_HAND = frozenset({"numpy", "pandas", "pint", "xarray"})
"""Packages whose arrays are in memory, where `is_read_late` does not say otherwise."""

_slow: set[type] = set()


class LateError(Exception):
    """An object has no values yet."""


def converted(value: Any, patience_s: float, check_size: Callable[[int], None]) -> NDArray[Any]:
    """Return the array of an object with ``__array__``; its errors are passed on.

    Parameters
    ----------
    value : object
    patience_s : float
        Longest wait. A type that takes `PATIENCE_S` is not waited for again.
    check_size : callable
        Called with the bytes that it announces, before it is converted; raises if they are too
        many.

    Raises
    ------
    LateError
        If its values are read or computed only when it is converted.
    """
    kind = type(value)
    if kind in _slow:
        raise LateError(f"a {kind.__name__} is read or computed only now")
    if patience_s == np.inf or (_package(kind) in _AT_HAND | _LATE and _is_in_its_module(kind)):
        return _values(value, check_size)
    if patience_s <= 0:
        raise LateError(f"there is no time left for a {kind.__name__}")
    found: list[NDArray[Any] | BaseException] = []
    thread = threading.Thread(target=_convert, args=(value, check_size, found), daemon=True)
    thread.start()
    thread.join(patience_s)
    if not found:
        if patience_s >= PATIENCE_S:
            _slow.add(kind)
        raise LateError(f"a {kind.__name__} has no values after {patience_s:.2g} s")
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


def _values(value: Any, check_size: Callable[[int], None]) -> NDArray[Any]:
    if is_read_late(value):
        raise LateError(f"a {type(value).__name__} is read or computed only now")
    announced = getattr(value, "nbytes", 0)
    check_size(announced if isinstance(announced, int) else 0)
    return np.asarray(value.__array__())


def _convert(
    value: Any, check_size: Callable[[int], None], found: list[NDArray[Any] | BaseException]
) -> None:
    try:
        found.append(_values(value, check_size))
    except BaseException as error:  # noqa: BLE001  for the thread that waits
        found.append(error)


def is_cut_off(value: NDArray[Any]) -> bool:
    """Return True for an array in a file that has become shorter: to read it ends the process."""
    base: Any = value
    begin = 0
    while issubclass(type(base), np.ndarray):
        if type(base) is np.memmap:
            begin = base.offset - base.offset % mmap.ALLOCATIONGRANULARITY
        base = np.ndarray.base.__get__(base)
    if type(base) is not mmap.mmap:
        return False
    with suppress(OSError, ValueError):  # memory without a file
        return base.size() < begin + len(base)
    return False


def is_read_late(value: Any) -> bool:
    """Return True if an array is in a file, or is the result of a calculation to be made."""
    if _package(type(value)) in _LATE:
        return True
    graph = getattr(value, "__dask_graph__", None)  # of an xarray.DataArray as well
    if callable(graph) and graph() is not None:
        return True
    held = getattr(getattr(value, "variable", None), "_in_memory", True)  # of xarray, from a file
    return held is False


def has_function(kind: type, name: str) -> bool:
    """Return True if a class or one of its bases has this name; no function of it is called."""
    return any(name in type.__dict__["__dict__"].__get__(base) for base in kind.__mro__)


def _package(kind: type) -> str:
    module = kind.__module__
    return module.partition(".")[0] if type(module) is str else ""


def _is_in_its_module(kind: type) -> bool:
    """Return True if the class does not only say of which package it is."""
    module = sys.modules.get(kind.__module__)
    return module is not None and vars(module).get(kind.__name__) is kind
