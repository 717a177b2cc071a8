"""Lists in readings become arrays, on the thread that works with a document."""

from __future__ import annotations

from typing import Any

import numpy as np

from stxm_live.io.documents.spare_memory import surplus_bytes

EVENTS = frozenset({"event", "event_page"})
"""Documents with readings."""

_WASTE = 16
"""Longest text of a list, in mean lengths, up to which the list becomes an array."""


def with_arrays(name: str, doc: dict[str, Any]) -> dict[str, Any]:
    """Return a copied document with an array for each list of numbers or texts in its readings.

    This takes longer than to copy it, so it is done on the thread that works with the document.
    """
    data = doc.get("data")
    if name not in EVENTS or not isinstance(data, dict):
        return doc
    return doc | {"data": {key: _in_rows(as_array(value)) for key, value in data.items()}}


def _in_rows(value: Any) -> Any:
    """Return an array in the order of rows, in which it is quickest to work with."""
    if isinstance(value, np.ndarray) and (not value.flags.c_contiguous or surplus_bytes(value)):
        return value.copy("C")
    return value


def as_array(value: Any) -> Any:
    """Return lists of numbers, of texts or of arrays as an array, if they are rectangular."""
    if not isinstance(value, list | tuple) or _shape(value) is None:
        return value
    try:
        copy = np.array(value)
    except ValueError:  # more levels than an array may have
        return value
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
