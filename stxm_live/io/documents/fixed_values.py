"""Types of values that never change, so that a copy may share them."""

from __future__ import annotations

import datetime
from itertools import repeat
from operator import is_
from typing import Any

import numpy as np

from stxm_live.core.harmless import kind_of

NUMBERS = frozenset({bool, int, float, complex})

FIXED = NUMBERS | {
    *(type(None), str, bytes),
    *(datetime.datetime, datetime.date, datetime.time, datetime.timedelta),
}

_NUMPY = frozenset(np.sctypeDict.values()) - {np.void, np.object_}
"""Not their subclasses, which may have functions of their own."""

_TEXTS = frozenset({str, bytes, np.str_, np.bytes_})


def is_fixed(kind: type) -> bool:
    """Return True if values of this type never change."""
    return kind in FIXED or kind in _NUMPY


def kinds_of(items: Any) -> set[type]:
    """Return the types in a list; that of the first is compared first, which is quicker.

    Only whether they are the same is asked: a class may have functions for other questions.
    """
    if len(items) and all(map(is_, map(type, items), repeat(type(items[0])))):
        return {kind_of(items[0])}
    each = dict(zip(map(id, map(type, items)), items, strict=True))
    return set(map(kind_of, each.values()))


def n_characters(values: Any) -> int:
    """Return the number of characters in the texts of a list, and in its bytes."""
    return sum(len(value) for value in values if type(value) in _TEXTS)
