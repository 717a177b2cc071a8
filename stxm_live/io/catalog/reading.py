"""Documents of past runs, with the arrays as they were measured."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.io.catalog.anywhere import bluesky_catalog
from stxm_live.io.catalog.array_files import named, require_folders, without_files

if TYPE_CHECKING:
    import databroker

logger = logging.getLogger("stxm_live")

Document = tuple[str, dict[str, Any]]

_BLOCK_BYTES = 64 * 2**20

_MOST_LETTERS = 200

_LONGEST_SCAN_ID = 9
"""Digits of a scan_id; a longer number is the beginning of a uid."""


def documents(run: Any, *, known_rows: dict[str, int] | None = None) -> Iterator[Document]:
    """Yield the documents of a past run: descriptors, then events in the order of their times.

    Within a stream events come in the order of their sequence numbers. Arrays are read from the
    catalogue's own nodes: real ndarrays of the dtype that was stored. An event that was
    sent again (a scan paused and resumed from its last checkpoint) comes once, in its last
    version; with an array of another dtype both versions come, in order. Images in files are
    read through the catalogue, which knows which folders it may read; where it cannot, or where it
    does not have an image for every event, they are left out of the events with a line in the
    log, and their data keys stay in the descriptor. A run without an end comes without a stop
    document.

    Parameters
    ----------
    run : BlueskyRun, databroker v1 Header, or iterable of (name, document)
        An iterable is passed on as it is.
    known_rows : dict, optional
        Rows of the events that were yielded before, by uid: only others come, and are added. Of a
        run without an end, events whose images are not there yet are left for the next time.

    Yields
    ------
    name : str
    document : dict

    Raises
    ------
    OSError
        If an array or a table cannot be read, or if there is no event of a run that had some.
    """
    if not hasattr(run, "documents"):
        yield from run
        return
    try:
        stored = run.v2.v3
    except (AttributeError, NotImplementedError):  # databroker 1, or MongoDB: no nodes to read from
        yield from run.documents()
        return
    yield "start", plain(stored.metadata["start"])
    streams = [stored[name] for name in stored]
    streams.sort(key=lambda stream: float(stream.metadata["time"]))
    descriptors = [[plain(doc) for doc in stream.descriptors] for stream in streams]
    yield from (("descriptor", doc) for docs in descriptors for doc in docs)
    # images of another dtype have a stream of their own: by time the later one still counts
    known = {} if known_rows is None else known_rows
    waits = known_rows is not None and not stored.metadata.get("stop")
    events = (
        _events(s.base, docs, known, waits=waits)
        for s, docs in zip(streams, descriptors, strict=True)
    )
    for event, row in heapq.merge(*events, key=lambda e: (e[0]["time"], e[0]["seq_num"])):
        yield "event", event
        known[event["uid"]] = row
    if stored.metadata.get("stop"):
        stop = plain(stored.metadata["stop"])
        if known_rows is None and not known:
            _require_no_events(stop)
        yield "stop", stop


def _require_no_events(stop: dict[str, Any]) -> None:
    """Raise an error if a run without a single event had some: nothing would show that."""
    counted = stop.get("num_events")
    numbers = counted.values() if isinstance(counted, dict) else ()
    n_events = sum(n for n in numbers if isinstance(n, int))
    if n_events:
        raise OSError(
            f"the run ended with {n_events} events, and the catalogue gives none of them: its "
            "table is damaged or gone; put back a copy of it, or restore the run from its backup "
            "file"
        )


def find_run(broker: databroker.Broker, key: str | int = -1) -> Any:
    """Return the run of a uid, the beginning of one, or a scan_id; -1 is the last raw run.

    Raises
    ------
    KeyError
        If there is no such run; the message names the latest runs.
    """
    text = str(key)
    catalog = bluesky_catalog(broker.v2)
    try:
        if text.startswith("-") and text[1:].isdigit():
            return _nth_last_raw_run(catalog, int(text[1:]))
        return _by_scan_id(catalog, text) or catalog[text]
    except (KeyError, ValueError) as error:
        latest = ", ".join(run.start["uid"][:8] for run in catalog.values().tail(3)) or "none"
        raise KeyError(
            f"no run {text} in the catalogue ({error.args[0]}); the latest are {latest}"
        ) from error


def _by_scan_id(catalog: Any, text: str) -> Any:
    """Return the latest run with that scan_id, or None: a uid may consist of digits, too."""
    from tiled.queries import Eq

    if not (text.isascii() and text.isdigit()) or len(text) > _LONGEST_SCAN_ID:
        return None
    found = catalog.search(Eq("scan_id", int(text)))
    return found.values().last() if len(found) else None


def _nth_last_raw_run(catalog: Any, n: int) -> Any:
    found = 0
    for run in reversed(catalog.values()):
        found += run.start.get("purpose") != "analysis"
        if found == n:
            return run
    raise KeyError(f"it holds {found} raw runs")


def _events(
    stream: Any, descriptors: list[dict[str, Any]], known: Mapping[str, int], *, waits: bool
) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield events of one stream with their rows; of rows with one number the last one is used."""
    data_keys = descriptors[0]["data_keys"]
    in_files = [k for k, d in data_keys.items() if d.get("external") and k in stream]
    columns = table_of(stream, in_files, descriptors[0])
    if columns is None:
        return
    last_row = {int(number): row for row, number in enumerate(columns["seq_num"])}
    of_number = {n: _descriptor_at(columns["time"][r], descriptors) for n, r in last_row.items()}
    uids = {number: f"{descriptor['uid']}-{number}" for number, descriptor in of_number.items()}
    n_rows = len(columns["seq_num"])
    keys = [k for k, d in data_keys.items() if not d.get("external")]
    nodes = [k for k in (*in_files, *keys) if waits and k in stream]
    n_ready = min((int(stream[k].shape[0]) for k in nodes), default=n_rows)
    numbers = sorted(n for n, row in last_row.items() if known.get(uids[n]) != row < n_ready)
    rows = [last_row[number] for number in numbers]
    arrays = {k: _rows_of(stream[k], rows) for k in keys if k in stream}
    n_rows = 0 if waits else n_rows
    files = {k: _rows_of(stream[k], rows) for k in in_files if _is_readable(stream, k, n_rows)}
    for number, row in zip(numbers, rows, strict=True):
        data = {k: next(arrays[k]) if k in arrays else columns[k][row] for k in keys}
        event = {
            "uid": uids[number],
            "time": columns["time"][row],
            "seq_num": number,
            "descriptor": of_number[number]["uid"],
            "data": data | {k: next(images) for k, images in files.items()},
            "timestamps": {
                k: columns.get(f"ts_{k}", columns["time"])[row] for k in (*keys, *files)
            },
            "filled": dict.fromkeys(files, True),
        }
        yield event, row


def _descriptor_at(time_s: float, descriptors: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the descriptor that was the latest at a time."""
    return [d for d in descriptors if d["time"] <= time_s or d is descriptors[0]][-1]


def table_of(
    stream: Any, in_files: list[str], descriptor: dict[str, Any]
) -> dict[str, list[Any]] | None:
    """Return the table of a stream; for a flyer, which has none, one row per image in its files."""
    if "internal" in stream:
        with _named(f"table of {descriptor.get('name', 'a stream')}"):
            table = stream["internal"].read()
        return {name: table[name].tolist() for name in table.columns}
    if not in_files:
        return None
    n_rows = int(stream[in_files[0]].shape[0])
    return {"seq_num": list(range(1, n_rows + 1)), "time": [descriptor["time"]] * n_rows}


def _is_readable(stream: Any, key: str, n_rows: int) -> bool:
    """Return True if each row has an image in a file and the catalogue may read it.

    With 0 rows, only what is there already is to be read.
    """
    from tiled.client.utils import ClientError

    n_images = int(stream[key].shape[0])
    if n_rows and n_images != n_rows:
        logger.warning(
            "%r has %d images in files for %d events, and the catalogue does not say which "
            "belong together; they are left out",
            key,
            n_images,
            n_rows,
        )
        return False
    try:
        stream[key][:1]
    except (ClientError, RuntimeError, OSError) as error:  # in this process, as they were raised
        logger.warning(
            "the images of %r are in files that the catalogue cannot read (%s); name their folder: "
            "--root on the command line, image_roots of open_catalog in Python",
            key,
            str(error).rstrip("."),
        )
        return False
    return True


@contextmanager
def _named(what: str) -> Iterator[None]:
    """Say what is damaged; the libraries below raise errors of many kinds, with long texts."""
    try:
        yield
    except Exception as error:
        reason = (str(error).splitlines() or [repr(error)])[0][:_MOST_LETTERS]
        raise OSError(
            f"the {what} cannot be read from the catalogue ({reason}); if it is in "
            "a folder, put back a copy of it, or restore the run from its backup file; if it is on "
            "a server, is that running?"
        ) from error


def _rows_of(node: Any, rows: list[int]) -> Iterator[NDArray[Any]]:
    """Yield the arrays at these rows of a node, read in blocks of moderate size."""
    bytes_per_row = max(1, int(np.prod(node.shape[1:])) * node.dtype.itemsize)
    n_rows = max(1, _BLOCK_BYTES // bytes_per_row)
    for begin in range(0, len(rows), n_rows):
        wanted = rows[begin : begin + n_rows]
        low, high = min(wanted), max(wanted) + 1
        with _named(f"array {node.item['id']!r}"):
            try:
                block = node[low:high]
            except Exception:
                require_folders(node)
                raise
            if not block.reshape(len(block), -1).any(axis=1).all():
                _require_files(node)
        for row in wanted:
            yield block[row - low]


def _require_files(node: Any) -> None:
    """Raise FileNotFoundError if an array of zeros has no file at all; a part of it is logged."""
    gone, is_all = without_files(node)
    if is_all:
        raise FileNotFoundError(f"no file {named(gone)}")
    if gone:
        logger.warning(
            "images of %r are zeros, and there is no file %s", node.item["id"], named(gone)
        )


def plain(value: Any) -> Any:
    """Return Tiled's read-only views as dicts and lists."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | np.ndarray):
        return [plain(item) for item in value]
    return value
