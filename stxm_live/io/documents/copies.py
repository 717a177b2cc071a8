"""Copies of documents on the thread of a RunEngine, bounded in bytes and in time.

This is the rule for everything that a RunEngine calls. Sizes are counted before anything is
copied or converted, and no value raises. What exceeds the limits or has no copy is left out by
name: the copy has None in its place.
"""

from __future__ import annotations

import array
import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from sys import getsizeof
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_PARTS = 50_000
"""Lists, dicts and arrays of one document that are copied, which takes some 50 ms.

Fifty numbers or texts in a list count as one.
"""

_VALUES_PER_PART = 50

_SHARE_OF_A_FIELD = 0.8
"""Share of the rest of the limit for one field, so that the fields behind it are copied, too."""

_MOST_LEVELS = 100

_BYTES_PER_VALUE = 32
"""Bytes of a number in a list, or of a list without its values."""

_WASTE = 16
"""Longest text of a list, in mean lengths, up to which the list becomes an array."""

_SMALL_BYTES = 64 * 2**10
"""Size up to which there is always room for a document that comes once in a run or a stream."""

_ONCE = frozenset({"start", "descriptor", "resource", "stream_resource", "stop"})

_NUMBERS = frozenset({bool, int, float, complex})
_FIXED = _NUMBERS | {
    *(type(None), str, bytes),
    *(datetime.datetime, datetime.date, datetime.time, datetime.timedelta),
}
"""Types of values that never change."""


@dataclass(frozen=True)
class Copied:
    """A copy of a document.

    Parameters
    ----------
    doc : dict
        The copy; lists of numbers or texts in the data of an event are arrays.
    n_bytes : int
        Memory of its values, including texts that it shares with the original; 0 for a small
        document that there is always room for.
    left_out : tuple of str
        Values that are None in the copy, by name, with the reason.
    has_no_room : bool
        True if something was left out for lack of room.
    """

    doc: dict[str, Any]
    n_bytes: int
    left_out: tuple[str, ...] = ()
    has_no_room: bool = False


def copied(name: str, doc: Mapping[str, Any], *, room_bytes: float = math.inf) -> Copied:
    """Return a copy of a document that later changes to the original do not reach.

    Parameters
    ----------
    name : str
        "start", "descriptor", "event", ...
    doc : mapping
    room_bytes : float
        Bytes that the copy may take; values beyond it are left out.
    """
    copy = _Copy(max(room_bytes, _SMALL_BYTES) if name in _ONCE else room_bytes)
    is_event = name in ("event", "event_page")
    fields = dict(doc)
    data = fields.pop("data", None) if is_event else None
    out = copy.fields(fields)
    if isinstance(data, dict):
        out["data"] = copy.fields(data, is_reading=True)
    is_small = name in _ONCE and copy.n_bytes <= _SMALL_BYTES
    n_bytes = 0 if is_small else copy.n_bytes
    return Copied(out, n_bytes, tuple(copy.left_out), copy.has_no_room)


def snapshot(name: str, doc: Mapping[str, Any]) -> dict[str, Any]:
    """Return the copy alone; see `copied`."""
    return copied(name, doc).doc


class _LeftOutError(Exception):
    """A value cannot be copied."""


class _TooMuchError(_LeftOutError):
    """A field takes more than is left of the limits."""


class _Copy:
    """Copy values, and count their bytes and parts."""

    def __init__(self, room_bytes: float) -> None:
        self.n_bytes = 0
        self.left_out: list[str] = []
        self.has_no_room = False
        self._room_bytes = room_bytes
        self._parts_left = MOST_PARTS
        self._floor = 0

    def fields(
        self, fields: dict[str, Any], *, is_reading: bool = False, level: int = 0
    ) -> dict[str, Any]:
        """Copy the values of a dict; one that is too much is None, and the next ones follow."""
        out: dict[str, Any] = {}
        outer_floor = self._floor
        for key, value in dict.items(fields):
            rest = self._parts_left - outer_floor
            self._floor = self._parts_left - int(_SHARE_OF_A_FIELD * rest)
            n_bytes = self.n_bytes
            try:
                if level == 0 and type(value) is dict and not is_reading:
                    out[key] = self.fields(value, level=1)
                else:
                    copy = self._value(value, level)
                    out[key] = as_array(copy) if is_reading else copy
            except (_LeftOutError, MemoryError, RecursionError) as error:
                out[key] = None
                self._left_out(key, error)
                self.has_no_room |= isinstance(error, MemoryError)
                self.n_bytes = n_bytes
        self._floor = outer_floor
        return out

    def _value(self, value: Any, level: int) -> Any:
        kind = type(value)
        if kind in _FIXED:
            self._count(0, getsizeof(value))
            return value
        if kind is np.ndarray:
            return self._array(value, level)
        if level > _MOST_LEVELS:
            raise _LeftOutError(f"it has more than {_MOST_LEVELS} levels")
        if isinstance(value, list | tuple):
            return self._list(value, level + 1)
        if isinstance(value, dict):
            return self._dict(value, level + 1)
        return self._other(value, level + 1)

    def _dict(self, value: dict[Any, Any], level: int) -> dict[Any, Any]:
        self._count(1 + len(value) // _VALUES_PER_PART, _BYTES_PER_VALUE * (2 + len(value)))
        out: dict[Any, Any] = {}
        for key, item in dict.items(value):
            if not (type(key) in _FIXED or isinstance(key, np.generic)):
                raise _LeftOutError(f"it has a key that is a {type(key).__name__}")
            try:
                number = type(item) in _NUMBERS
                out[key] = item if number else self._value(item, level)
            except _TooMuchError:
                raise
            except _LeftOutError as error:
                out[key] = None
                self._left_out(key, error)
        return out

    def _list(self, value: list[Any] | tuple[Any, ...], level: int) -> Any:
        self._count(1 + len(value) // _VALUES_PER_PART, _BYTES_PER_VALUE * (2 + len(value)))
        items: Any  # of a subclass, too, without its own methods
        if isinstance(value, list):
            items = list.__getitem__(value, slice(None))
        else:
            items = tuple.__getitem__(value, slice(None))
        kinds = set(map(type, items))
        if kinds <= _NUMBERS:
            return items
        if kinds <= _FIXED:
            self._count(0, sum(map(getsizeof, items)))
            return items
        copies = [self._value(item, level) for item in items]
        return copies if type(items) is list else tuple(copies)

    def _array(self, value: NDArray[Any], level: int) -> Any:
        """Copy an array; objects come as nested lists."""
        self._count(1, value.nbytes)
        if not value.dtype.hasobject:
            return value.copy()
        if value.dtype != object:
            raise _LeftOutError("it is an array of records with objects")
        return self._value(value.tolist(), level + 1)

    def _other(self, value: Any, level: int) -> Any:
        """Copy values that are none of JSON's."""
        if isinstance(value, np.generic | PurePath):
            self._count(0, getsizeof(value))
            return value
        if isinstance(value, np.ma.MaskedArray):
            self._count(1, 2 * value.nbytes)
            if value.dtype.hasobject:
                raise _LeftOutError("it is a masked array of objects")
            return value.copy()
        if isinstance(value, np.ndarray):
            return self._array(np.asarray(value), level)
        for plain in (str, bytes, int, float):
            if isinstance(value, plain):  # of a subclass, such as an enumeration
                new: Any = plain.__getnewargs__
                return self._value(new(value)[0], level)
        if isinstance(value, set | frozenset):
            return set(self._list(list(value), level))
        if isinstance(value, memoryview | bytearray | array.array):
            self._count(1, memoryview(value).nbytes)
            return bytes(value) if isinstance(value, bytearray) else np.array(value)
        if hasattr(type(value), "__array__"):
            return self._converted(value, level)
        raise _LeftOutError(f"a {type(value).__name__} cannot be copied")

    def _converted(self, value: Any, level: int) -> Any:
        """Copy an object that converts itself, such as an xarray.DataArray."""
        try:
            announced = getattr(value, "nbytes", 0)
            self._has_room(announced if isinstance(announced, int) else 0)
            converted = np.asarray(value.__array__())
        except (_LeftOutError, MemoryError, KeyboardInterrupt):
            raise
        except BaseException as error:
            what = f"a {type(value).__name__} raised {type(error).__name__}"
            raise _LeftOutError(what) from error
        return self._array(converted, level)

    def _count(self, n_parts: int, n_bytes: int) -> None:
        """Count what is to be copied, before it is.

        Raises
        ------
        _TooMuchError
            If it exceeds the limits.
        """
        self._has_room(n_bytes)
        if self._parts_left - n_parts < self._floor:
            raise _TooMuchError(f"more than {MOST_PARTS} parts")
        self._parts_left -= n_parts
        self.n_bytes += n_bytes

    def _has_room(self, n_bytes: int) -> None:
        if self.n_bytes + n_bytes > self._room_bytes:
            self.has_no_room = True
            raise _TooMuchError(f"no room for {n_bytes / 2**20:.3g} MiB")

    def _left_out(self, key: Any, error: Exception) -> None:
        self.left_out.append(f"{str(key)[:60]!r} ({error})")


def as_array(value: Any) -> Any:
    """Return lists of numbers, of texts or of arrays as an array, if they are rectangular."""
    if not isinstance(value, list | tuple) or _shape(value) is None:
        return value
    copy = np.array(value)
    return value if copy.dtype.hasobject else copy  # integers beyond 64 bits


def _shape(value: Any) -> tuple[Any, ...] | None:
    """Return the shape of nested lists of one kind of value; None if there is none."""
    kinds = set(map(type, value))
    if all(issubclass(kind, bool | int | float | complex | np.number | np.bool_) for kind in kinds):
        return (len(value),)
    if kinds == {str}:
        mean = sum(map(len, value)) / len(value)
        return (len(value), "text") if max(map(len, value)) <= _WASTE * max(mean, 1) else None
    if kinds == {np.ndarray}:
        shapes: set[Any] = {(item.shape, item.dtype) for item in value}
    elif kinds <= {list, tuple}:
        shapes = {_shape(item) for item in value}
    else:
        return None
    (shape, *others) = shapes
    return None if others or shape is None else (len(value), shape)
