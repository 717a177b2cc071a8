"""Files of documents, as Bluesky's writers, suitcases and facilities write them."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stxm_live.core.harmless import uid_in
from stxm_live.core.machine_memory import available_bytes
from stxm_live.core.text_files import check_regular
from stxm_live.io.catalog.backup import read_backup
from stxm_live.io.catalog.backup_values import decoded_version_1

Run = list[tuple[str, dict[str, Any]]]

MAX_BYTES = 4 * 2**30
"""Largest file, unpacked."""

_MEMORY_OF_A_BYTE = 4
"""Memory that a byte of a file takes, about, while its numbers are read."""

_DAMAGED = (
    *(ValueError, TypeError, KeyError, RecursionError, EOFError),
    *(gzip.BadGzipFile, zlib.error),
)

_SUFFIXES = (".json", ".jsonl", ".ndjson", ".msgpack")

_NAMES = frozenset(
    {"start", "stop", "descriptor", "event", "event_page", "resource", "datum", "datum_page"}
    | {"stream_resource", "stream_datum"}
)

_NUMBERS = "biufc"


def is_document_file(path: str | Path) -> bool:
    """Return True for the name of a file of documents, also of a gzipped one.

    Examples
    --------
    >>> [is_document_file(name) for name in ("a.json", "a.jsonl.gz", "a.msgpack", "a.hdr")]
    [True, True, True, False]
    """
    return Path(path).name.lower().removesuffix(".gz").endswith(_SUFFIXES)


def runs_in_file(path: str | Path) -> list[Run]:
    """Read the runs in a file of documents, in the order in which they began.

    These forms are read, gzipped or not: lines of ``[name, document]`` or of
    ``{"name": ..., "doc": ...}``; JSON of a list of these, or of ``{name: document}``, or of a
    table of such lists; msgpack of ``[name, document]`` with arrays; backup files. A last document
    that is cut off is left out.

    Raises
    ------
    ValueError
        If the file has none of these forms.
    """
    path = Path(path)
    try:
        runs = list(_by_start(_documents(path)))
        runs.sort(key=lambda run: float(run[0][1].get("time", 0.0)))
    except _DAMAGED as error:
        raise ValueError(
            f"{path}: not a file of documents ({str(error)[:300]}); expected lines of [name, "
            "document]"
        ) from error
    if not runs:
        raise ValueError(f"{path}: the file has no start document")
    return runs


def _documents(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    data = _content(path)
    if path.name.lower().removesuffix(".gz").endswith(".msgpack"):
        yield from _flat(_of_msgpack(data))
    elif data.startswith(b'{"stxm_live_backup"') and path.suffix != ".gz":
        yield from read_backup(path)
    else:
        yield from _flat(_of_text(data.decode("utf-8-sig")))


def _content(path: Path) -> bytes:
    most_bytes = min(MAX_BYTES, available_bytes() // _MEMORY_OF_A_BYTE)
    with check_regular(path).open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    with gzip.open(path) if is_gzip else path.open("rb") as opened:
        data = opened.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise ValueError(f"it has more than {most_bytes / 2**20:.0f} MiB, unpacked")
    return data


def _of_text(text: str) -> Any:
    """Return what JSON, or lines of JSON, hold; a writer may not have closed its list."""
    for whole in (text, text.rstrip().rstrip(",") + "]"):
        try:
            return _json(whole)
        except json.JSONDecodeError:
            continue
    lines = [line.strip().rstrip(",") for line in text.splitlines()]
    lines = [line for line in lines if line not in ("", "[", "]")]
    items = [_json(line) for line in lines[:-1]]
    try:
        items.append(_json(lines[-1]) if lines else [])
    except json.JSONDecodeError:
        if not items:
            raise
    return items


def _json(text: str) -> Any:
    return json.loads(text, object_hook=decoded_version_1)


def _of_msgpack(data: bytes) -> Iterator[Any]:
    """Yield what is packed; of arrays only those of numbers and texts are made."""
    import msgpack

    unpacker = msgpack.Unpacker(
        object_hook=_array, raw=False, strict_map_key=False, max_buffer_size=len(data) + 1
    )
    unpacker.feed(data)
    yield from unpacker


def _array(value: dict[Any, Any]) -> Any:
    """Return an array or a number of numpy as msgpack-numpy packs it; nothing else is executed."""
    fields = {k.decode() if isinstance(k, bytes) else k: v for k, v in value.items()}
    if not {"nd", "type", "data"} <= set(fields):
        return value
    kind = np.dtype(_text(fields["type"]))
    if kind.kind not in _NUMBERS + "SU":
        raise ValueError(f"an array of type {kind}")
    array = np.frombuffer(fields["data"], kind)
    return array.reshape(fields["shape"]).copy() if fields["nd"] else array[0]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _flat(item: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the documents of any of the forms."""
    if isinstance(item, str):  # JSON in JSON, as pyStxm keeps its examples
        yield from _flat(json.loads(item))
    elif isinstance(item, dict) and {"name", "doc"} <= set(item):
        yield from _flat((item["name"], item["doc"]))
    elif isinstance(item, dict) and len(item) == 1 and set(item) <= _NAMES:
        yield from _flat(next(iter(item.items())))
    elif isinstance(item, dict):
        for group in item.values():
            yield from _flat(group)
    elif not isinstance(item, Iterable):
        raise ValueError(f"{item!r:.40} is no document")
    else:
        pair = list(item)
        if len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], dict):
            if pair[0] not in _NAMES:
                raise ValueError(f"{pair[0]!r:.40} is no kind of document")
            yield pair[0], pair[1]
            return
        for one in pair:
            yield from _flat(one)


def _by_start(documents: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[Run]:
    run: Run = []
    for name, doc in documents:
        if name == "start":
            if not uid_in(doc, "uid"):
                raise ValueError("a start document has no uid, or one that is no text")
            if run:
                yield run
            run = []
        if run or name == "start":
            run.append((name, doc))
    if run:
        yield run
