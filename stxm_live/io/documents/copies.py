"""Copies of documents, which do not change when devices or other subscribers change theirs."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np


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
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, list | tuple):
        try:
            return np.array(value)
        except ValueError:  # ragged
            return deepcopy(value)
    return value
