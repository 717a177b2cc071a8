"""Documents as bytes in msgpack, with bit-exact arrays and nothing that can be executed.

Bluesky's own 0MQ callbacks take the two functions as ``serializer`` and ``deserializer``, in the
place of pickle, which runs any program that a message contains.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.live.remote.message_size import check_values

MAX_MESSAGE_BYTES = 512 * 2**20
"""A longer message is not read."""

NOT_SENDABLE = (TypeError, ValueError, OverflowError, RecursionError)
"""Errors of values that cannot be packed, or would be refused where they are read."""

_ARRAY = 1
"""The extension type of msgpack that holds an array: [dtype, shape, bytes]."""

_KINDS = frozenset("biufcSU")
"""Kinds of dtypes: numbers, truth values and text, without objects and records."""

_MAX_NDIM = 32

_HEAD_BYTES = 512
"""Enough for dtype and shape of an array; its bytes are not copied with them."""

_LENGTH_BYTES = {0xC4: 1, 0xC5: 2, 0xC6: 4}
"""Bytes that hold the number of bytes, by the code in front of them."""


def to_bytes(doc: Any) -> bytes:
    """Return a document as msgpack; half a character becomes a question mark.

    Raises
    ------
    TypeError, OverflowError
        If it holds a value that cannot be sent.

    Examples
    --------
    >>> from_bytes(to_bytes({"seq_num": 3, "data": {"counts": np.float32([[1, 2]])}}))
    {'seq_num': 3, 'data': {'counts': array([[1., 2.]], dtype=float32)}}
    """
    import msgpack

    packed: bytes = msgpack.packb(doc, default=_encoded, unicode_errors="replace")
    return packed


def sendable(doc: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a document without the values that cannot be sent, and the names of these."""
    out: dict[str, Any] = {}
    odd: list[str] = []
    for key, value in doc.items():
        try:
            if isinstance(value, dict):
                to_bytes(key)
                out[key], inner = sendable(value)
                odd += inner
            else:
                check_values(to_bytes({key: value}))
                out[key] = value
        except NOT_SENDABLE:
            odd.append(str(key)[:60])
            if isinstance(key, str):
                out[key] = None
    return out, odd


def from_bytes(message: bytes | memoryview, *, writable: bool = True) -> dict[str, Any]:
    """Return the document in a message.

    Parameters
    ----------
    message : bytes
    writable : bool
        If True, arrays may be written; else they take half the memory.

    Raises
    ------
    ValueError
        If it is too long, has too many values, is a pickle, or is not a document.
    """
    import msgpack

    if len(message) > MAX_MESSAGE_BYTES:
        raise ValueError(
            f"the message has {len(message) / 2**20:.0f} MiB; at most "
            f"{MAX_MESSAGE_BYTES / 2**20:.0f} MiB are read"
        )
    if is_pickle(message):
        raise ValueError(
            "the message is a pickle, which could run any program; publish with "
            "stxm_live.live.remote.publisher(address), or with "
            "serializer=stxm_live.live.remote.to_bytes"
        )
    check_values(message)
    try:
        doc = msgpack.unpackb(
            message, ext_hook=_writable if writable else _decoded, strict_map_key=False, timestamp=1
        )
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise ValueError(f"the message is not a msgpack document ({error})") from error
    if not isinstance(doc, dict):
        raise ValueError(f"the message holds {type(doc).__name__}, expected a document")
    return doc


def is_pickle(message: bytes | memoryview) -> bool:
    """Return True if bytes begin like a pickle, which a document in msgpack does not."""
    return len(message) > 1 and message[0] == 0x80


def _encoded(value: Any) -> Any:
    import msgpack

    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.dtype.kind in _KINDS:
        data = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
        parts = [value.dtype.str, list(value.shape), data.data]
        return msgpack.ExtType(_ARRAY, msgpack.packb(parts))
    if isinstance(value, set | frozenset):
        return sorted(value)
    what = value.dtype if isinstance(value, np.ndarray) else type(value).__name__
    raise TypeError(f"a document holds {what}, which cannot be sent")


def _writable(code: int, data: bytes) -> NDArray[Any]:
    return _decoded(code, data).copy()


def _decoded(code: int, data: bytes) -> NDArray[Any]:
    import msgpack

    if code != _ARRAY:
        raise ValueError(f"unknown extension type {code}")
    head = msgpack.Unpacker()
    head.feed(data[:_HEAD_BYTES])
    if head.read_array_header() != 3:
        raise ValueError("the message has an array without dtype, shape and bytes")
    dtype_name, shape, start = head.unpack(), head.unpack(), head.tell()
    n_bytes = _LENGTH_BYTES.get(data[start])
    if n_bytes is None:
        raise ValueError("the message has an array without bytes")
    start += 1 + n_bytes
    if int.from_bytes(data[start - n_bytes : start], "big") != len(data) - start:
        raise ValueError("the message has an array with more or fewer bytes than it says")
    return _array(dtype_name, shape, memoryview(data)[start:])


def _array(dtype_name: Any, shape: Any, data: memoryview) -> NDArray[Any]:
    """Return the array, if type, shape and number of bytes agree."""
    if not (isinstance(dtype_name, str) and isinstance(shape, list)):
        raise ValueError("the message has an array with a dtype or shape of the wrong type")
    dtype = np.dtype(dtype_name)
    if dtype.kind not in _KINDS or dtype.shape or dtype.itemsize == 0:
        raise ValueError(f"the message has an array of dtype {dtype_name[:20]!r}")
    if len(shape) > _MAX_NDIM or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError("the message has an array with an impossible shape")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"the message has an array of shape {shape} in {len(data)} bytes")
    return np.frombuffer(data, dtype=dtype).reshape(shape)
