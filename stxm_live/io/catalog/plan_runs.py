"""The stack of a stored run of Bluesky's plans, which its start document does not describe."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from stxm_live.core.recipe_options import FieldOptions
from stxm_live.core.scan import StackScan
from stxm_live.io.catalog.reading import plain, table_of
from stxm_live.io.catalog.stored_stream import StoredStream
from stxm_live.io.documents.backgrounds import background_of
from stxm_live.io.documents.counts import finite_number
from stxm_live.io.documents.plan_energies import NoStackError, NotYetError, plan_stack
from stxm_live.io.units import unit_in_ev, unit_of


def scan_of_streams(start: Mapping[str, Any], streams: Iterable[StoredStream]) -> StackScan | None:
    """Return the stack of a run as its streams describe it, or None.

    No image is read: their shapes are those of the stored arrays.
    """
    for stream in streams:
        base = re.sub(r"_\d+$", "", stream.name)
        if base == "baseline" or background_of(base) is not None:
            continue
        try:
            return _scan(start, stream)
        except (NoStackError, NotYetError):
            continue
    return None


def streams_of(run: Any) -> Iterator[StoredStream]:
    """Yield the streams of a run in a catalogue of Tiled."""
    stored = run.v2.v3
    for name in stored:
        stream = stored[name]
        descriptor = plain(stream.descriptors[0])
        arrays = [key for key in descriptor["data_keys"] if key in stream.base]
        shapes = {key: stream.base[key].shape for key in arrays}
        yield StoredStream(str(name), descriptor, shapes, partial(_table, stream, descriptor))


def _table(stream: Any, descriptor: dict[str, Any]) -> Mapping[str, Sequence[Any]]:
    return table_of(stream.base, [], descriptor) or {}


def _scan(start: Mapping[str, Any], stream: StoredStream) -> StackScan:
    fields = FieldOptions()
    descriptor = stream.descriptor
    keys = descriptor["data_keys"]
    for key, stored_shape in stream.shapes.items():
        if key in keys and len(stored_shape) > 1:
            keys[key]["shape"] = list(stored_shape[1:])
    try:
        shape, _ = plan_stack(start, descriptor, [], fields)
        events: list[dict[str, Any]] = []
    except NotYetError:
        table = stream.table()
        rows = zip(*table.values(), strict=True)
        events = [dict(zip(table, row, strict=True)) for row in rows]
        shape, _ = plan_stack(start, descriptor, events, fields)
    (stack,) = shape.stacks
    if not stack.grows:
        return stack.scan
    unit_ev = unit_in_ev(unit_of(keys[stack.scan.energy_motor])) or 1.0
    found = {finite_number(event.get(stack.scan.energy_motor)) for event in events} - {None}
    energies_ev = tuple(sorted(float(e) * unit_ev for e in found if e is not None))
    changes = {"energies_ev": energies_ev, "shape": (len(energies_ev), *stack.scan.image_shape)}
    return stack.scan.model_copy(update=changes)
