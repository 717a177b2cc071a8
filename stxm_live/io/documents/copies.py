"""Copies of documents on the thread of a RunEngine, bounded in bytes and in time.

This is the rule for everything that a RunEngine calls. Sizes are counted before anything is
copied or converted, and no value raises. What exceeds the limits or has no copy is left out by
name: the copy has None in its place. Lists become arrays later, on another thread.
"""

from __future__ import annotations

import array
import gc
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePath
from sys import getsizeof
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.harmless import kind_of, plain, plain_name
from stxm_live.io.documents.conversion import (
    PATIENCE_S,
    LateError,
    converted,
    has_function,
    is_cut_off,
)
from stxm_live.io.documents.fixed_values import FIXED, NUMBERS, is_fixed, kinds_of, n_characters
from stxm_live.io.documents.list_arrays import EVENTS, with_arrays
from stxm_live.io.documents.spare_memory import SPARE, SpareMemory, surplus_bytes

MOST_PARTS = 12_500
"""Lists, dicts and arrays of one document that are copied, each of which takes about 1 us.

Fewer of them are copied if they hold many values, so that no document takes more than 50 ms of
the processor (``benchmarks.robustness.scan_thread``).
"""

MOST_ARRAY_BYTES = 192 * 2**20
"""Arrays of one event that are copied, which takes .2 ms per MiB (see `spare_memory`)."""

MOST_BYTES_ONCE = 8 * 2**20
"""Arrays of any other document, for which memory has to be found first."""

_NO_LIMIT = 10**15

_NUMBERS_PER_PART = 50
_TEXTS_PER_PART = 15
_ITEMS_PER_PART = 5

MOST_FIELDS = 5000
"""Fields of a document, or of a dict in it, that are copied one by one."""

MOST_EVENTS = 2**17
"""Events in one page; each is taken apart on another thread, which takes some 20 us."""

_MOST_NAMED = 20
"""Values left out that are named; of further ones there is the number."""

_SHARE_OF_A_FIELD = 0.9
"""Share of the rest of the limit for one field, so that the fields behind it are copied, too."""

_MOST_LEVELS = 100

_BYTES_PER_VALUE = 32
"""Bytes of a number in a list, or of a list without its values."""

_BYTES_PER_CHARACTER = 4

_SMALL_BYTES = 64 * 2**10
"""Size up to which there is always room for a document that comes once in a run or a stream."""

_ONCE = frozenset({"start", "descriptor", "resource", "stream_resource", "stop"})


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


def prepare_copies() -> None:
    """Have memory for copies of images fetched; each subscriber calls it when it is made."""
    SPARE.begin()


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
    is_event = name in EVENTS
    copy = _Copy(
        max(room_bytes, _SMALL_BYTES) if name in _ONCE else room_bytes,
        MOST_PARTS,
        MOST_ARRAY_BYTES if is_event else MOST_BYTES_ONCE,
        SPARE if is_event else None,
    )
    if name in ("event_page", "datum_page"):
        copy.most_rows = MOST_EVENTS
    return _copied(name, doc, copy)


def _copied(name: str, doc: Mapping[str, Any], copy: _Copy) -> Copied:
    is_event = name in EVENTS
    fields = dict(islice(doc.items(), MOST_FIELDS + 1))
    has_data = is_event and issubclass(type(fields.get("data")), dict)
    data: Any = fields.pop("data") if has_data else {}
    with _no_garbage_collection():
        out = copy.fields(fields)
        if has_data:
            out["data"] = copy.fields(dict(plain(data)), is_reading=True)
    is_small = name in _ONCE and copy.n_bytes <= _SMALL_BYTES
    n_bytes = 0 if is_small else copy.n_bytes
    return Copied(out, n_bytes, tuple(copy.left_out), copy.has_no_room)


def snapshot(name: str, doc: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of any size, `with_arrays`; not for the thread of a RunEngine."""
    return with_arrays(name, _copied(name, doc, _Copy(math.inf, _NO_LIMIT, _NO_LIMIT, None)).doc)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Let no garbage be collected: new lists and dicts begin it, and it takes up to .4 s.

    It counts as enabled meanwhile, for packages that ask on another thread. Who finds none does
    nothing: the thread that stopped it may let it go on at any time, and would not do so again.
    """
    thresholds = gc.get_threshold()
    if not thresholds[0]:
        yield
        return
    gc.set_threshold(0)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)


class _LeftOutError(Exception):
    """A value cannot be copied."""


class _TooMuchError(_LeftOutError):
    """A field takes more than is left of the limits."""


class _Copy:
    """Copy values, and count their bytes and parts."""

    def __init__(
        self, room_bytes: float, most_parts: int, most_array_bytes: int, spare: SpareMemory | None
    ) -> None:
        self.n_bytes = 0
        self.left_out: list[str] = []
        self._n_left_out = 0
        self.has_no_room = False
        self._room_bytes = room_bytes
        self._most_parts = self._parts_left = most_parts
        self._array_bytes_left = most_array_bytes
        self._spare = spare
        self.most_rows = _NO_LIMIT
        self._patience_s = math.inf if most_parts == _NO_LIMIT else PATIENCE_S
        self._floor = 0

    def fields(
        self, fields: dict[str, Any], *, is_reading: bool = False, level: int = 0
    ) -> dict[str, Any]:
        """Copy the values of a dict; one that is too much is None, and the next ones follow."""
        out: dict[str, Any] = {}
        outer_floor = self._floor
        if len(fields) > MOST_FIELDS:
            self._left_out("further fields", _LeftOutError(f"more than {MOST_FIELDS} fields"))
        # all at once: another thread may change the dict
        for given, value in list(islice(dict.items(fields), MOST_FIELDS)):
            key = plain_name(given)
            self._parts_left -= 1
            if self._parts_left < 0:
                self._left_out(
                    "further fields", _LeftOutError(f"more than {self._most_parts} parts")
                )
                break
            rest = self._parts_left - outer_floor
            self._floor = self._parts_left - int(_SHARE_OF_A_FIELD * rest)
            n_bytes = self.n_bytes
            try:
                if level == 0 and type(value) is dict and not is_reading:
                    out[key] = self.fields(value, level=1)
                else:
                    out[key] = self._column(self._value(value, level))
            except Exception as error:  # noqa: BLE001  one odd value costs no image beside it
                out[key] = None
                self._left_out(key, error)
                self.has_no_room |= isinstance(error, MemoryError)
                self.n_bytes = n_bytes
        self._floor = outer_floor
        return out

    def _column(self, value: Any) -> Any:
        """Return a copied value; one with too many rows for a page is left out."""
        is_table = isinstance(value, np.ndarray) and value.ndim > 0
        has_rows = is_table or isinstance(value, list | tuple | str | bytes)
        if has_rows and len(value) > self.most_rows:
            raise _LeftOutError(f"more than {self.most_rows} events in one page")
        return value

    def _value(self, value: Any, level: int) -> Any:
        kind = kind_of(value)
        if kind in FIXED:
            self._count(0, getsizeof(value))
            return value
        if kind is np.ndarray:
            return self._array(value, level)
        if level > _MOST_LEVELS:
            raise _LeftOutError(f"it has more than {_MOST_LEVELS} levels")
        if issubclass(kind, list | tuple):  # a value may lie about its own class
            return self._list(value, level + 1)
        if issubclass(kind, dict):
            return self._dict(value, level + 1)
        return self._other(value, level + 1)

    def _dict(self, value: dict[Any, Any], level: int) -> dict[Any, Any]:
        n_items = dict.__len__(value)
        self._count(2 + n_items // _ITEMS_PER_PART, _BYTES_PER_VALUE * (2 + n_items))
        out: dict[Any, Any] = {}
        for key, item in list(dict.items(value)):
            if not is_fixed(kind_of(key)):
                raise _LeftOutError(f"it has a key that is a {kind_of(key).__name__}")
            try:
                out[key] = item if kind_of(item) in NUMBERS else self._value(item, level)
            except _TooMuchError:
                raise
            except _LeftOutError as error:
                out[key] = None
                self._left_out(key, error)
        return out

    def _list(self, value: list[Any] | tuple[Any, ...], level: int) -> Any:
        kind: Any = list if issubclass(type(value), list) else tuple  # not its own methods
        n_items = kind.__len__(value)
        self._count(1 + n_items // _NUMBERS_PER_PART, _BYTES_PER_VALUE * (2 + n_items))
        items = kind.__getitem__(value, slice(None))
        kinds = kinds_of(items)
        if kinds <= NUMBERS:
            return items
        if all(map(is_fixed, kinds)):
            self._count(len(items) // _TEXTS_PER_PART, 0)
            self._count(0, _BYTES_PER_CHARACTER * n_characters(items))
            return items
        self._count(len(items) // _ITEMS_PER_PART, 0)
        copies = [self._value(item, level) for item in items]
        return copies if type(items) is list else tuple(copies)

    def _array(self, value: NDArray[Any], level: int) -> Any:
        """Copy an array; objects come as nested lists."""
        self._count_array(value.nbytes)
        if is_cut_off(value):
            raise _LeftOutError("its file is shorter than the array")
        if not value.dtype.hasobject:
            return self._same_array(value)
        if value.dtype != object:
            raise _LeftOutError("it is an array of records with objects")
        self._count(value.size // _NUMBERS_PER_PART, 0)
        return self._value(value.tolist(), level + 1)

    def _same_array(self, value: NDArray[Any]) -> NDArray[Any]:
        """Copy an array in its own order, which is quicker."""
        out = None if self._spare is None else self._spare.like(value)
        if out is None:
            return value.copy("K")
        self._count(0, surplus_bytes(out))
        np.copyto(out, value)
        return out

    def _masked(self, value: np.ma.MaskedArray[Any, Any]) -> np.ma.MaskedArray[Any, Any]:
        kind = type(value)
        if kind is not np.ma.MaskedArray:  # its mask may come from a function of its own
            raise _LeftOutError(f"a {kind.__name__} cannot be copied")
        self._count_array(2 * value.nbytes)
        if value.dtype.hasobject:
            raise _LeftOutError("it is a masked array of objects")
        mask = value.mask
        copied_mask = mask if mask is np.ma.nomask else self._same_array(np.asarray(mask))
        values = self._same_array(np.asarray(value.data))
        return np.ma.MaskedArray(values, copied_mask, fill_value=value.fill_value)

    def _other(self, value: Any, level: int) -> Any:
        """Copy values that are none of JSON's."""
        kind = kind_of(value)
        if is_fixed(kind) or issubclass(kind, PurePath):
            self._count(1, object.__sizeof__(value))
            return value
        if issubclass(kind, np.ma.MaskedArray):
            return self._masked(value)
        if issubclass(kind, np.ndarray | np.void):
            return self._array(np.asarray(value), level)
        for base in (str, bytes, int, float):
            if issubclass(kind, base):  # of a subclass, such as an enumeration
                new: Any = base.__getnewargs__
                self._count(1, 0)
                return self._value(new(value)[0], level)
        if kind in (set, frozenset):
            self._count(len(value) // _ITEMS_PER_PART, 0)
            items = self._list(list(value), level)  # which their hash may not be asked for
            return set(items) if all(map(is_fixed, kinds_of(items))) else items
        if issubclass(kind, memoryview | bytearray | array.array):
            return self._buffer(value, level)
        if has_function(kind, "__array__"):
            return self._converted(value, level)
        raise _LeftOutError(f"a {kind.__name__} cannot be copied")

    def _buffer(self, value: memoryview | bytearray | array.array[Any], level: int) -> Any:
        if not issubclass(type(value), bytearray):
            return self._array(np.asarray(value), level)
        if len(value) > MOST_BYTES_ONCE:
            raise _LeftOutError(f"no time for {len(value) / 2**20:.3g} MiB of bytes")
        self._count_array(len(value))
        return bytes(value)

    def _converted(self, value: Any, level: int) -> Any:
        """Copy an object that converts itself, such as an xarray.DataArray."""
        begin_s = time.monotonic()
        try:
            values = converted(value, self._patience_s, self._has_room)
        except (_LeftOutError, MemoryError, KeyboardInterrupt):
            raise
        except LateError as error:
            raise _LeftOutError(str(error)) from error
        except BaseException as e:
            what = f"a {kind_of(value).__name__} raised {kind_of(e).__name__}"
            raise _LeftOutError(what) from e
        finally:
            self._patience_s -= time.monotonic() - begin_s
        return self._array(values, level)

    def _count(self, n_parts: int, n_bytes: int) -> None:
        """Count what is to be copied, before it is.

        Raises
        ------
        _TooMuchError
            If it exceeds the limits.
        """
        self._has_room(n_bytes)
        if self._parts_left - n_parts < self._floor:
            raise _TooMuchError(f"more than {self._most_parts} parts")
        self._parts_left -= n_parts
        self.n_bytes += n_bytes

    def _count_array(self, n_bytes: int) -> None:
        """Count an array, before it is copied."""
        if n_bytes > self._array_bytes_left:
            raise _TooMuchError(f"no time for {n_bytes / 2**20:.3g} MiB more of arrays")
        self._count(2, n_bytes)
        self._array_bytes_left -= n_bytes

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
