"""Values of documents as JSON, so that they come back as they were."""

from __future__ import annotations

import base64
import datetime
import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

_KIND = "__kind__"
"""The key that marks what JSON does not have."""

_LARGE_BYTES = 2**20

_PIECE_BYTES = 3 * 2**17
"""Bytes of an array that are written at a time; three of them are four characters."""

_PLAIN = frozenset({type(None), bool, int, float, str})


def encoded(value: Any) -> Any:
    """Return a value of a document in terms of JSON.

    Raises
    ------
    TypeError
        If it cannot be read back as it is, such as an array of objects.

    Examples
    --------
    >>> encoded({"fields": (1, 2)})
    {'fields': {'__kind__': 'tuple', 'value': [1, 2]}}
    >>> decoded(encoded({"fields": (1, 2)}))
    {'fields': (1, 2)}
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is list:
        return value if set(map(type, value)) <= _PLAIN else [encoded(item) for item in value]
    if kind is dict:
        if _KIND not in value and all(type(key) is str for key in value):
            return {key: encoded(item) for key, item in value.items()}
        return _marked("dict", [[encoded(key), encoded(item)] for key, item in value.items()])
    if kind in _FORMS:
        return _marked(kind.__name__, _FORMS[kind](value))
    return _encoded_array(value)


def _encoded_array(value: Any) -> dict[str, Any]:
    if isinstance(value, PurePath):
        return _marked("path", str(value))
    if isinstance(value, np.ma.MaskedArray):
        parts = [value.data, np.ma.getmaskarray(value), np.asarray(value.fill_value)]
        return _marked("masked", [_npy(part) for part in parts])
    if isinstance(value, np.generic):
        return _marked("scalar", _npy(np.asarray(value)))
    if isinstance(value, np.ndarray):
        return _marked("array", _npy(value))
    raise TypeError(f"a document holds a {type(value).__name__}, which a backup file cannot hold")


def is_large(value: Any) -> bool:
    """Return True if a value is an array of numbers that is written in pieces."""
    if type(value) is not np.ndarray or value.nbytes < _LARGE_BYTES:
        return False
    return bool(value.flags.c_contiguous and value.dtype.kind in "biufc")


def array_pieces(array: NDArray[Any]) -> Iterator[bytes]:
    """Yield the JSON text of an array, as `encoded` has it, in pieces.

    Parameters
    ----------
    array : ndarray
        One that `is_large`.
    """
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(array))
    values = array.reshape(-1).view(np.uint8)
    n_beside_head = -len(head.getvalue()) % _PIECE_BYTES
    yield f'{{"{_KIND}": "array", "value": "'.encode("ascii")
    yield base64.b64encode(head.getvalue() + values[:n_beside_head].tobytes())
    for start in range(n_beside_head, len(values), _PIECE_BYTES):
        yield base64.b64encode(values[start : start + _PIECE_BYTES].data)
    yield b'"}'


def decoded(value: Any) -> Any:
    """Return the value that was encoded."""
    if type(value) is list:
        return value if set(map(type, value)) <= _PLAIN else [decoded(item) for item in value]
    if type(value) is not dict:
        return value
    if _KIND not in value:
        return {key: decoded(item) for key, item in value.items()}
    kind, value = value[_KIND], value["value"]
    if kind not in _READERS:
        raise ValueError(f"a value of the unknown kind {kind!r:.40}")
    return _READERS[kind](value)


def decoded_version_1(item: Mapping[str, Any]) -> Any:
    """Return an array of the first version of the files, or the dict itself."""
    if set(item) != {"__array__", "dtype", "shape"}:
        return item
    flat = np.frombuffer(base64.b64decode(item["__array__"]), dtype=item["dtype"])
    array = flat.reshape(item["shape"]).copy()
    return array if array.ndim else array[()]


def _marked(kind: str, value: Any) -> dict[str, Any]:
    return {_KIND: kind, "value": value}


def _npy(array: Any) -> str:
    """Return an array in numpy's own format, which has no objects here."""
    if array.dtype.hasobject:
        raise TypeError("a document holds an array of objects, which a backup file cannot hold")
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return base64.b64encode(file.getbuffer()).decode("ascii")


def _from_npy(text: str) -> Any:
    return np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False)


def _from_masked(parts: list[str]) -> Any:
    data, mask, fill_value = map(_from_npy, parts)
    return np.ma.MaskedArray(data, mask=mask, fill_value=fill_value)


def _items(value: Any) -> list[Any]:
    return [encoded(item) for item in value]


_FORMS: dict[type, Callable[[Any], Any]] = {
    tuple: _items,
    set: _items,
    frozenset: _items,
    complex: lambda value: [value.real, value.imag],
    bytes: lambda value: base64.b64encode(value).decode("ascii"),
    datetime.datetime: lambda value: value.isoformat(),
    datetime.date: lambda value: value.isoformat(),
    datetime.time: lambda value: value.isoformat(),
    datetime.timedelta: lambda value: [value.days, value.seconds, value.microseconds],
}
"""Values that JSON does not have, in terms of JSON."""

_READERS: dict[str, Callable[[Any], Any]] = {
    "array": _from_npy,
    "scalar": lambda text: _from_npy(text)[()],
    "masked": _from_masked,
    "dict": lambda items: {decoded(key): decoded(item) for key, item in items},
    "tuple": lambda items: tuple(map(decoded, items)),
    "set": lambda items: set(map(decoded, items)),
    "frozenset": lambda items: frozenset(map(decoded, items)),
    "complex": lambda parts: complex(*parts),
    "bytes": base64.b64decode,
    "datetime": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "time": datetime.time.fromisoformat,
    "timedelta": lambda parts: datetime.timedelta(*parts),
    "path": Path,
}
