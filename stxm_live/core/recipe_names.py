"""Names of a recipe's settings, and what a wrong name may have meant."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from pydantic import BaseModel

_MOST_SUGGESTED = 2
_LIKE = 0.7
"""Least similarity of a suggestion, of 1."""


def setting_names(model: type[BaseModel], table: str = "") -> Iterator[str]:
    """Yield the dotted names of all settings, such as ``resolver.method``."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from setting_names(kind, f"{table}{name}.")
        else:
            yield f"{table}{name}"


def unknown_setting(dotted: str, model: type[BaseModel]) -> str:
    """Return what to say of a name that is no setting: the nearest names, or those beside it.

    Examples
    --------
    >>> from stxm_live.core.recipe import Recipe
    >>> unknown_setting("resolver.basline", Recipe)
    'there is no such setting; did you mean resolver.baseline?'
    >>> unknown_setting("method", Recipe)
    'there is no such setting; did you mean resolver.method?'
    >>> unknown_setting("resolvr", Recipe)
    'there is no such setting; did you mean resolver?'
    """
    tables: dict[str, list[str]] = {}
    for name in setting_names(model):
        table, _, last = name.rpartition(".")
        tables.setdefault(table, []).append(last)
    tables[""] += filter(None, tables)
    table, _, last = dotted.rpartition(".")
    beside = tables.get(table, [])
    found = [f"{table}.{name}".strip(".") for name in get_close_matches(last, beside, 1, _LIKE)]
    found += [f"{other}.{last}".strip(".") for other, names in tables.items() if last in names]
    if found:
        return f"there is no such setting; did you mean {' or '.join(found[:_MOST_SUGGESTED])}?"
    return "there is no such setting; there is " + ", ".join(beside or tables[""])
