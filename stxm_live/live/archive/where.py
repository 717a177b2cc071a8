"""Conditions on start documents: ``sample=NVPF-3 time>2025-03-01``."""

from __future__ import annotations

import operator
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

_CONDITION = re.compile(r"([\w.-]+)\s*(!=|<=|>=|=|<|>)\s*(.*)", re.DOTALL)


@dataclass(frozen=True)
class Condition:
    """A name of the start document, an operator, and what to compare with.

    ``time`` takes a local date, or a date and time, or seconds since 1970. Dots lead into
    dictionaries: ``stxm.dwell_ms>1``.
    """

    name: str
    sign: str
    text: str

    def holds(self, start: Mapping[str, Any]) -> bool:
        """Return True for a start document that meets the condition; one without the name does not.

        Only ``!=`` holds for it.
        """
        value: Any = start
        for part in self.name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is None:
            return self.sign == "!="
        compare = _OPERATORS[self.sign]
        wanted = _time_s(self.text) if self.name == "time" else _number(self.text)
        if wanted is not None and isinstance(value, int | float) and not isinstance(value, bool):
            return compare(float(value), wanted)
        return compare(str(value), self.text)


def conditions(text: str) -> list[Condition]:
    """Return the conditions of a text, which all have to hold; values with spaces are quoted.

    Raises
    ------
    ValueError
        If a part is no condition, or if a time is none.

    Examples
    --------
    >>> [found] = conditions("sample=NVPF-3")
    >>> found.holds({"sample": "NVPF-3"}), found.holds({"sample": "NVPF-4"})
    (True, False)
    """
    try:
        parts = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"--where {text}: {error}") from None
    found = []
    for part in parts:
        match = _CONDITION.fullmatch(part)
        if match is None:
            raise ValueError(
                f'--where {part}: expected a condition such as "sample=NVPF-3", "time>2025-03-01" '
                'or "scan_id>=120"'
            )
        condition = Condition(*match.groups())
        if condition.name == "time" and _time_s(condition.text) is None:
            raise ValueError(f"--where {part}: expected a date as 2025-03-01 or 2025-03-01T14:30")
        found.append(condition)
    if not found:
        raise ValueError('--where needs a condition, such as "sample=NVPF-3"')
    return found


def all_hold(wanted: Sequence[Condition], start: Mapping[str, Any]) -> bool:
    """Return True if a start document meets all conditions."""
    return all(condition.holds(start) for condition in wanted)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _time_s(text: str) -> float | None:
    """Return seconds since 1970 of a local date or of a number."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return _number(text)
