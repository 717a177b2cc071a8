"""Types of values that never change, so that a copy may share them."""

from __future__ import annotations

import datetime
from operator import countOf
from typing import Any

import numpy as np

NUMBERS = frozenset({bool, int, float, complex})

FIXED = NUMBERS | {
    *(type(None), str, bytes),
    *(datetime.datetime, datetime.date, datetime.time, datetime.timedelta),
}

_TEXTS = frozenset({str, bytes, np.str_, np.bytes_})


def is_fixed(kind: type) -> bool:
    """Return True if values of this type never change."""
    return kind in FIXED or (issubclass(kind, np.generic) and not issubclass(kind, np.void))


def kinds_of(items: Any) -> set[type]:
    """Return the types in a list; that of the first is compared first, which is quicker."""
    first = type(items[0]) if len(items) else None
    same = first is not None and countOf(map(type, items), first) == len(items)
    return {first} if same else set(map(type, items))  # type: ignore[arg-type]


def n_characters(values: Any) -> int:
    """Return the number of characters in the texts of a list, and in its bytes."""
    return sum(len(value) for value in values if type(value) in _TEXTS)
