"""Documents in the form that event-model describes, whatever a program put in their place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def well_formed(name: str, doc: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a descriptor without what has another type than it should have.

    No images are lost for a hint that is a text. Other documents are returned unchanged, and so is
    a descriptor that does not describe its data.

    Examples
    --------
    >>> well_formed("descriptor", {"uid": "d", "data_keys": {"a": {}, "b": 3}, "hints": "x"})
    {'uid': 'd', 'data_keys': {'a': {}, 'b': {}}, 'hints': {}}
    """
    keys = doc.get("data_keys") if name == "descriptor" else None
    if not isinstance(keys, Mapping):
        return doc
    described = {str(key): d if isinstance(d, Mapping) else {} for key, d in keys.items()}
    hints = {
        device: {"fields": [field for field in hint["fields"] if isinstance(field, str)]}
        for device, hint in _mappings(doc.get("hints")).items()
        if isinstance(hint.get("fields"), list | tuple)
    }
    return {**doc, "data_keys": described, "hints": hints}


def events_of(name: str, doc: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return an event, or those of a page; none of another document."""
    from event_model import unpack_event_page

    pages = {"event": lambda page: [page], "event_page": unpack_event_page}
    return [("event", event) for event in pages.get(name, lambda _: [])(doc)]


def _mappings(value: object) -> dict[str, Mapping[str, Any]]:
    """Return the items of a mapping that are mappings with a text as key."""
    items = value.items() if isinstance(value, Mapping) else ()
    return {k: v for k, v in items if isinstance(k, str) and isinstance(v, Mapping)}
