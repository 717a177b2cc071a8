"""Tables of names and values for a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Return the values of nested tables by their dotted names.

    Examples
    --------
    >>> flat({"name": "iron", "i0": {"source": "spectrum"}})
    {'name': 'iron', 'i0.source': 'spectrum'}
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        dotted = f"{before}{name}"
        found |= flat(value, f"{dotted}.") if isinstance(value, Mapping) else {dotted: value}
    return found


def table_html(title: str, values: Mapping[str, Any]) -> str:
    """Return a title and a table with a row for each value."""
    head = '<th style="text-align:left">'
    rows = "".join(
        f"<tr>{head}{escape(name)}</th><td>{escape(_in_words(value))}</td></tr>"
        for name, value in values.items()
    )
    return f"<b>{escape(title)}</b><table>{rows}</table>"


def _in_words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
