"""Copies of documents on the thread of a RunEngine, bounded in bytes and in time.

This is the rule for everything that a RunEngine calls. Sizes are counted before anything is
copied or converted, and no value raises. What exceeds the limits or has no copy is left out by
name: the copy has None in its place. Lists become arrays later, on another thread.
"""

from __future__ import annotations

import array
import datetime
import gc
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePath
from sys import getsizeof
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_PARTS = 25_000
"""Lists, dicts and arrays of one document that are copied, each of which takes about 1 us.

Fewer of them are copied if they hold many values, so that no document takes more than 50 ms of
the processor (``benchmarks.robustness.scan_thread``).
"""

_NUMBERS_PER_PART = 50
_TEXTS_PER_PART = 15
_ITEMS_PER_PART = 10

MOST_FIELDS = 5000
"""Fields of a document, or of a dict in it, that are copied one by one."""

_MOST_NAMED = 20
"""Values left out that are named; of further ones there is the number."""

_SHARE_OF_A_FIELD = 0.9
"""Share of the rest of the limit for one field, so that the fields behind it are copied, too."""

_MOST_LEVELS = 100

_BYTES_PER_VALUE = 32
"""Bytes of a number in a list, or of a list without its values."""

_BYTES_PER_CHARACTER = 4

_TEXTS = frozenset({str, bytes, np.str_, np.bytes_})

_LATE = frozenset({"dask", "h5py", "zarr"})
"""Packages whose arrays are read or computed when they are converted."""

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
        The copy; see `with_arrays`.
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
    fields = dict(islice(doc.items(), MOST_FIELDS + 1))
    data = fields.pop("data", None) if is_event else None
    with _no_garbage_collection():
        out = copy.fields(fields)
        if isinstance(data, dict):
            out["data"] = copy.fields(data, is_reading=True)
    is_small = name in _ONCE and copy.n_bytes <= _SMALL_BYTES
    n_bytes = 0 if is_small else copy.n_bytes
    return Copied(out, n_bytes, tuple(copy.left_out), copy.has_no_room)


def snapshot(name: str, doc: Mapping[str, Any]) -> dict[str, Any]:
    """Return the copy alone, `with_arrays`; see `copied`."""
    return with_arrays(name, copied(name, doc).doc)


def with_arrays(name: str, doc: dict[str, Any]) -> dict[str, Any]:
    """Return a copied document with an array for each list of numbers or texts in its readings.

    This takes longer than to copy it, so it is done on the thread that works with the document.
    """
    data = doc.get("data")
    if name not in ("event", "event_page") or not isinstance(data, dict):
        return doc
    return doc | {"data": {key: _in_rows(as_array(value)) for key, value in data.items()}}


def _in_rows(value: Any) -> Any:
    """Return an array in the order of rows, in which it is quickest to work with."""
    is_other = isinstance(value, np.ndarray) and not value.flags.c_contiguous
    return value.copy("C") if is_other else value


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Let no garbage be collected: new lists and dicts begin it, and it takes up to .4 s."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _LeftOutError(Exception):
    """A value cannot be copied."""


class _TooMuchError(_LeftOutError):
    """A field takes more than is left of the limits."""


class _Copy:
    """Copy values, and count their bytes and parts."""

    def __init__(self, room_bytes: float) -> None:
        self.n_bytes = 0
        self.left_out: list[str] = []
        self._n_left_out = 0
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
        if len(fields) > MOST_FIELDS:
            self._left_out("further fields", _LeftOutError(f"more than {MOST_FIELDS} fields"))
        for key, value in islice(dict.items(fields), MOST_FIELDS):
            self._parts_left -= 1
            if self._parts_left < 0:
                self._left_out("further fields", _LeftOutError(f"more than {MOST_PARTS} parts"))
                break
            rest = self._parts_left - outer_floor
            self._floor = self._parts_left - int(_SHARE_OF_A_FIELD * rest)
            n_bytes = self.n_bytes
            try:
                if level == 0 and type(value) is dict and not is_reading:
                    out[key] = self.fields(value, level=1)
                else:
                    out[key] = self._value(value, level)
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
        self._count(2 + len(value) // _ITEMS_PER_PART, _BYTES_PER_VALUE * (2 + len(value)))
        out: dict[Any, Any] = {}
        for key, item in dict.items(value):
            if not _is_fixed(type(key)):
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
        self._count(1 + len(value) // _NUMBERS_PER_PART, _BYTES_PER_VALUE * (2 + len(value)))
        items: Any  # of a subclass, too, without its own methods
        if isinstance(value, list):
            items = list.__getitem__(value, slice(None))
        else:
            items = tuple.__getitem__(value, slice(None))
        kinds = set(map(type, items))
        if kinds <= _NUMBERS:
            return items
        if all(map(_is_fixed, kinds)):
            self._count(len(items) // _TEXTS_PER_PART, 0)
            self._count(0, _BYTES_PER_CHARACTER * _n_characters(items))
            return items
        copies = [self._value(item, level) for item in items]
        return copies if type(items) is list else tuple(copies)

    def _array(self, value: NDArray[Any], level: int) -> Any:
        """Copy an array; objects come as nested lists."""
        self._count(2, value.nbytes)
        if not value.dtype.hasobject:
            return value.copy("K")  # in its own order, which is quicker
        if value.dtype != object:
            raise _LeftOutError("it is an array of records with objects")
        self._count(value.size // _NUMBERS_PER_PART, 0)
        return self._value(value.tolist(), level + 1)

    def _other(self, value: Any, level: int) -> Any:
        """Copy values that are none of JSON's."""
        if _is_fixed(type(value)) or isinstance(value, PurePath):
            self._count(0, getsizeof(value))
            return value
        if isinstance(value, np.ma.MaskedArray):
            self._count(2, 2 * value.nbytes)
            if value.dtype.hasobject:
                raise _LeftOutError("it is a masked array of objects")
            return value.copy("K")
        if isinstance(value, np.ndarray | np.void):
            return self._array(np.asarray(value), level)
        for plain in (str, bytes, int, float):
            if isinstance(value, plain):  # of a subclass, such as an enumeration
                new: Any = plain.__getnewargs__
                return self._value(new(value)[0], level)
        if isinstance(value, set | frozenset):
            self._count(len(value) // _ITEMS_PER_PART, 0)
            return set(self._list(list(value), level))
        if isinstance(value, memoryview | bytearray | array.array):
            self._count(1, memoryview(value).nbytes)
            return bytes(value) if isinstance(value, bytearray) else np.array(value)
        if hasattr(type(value), "__array__"):
            return self._converted(value, level)
        raise _LeftOutError(f"a {type(value).__name__} cannot be copied")

    def _converted(self, value: Any, level: int) -> Any:
        """Copy an object that converts itself, such as an xarray.DataArray."""
        if _is_read_late(value):
            raise _LeftOutError(f"a {type(value).__name__} is read or computed only now")
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
        self._n_left_out += 1
        if self._n_left_out <= _MOST_NAMED:
            self.left_out.append(f"{str(key)[:60]!r} ({error})")
        elif self._n_left_out == _MOST_NAMED + 1:
            self.left_out.append("further values")


def _is_fixed(kind: type) -> bool:
    """Return True if values of this type never change."""
    return kind in _FIXED or (issubclass(kind, np.generic) and not issubclass(kind, np.void))


def _n_characters(values: Any) -> int:
    """Return the number of characters in the texts of a list, and in its bytes."""
    return sum(len(value) for value in values if type(value) in _TEXTS)


def _is_read_late(value: Any) -> bool:
    """Return True if an array is in a file, or is the result of a calculation to be made."""
    if type(value).__module__.partition(".")[0] in _LATE:
        return True
    graph = getattr(value, "__dask_graph__", None)  # of an xarray.DataArray as well
    return callable(graph) and graph() is not None


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
