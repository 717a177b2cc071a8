"""Comparison of the events that were sent with those that the catalogue gives back."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from stxm_live.io.catalog.reading import documents

Digests = dict[tuple[str, int], int]
"""Checksum of the data of an event, by stream and sequence number."""


def digest(data: Mapping[str, Any], in_files: Collection[str]) -> int:
    """Return the checksum of the data of an event, without the images in files.

    Arrays count with dtype, shape and bytes, in the byte order of this machine. Numbers of any
    type count as float64, and what is missing as NaN: a table has one type for each column.

    Examples
    --------
    >>> digest({"energy": 3}, ()) == digest({"energy": np.float32(3)}, ())
    True
    """
    crc = 0
    for key in sorted(data):
        if key not in in_files:
            for part in (key.encode("utf-8", "surrogatepass"), *_parts_of(data[key])):
                crc = zlib.crc32(part, crc)
    return crc


def stored_digests(run: Any) -> Digests:
    """Return the checksums of the events of a run in the catalogue."""
    streams: dict[str, tuple[str, set[str]]] = {}
    found: Digests = {}
    for name, doc in documents(run):
        if name == "descriptor":
            keys = doc["data_keys"].items()
            streams[doc["uid"]] = doc["name"], {key for key, d in keys if d.get("external")}
        elif name == "event":
            stream, in_files = streams[doc["descriptor"]]
            found[stream, int(doc["seq_num"])] = digest(doc["data"], in_files)
    return found


def _parts_of(value: Any) -> tuple[Any, ...]:
    """Return buffers that are the same for the same value."""
    if isinstance(value, np.ndarray) and value.ndim:
        native = value.astype(value.dtype.newbyteorder("="), copy=False)
        flat = np.ascontiguousarray(native).reshape(-1)
        head = f"{native.dtype.str}{native.shape}".encode()
        return (head, flat.view(np.uint8)) if value.size else (head,)
    try:
        return (repr(float(value)).encode(),)
    except (TypeError, ValueError):
        is_missing = value is None or str(value) == "<NA>"
        return (b"nan" if is_missing else str(value).encode("utf-8", "surrogatepass"),)
