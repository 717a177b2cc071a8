"""Store the documents of one run in the catalogue, a whole image at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from stxm_live.catalog.backup import read_backup
from stxm_live.scan import StackScan

if TYPE_CHECKING:
    import databroker

_ALL_AT_THE_END = 10_000
"""Events per write of a run that never sends the announced data."""


class RunStore:
    """Takes the documents of one run in order and writes them; one write per image.

    Tiled's writer collects a fixed number of events, and one write costs 60-160 ms however many
    they are. How many events make an image is known with the first event that carries the
    announced data; until then the documents are held back. Descriptors wait for their first
    event, which tells the dtype the arrays really have: Tiled stores in the declared one.

    Parameters
    ----------
    broker : databroker.Broker
        From `open_catalog`.
    """

    def __init__(self, broker: databroker.Broker) -> None:
        self._client = broker.v2
        self._scan: StackScan | None = None
        self._held: list[tuple[str, Mapping[str, Any]]] = []
        self._descriptors: dict[str, Mapping[str, Any]] = {}
        self._write: Any = None

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take the next document; raises what Tiled raises."""
        if name == "start":
            self._scan = _scan_or_none(doc)
        if name == "descriptor":
            self._descriptors[doc["uid"]] = doc
            return
        for uid in list(self._descriptors) if name == "stop" else [doc.get("descriptor")]:
            if uid in self._descriptors:
                self._forward("descriptor", _with_true_dtypes(self._descriptors.pop(uid), doc))
        self._forward(name, doc)

    def _forward(self, name: str, doc: Mapping[str, Any]) -> None:
        self._held.append((name, doc))
        if self._write is None:
            n_events = self._events_per_image(name, doc)
            if n_events is None:
                return
            self._write = _tiled_writer(self._client, n_events)
        # the writer validates every event, and for that spells out its arrays: 11 ms a line
        with np.printoptions(threshold=0):
            for held in self._held:
                self._write(*held)
        self._held.clear()

    def _events_per_image(self, name: str, doc: Mapping[str, Any]) -> int | None:
        """How many events to write at once; None if this document does not tell."""
        if name == "stop":
            return _ALL_AT_THE_END
        if name not in ("event", "event_page"):
            return None
        if self._scan is None:
            return 1
        if self._scan.data_field not in doc["data"]:
            return None
        value = doc["data"][self._scan.data_field]
        n_values = np.size(value if name == "event" else value[0])
        ny, nx = self._scan.image_shape
        return max(1, round(ny * nx / max(n_values, 1)))


def store_documents(
    broker: databroker.Broker, documents: Iterable[tuple[str, Mapping[str, Any]]]
) -> str:
    """Store one whole run; if that fails nothing of it stays. Returns its uid."""
    documents = iter(documents)
    first = next(documents)
    uid = str(first[1]["uid"])
    if uid in broker.v2:
        raise ValueError(f"run {uid[:8]} is in the catalogue already")
    store = RunStore(broker)
    try:
        for name, doc in chain([first], documents):
            store(name, doc)
    except BaseException:
        delete_run(broker, uid)
        raise
    return uid


def restore_run(broker: databroker.Broker, path: str | Path) -> str:
    """Store a run from its backup file, in the place of what may be there of it; its uid.

    The file is removed afterwards. A run that never came to its end is stored as aborted.
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
    """Take a run and its arrays out of the catalogue; a uid that is not there is ignored.

    Files the run only refers to are left alone.
    """
    if uid in broker.v2:
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


def _with_true_dtypes(descriptor: Mapping[str, Any], event: Mapping[str, Any]) -> Mapping[str, Any]:
    """The descriptor with the dtype of the arrays in an event or event page of it."""
    data = event.get("data", {})
    keys = dict(descriptor["data_keys"])
    for key, description in keys.items():
        value = data.get(key)
        if description["dtype"] == "array" and isinstance(value, np.ndarray):
            keys[key] = {**description, "dtype_numpy": value.dtype.str}
    return {**descriptor, "data_keys": keys}
