"""Copies of documents, which do not change when devices or other subscribers change theirs."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np

_UNCHANGING = (str, bytes, int, float, complex, np.generic, type(None))
"""Values that need no copy."""


def snapshot(name: str, doc: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a document that later changes to the original do not reach."""
    if name not in ("event", "event_page"):
        return deepcopy(dict(doc))
    return {**doc, "data": {key: _copy(value) for key, value in doc["data"].items()}}


def size_bytes(doc: Mapping[str, Any]) -> int:
    """Return the size of the values in a copied event; 0 for a document without data."""
    data = doc.get("data")
    if not isinstance(data, Mapping):  # a start document may hold anything under this name
        return 0
    return sum(value.nbytes if isinstance(value, np.ndarray) else 8 for value in data.values())


def _copy(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.copy()
    if isinstance(value, _UNCHANGING):
        return value
    try:
        array = np.array(value)  # a memoryview, an object with __array__, rows in a list
    except Exception:  # noqa: BLE001  ragged, or an object of a device
        return _deep_copy(value)
    if array.dtype != object:
        return array
    return _deep_copy(array if hasattr(value, "__array__") else value)


def _deep_copy(value: Any) -> Any:
    """Return a copy; None for an object without one, which would be read after it changed."""
    try:
        return deepcopy(value)
    except Exception:  # noqa: BLE001  an object of a device may raise anything
        return None
