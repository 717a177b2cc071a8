"""Storage of the documents of one run in the catalogue, one whole image per write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from stxm_live.core.scan import StackScan
from stxm_live.io.catalog.backup import read_backup
from stxm_live.io.catalog.folder import catalog_folder
from stxm_live.io.catalog.locking import sole_writer
from stxm_live.io.catalog.names import check_names

if TYPE_CHECKING:
    import databroker

_Kind = tuple[tuple[str, tuple[int, ...], str], ...]
"""Name, shape and dtype of each array in an event."""

_ALL_AT_THE_END = 10_000
"""Events per write for a run that never sends the announced data."""

_BYTES_PER_WRITE = 32 * 2**20
"""Bytes per write for a run that is already complete."""


class RunStore:
    """Write the documents of one run in order, with one write per image.

    Tiled's writer collects a fixed number of events, and one write takes 60-160 ms for any number
    of events. The first event that carries the announced data shows how many events make an
    image; until then the documents are held back.

    Tiled keeps the arrays of a stream as one array of the declared dtype: it casts other dtypes,
    and pads all arrays with zeros if one has another shape. So a descriptor waits for its first
    event, which shows dtype and shape, and events with different arrays go to a stream of their
    own, ``primary_2``.

    Parameters
    ----------
    broker : databroker.Broker
        From `open_catalog`.
    bytes_per_write : int
        Smallest amount of announced data in one write; 0 for a run that is being measured.
    """

    def __init__(self, broker: databroker.Broker, *, bytes_per_write: int = 0) -> None:
        self._client = broker.v2
        self._folder = catalog_folder(broker)
        self._bytes_per_write = bytes_per_write
        self._scan: StackScan | None = None
        self._held: list[tuple[str, Mapping[str, Any]]] = []
        self._descriptors: dict[str, Mapping[str, Any]] = {}
        self._streams: dict[str, dict[_Kind, str]] = {}
        self._write: Any = None

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take the next document; errors of Tiled are passed on."""
        if name == "start":
            check_names("uid", [str(doc["uid"])])
            self._scan = _scan_or_none(doc)
        if name == "descriptor":
            check_names("stream", [str(doc["name"])])
            check_names("data key", map(str, doc["data_keys"]))
            self._descriptors[doc["uid"]] = doc
            self._streams[doc["uid"]] = {}
        elif name == "event_page":
            for event in _events(doc):
                self._event(event)
        elif name == "event":
            self._event(doc)
        else:
            unused = [uid for uid, kinds in self._streams.items() if not kinds]
            for uid in unused if name in ("stop", "stream_datum") else []:
                self._stream(uid, ())
            self._forward(name, doc)

    def _event(self, doc: Mapping[str, Any]) -> None:
        data = {k: v.item() if _is_single(v) else v for k, v in doc["data"].items()}
        kind = tuple(
            (key, value.shape, value.dtype.str)
            for key, value in sorted(data.items())
            if isinstance(value, np.ndarray)
        )
        uid = self._stream(doc["descriptor"], kind)
        self._forward("event", {**doc, "data": data, "descriptor": uid})

    def _stream(self, uid: str, kind: _Kind) -> str:
        """Return the descriptor for events with arrays of this kind; a new one is forwarded."""
        kinds = self._streams[uid]
        if kind not in kinds:
            descriptor = self._descriptors[uid]
            keys = dict(descriptor["data_keys"])
            for key, shape, dtype in kind:
                keys[key] = {**keys[key], "shape": list(shape), "dtype_numpy": dtype}
            name, kinds[kind] = descriptor["name"], uid
            if len(kinds) > 1:
                name, kinds[kind] = f"{name}_{len(kinds)}", str(uuid4())
            own = {"data_keys": keys, "uid": kinds[kind], "name": name}
            self._forward("descriptor", {**descriptor, **own})
        return kinds[kind]

    def _forward(self, name: str, doc: Mapping[str, Any]) -> None:
        self._held.append((name, doc))
        if self._write is None:
            n_events = self._events_per_write(name, doc)
            if n_events is None:
                return
            self._write = _tiled_writer(self._client, n_events)
        # the writer validates every event, and for that spells out its arrays: 11 ms a line
        with sole_writer(self._folder), np.printoptions(threshold=0):
            for held in self._held:
                self._write(*held)
        self._held.clear()

    def _events_per_write(self, name: str, doc: Mapping[str, Any]) -> int | None:
        """Return the number of events of one image or more; None if unknown."""
        if name == "stop":
            return _ALL_AT_THE_END
        if name != "event":
            return None
        if self._scan is None:
            return 1
        if self._scan.data_field not in doc["data"]:
            return None
        value = np.asarray(doc["data"][self._scan.data_field])
        events_per_image = round(np.prod(self._scan.image_shape) / max(value.size, 1))
        return max(1, events_per_image, self._bytes_per_write // max(value.nbytes, 1))


def store_documents(
    broker: databroker.Broker, documents: Iterable[tuple[str, Mapping[str, Any]]]
) -> str:
    """Store one whole run and return its uid; if this fails, nothing of the run stays."""
    documents = iter(documents)
    first = next(documents)
    uid = str(first[1]["uid"])
    check_names("uid", [uid])
    if uid in broker.v2:
        raise ValueError(f"run {uid[:8]} is in the catalogue already")
    store = RunStore(broker, bytes_per_write=_BYTES_PER_WRITE)
    try:
        for name, doc in chain([first], documents):
            store(name, doc)
    except BaseException:
        delete_run(broker, uid)
        raise
    return uid


def restore_run(broker: databroker.Broker, path: str | Path) -> str:
    """Store a run from its backup file, replace what was stored of it, and return its uid.

    The file is removed afterwards. A run without an end is stored as aborted.
    """
    documents = list(read_backup(path))
    if not documents or documents[0][0] != "start":
        raise ValueError(f"{path}: not a backup of a run: it does not begin with a start document")
    uid = str(documents[0][1]["uid"])
    if documents[-1][0] != "stop":
        documents.append(("stop", _stop_of_cut_off_run(documents)))
    delete_run(broker, uid)
    store_documents(broker, documents)
    Path(path).unlink()
    return uid


def delete_run(broker: databroker.Broker, uid: str) -> None:
    """Remove a run and its arrays from the catalogue; an unknown uid is ignored.

    Files the run only refers to are left alone.
    """
    check_names("uid", [uid])
    if uid in broker.v2:
        with sole_writer(catalog_folder(broker)):
            broker.v2.delete_contents(uid, recursive=True, external_only=False)


def _stop_of_cut_off_run(documents: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    times = [doc["time"] for name, doc in documents if name in ("start", "event")]
    return {
        "uid": str(uuid4()),
        "time": times[-1],
        "run_start": documents[0][1]["uid"],
        "exit_status": "abort",
        "reason": "restored from a backup file that ends before the run does",
    }


def _scan_or_none(start: Mapping[str, Any]) -> StackScan | None:
    try:
        return StackScan.from_start(start)
    except ValueError:
        return None


def _tiled_writer(client: Any, events_per_write: int) -> Any:
    from bluesky_tiled_plugins import TiledWriter

    # arrays of any length beside the table, which knows no float32
    return TiledWriter(client, batch_size=events_per_write, max_array_size=0)


def _is_single(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.ndim == 0


def _events(page: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    from event_model import unpack_event_page

    yield from unpack_event_page(page)
