"""Copies of documents: what devices and other subscribers do later does not change them."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np


def snapshot(name: str, doc: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a document that stays as it is whatever devices and other subscribers do."""
    if name not in ("event", "event_page"):
        return deepcopy(dict(doc))
    return {**doc, "data": {key: _copy(value) for key, value in doc["data"].items()}}


def size_bytes(doc: Mapping[str, Any]) -> int:
    """Size of the values a copied event holds; 0 for a document without data."""
    data = doc.get("data")
    if not isinstance(data, Mapping):  # a start document may hold anything under this name
        return 0
    return sum(value.nbytes if isinstance(value, np.ndarray) else 8 for value in data.values())


def _copy(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, list | tuple):
        try:
            return np.array(value)
        except ValueError:  # ragged
            return deepcopy(value)
    return value
