"""Storage of the documents of one run in the catalogue, one whole image per write."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from stxm_live.core.scan import StackScan
from stxm_live.io.catalog.folder import catalog_folder, kept_open, require_same
from stxm_live.io.catalog.locking import sole_writer
from stxm_live.io.catalog.names import check_names
from stxm_live.io.catalog.read_back import Digests, digest
from stxm_live.io.documents.list_arrays import as_array

if TYPE_CHECKING:
    import databroker

_Kind = tuple[tuple[str, tuple[int, ...], str], ...]
"""Name, shape and dtype of each array in an event."""

_ALL_AT_THE_END = 10_000
"""Events per write for a run that never sends the announced data."""

_MOST_EXACT = 2**53
"""Largest whole number up to which all are floats, too."""

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
    writes : bool
        If False, nothing is written, and only `sent` is kept.

    Attributes
    ----------
    sent : dict
        Checksums of the events, to be compared with those of the catalogue.
    """

    def __init__(
        self, broker: databroker.Broker, *, bytes_per_write: int = 0, writes: bool = True
    ) -> None:
        self.sent: Digests = {}
        self._uid = ""
        self._motors: frozenset[str] = frozenset()
        self._writes = writes
        self._has_written = False
        self._in_files: dict[str, set[str]] = {}
        self._names: dict[str, str] = {}
        self._broker = broker
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
            self._uid = str(doc["uid"])
            self._scan = _scan_or_none(doc)
            motors = doc.get("motors") or ()
            self._motors = frozenset(map(str, motors if not isinstance(motors, str) else [motors]))
        if name == "descriptor" and doc["uid"] in self._descriptors:
            return  # sent again
        if name == "descriptor":
            check_names("stream", [str(doc["name"])])
            check_names("data key", map(str, doc["data_keys"]))
            self._descriptors[doc["uid"]] = doc
            self._streams[doc["uid"]] = {}
            keys = doc["data_keys"].items()
            self._in_files[doc["uid"]] = {key for key, d in keys if d.get("external")}
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
        data = {k: v.item() if _is_single(v) else as_array(v) for k, v in doc["data"].items()}
        for key, value in data.items():
            _check_array(key, value)
        if doc["descriptor"] not in self._descriptors:
            raise ValueError(f"an event is of the descriptor {doc['descriptor']!r}, not sent yet")
        keys = self._descriptors[doc["descriptor"]]["data_keys"]
        data = {k: self._number(v, keys.get(k, {})) for k, v in data.items()}
        kind = tuple(
            (key, np.shape(value), np.asarray(value).dtype.str)
            for key, value in sorted(data.items())
            if isinstance(value, np.ndarray) or _is_float_among_integers(value, keys.get(key, {}))
        )
        uid = self._stream(doc["descriptor"], kind)
        checksum = digest(data, self._in_files[doc["descriptor"]])
        self.sent[self._names[uid], int(doc["seq_num"])] = checksum
        self._forward("event", {**doc, "data": data, "descriptor": uid})

    def _number(self, value: Any, data_key: Mapping[str, Any]) -> Any:
        """Return whole numbers of a motor, or of what is declared a number, as floats.

        The first energy may be 505 and the next 513.2, but a column of the table has one type.
        """
        may_vary = data_key.get("dtype") == "number" or data_key.get("object_name") in self._motors
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        return float(value) if is_whole and may_vary and abs(value) <= _MOST_EXACT else value

    def _stream(self, uid: str, kind: _Kind) -> str:
        """Return the descriptor for events with arrays of this kind; a new one is forwarded."""
        kinds = self._streams[uid]
        if kind not in kinds:
            descriptor = self._descriptors[uid]
            keys = dict(descriptor["data_keys"])
            for key, shape, dtype in kind:
                more = {} if shape else {"dtype": "number"}
                keys[key] = {**keys[key], "shape": list(shape), "dtype_numpy": dtype, **more}
            name, kinds[kind] = descriptor["name"], uid
            if len(kinds) > 1:
                name, kinds[kind] = f"{name}_{len(kinds)}", str(uuid4())
            self._names[kinds[kind]] = name
            own = {"data_keys": keys, "uid": kinds[kind], "name": name}
            self._forward("descriptor", {**descriptor, **own})
        return kinds[kind]

    def _forward(self, name: str, doc: Mapping[str, Any]) -> None:
        if not self._writes:
            return
        self._held.append((name, doc))
        if self._write is None:
            n_events = self._events_per_write(name, doc)
            if n_events is None:
                return
            self._write = _tiled_writer(self._broker.v2, n_events)
        require_same(self._broker)
        # the writer validates every event, and for that spells out its arrays: 11 ms a line
        with sole_writer(self._folder), np.printoptions(threshold=0):
            if not self._has_written and has_run(self._broker, self._uid):
                self._writes = False  # another writer stores it, or has stored it
            for held in self._held if self._writes else []:
                self._has_written = True
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
    """Store one whole run and return its uid; if this fails, nothing of the run stays.

    An embedded catalogue that is closed meanwhile, as at the end of the interpreter, closes when
    the run is stored.

    Raises
    ------
    CatalogClosedError
        If it is closed already.
    """
    documents = iter(documents)
    first = next(documents)
    uid = str(first[1]["uid"])
    check_names("uid", [uid])
    with kept_open(broker):
        if has_run(broker, uid):
            raise ValueError(f"run {uid[:8]} is in the catalogue already")
        store = RunStore(broker, bytes_per_write=_BYTES_PER_WRITE)
        try:
            for name, doc in chain([first], documents):
                store(name, doc)
        except BaseException:
            delete_run(broker, uid)
            raise
    return uid


def has_run(broker: databroker.Broker, uid: str) -> bool:
    """Return True if the catalogue has a run of this uid.

    ``uid in broker.v2`` is also true of the beginning of a uid, and for a new run it looks through
    all of them for that.
    """
    from tiled.client.container import Container

    try:
        Container.__getitem__(broker.v2, uid)
    except KeyError:
        return False
    return True


def delete_run(broker: databroker.Broker, uid: str) -> None:
    """Remove a run and its arrays from the catalogue; an unknown uid is ignored.

    Files the run only refers to are left alone.
    """
    check_names("uid", [uid])
    folder = catalog_folder(broker)
    left = None if folder is None else (folder / "data" / uid).resolve()
    if folder is not None and left is not None and not left.is_relative_to(folder.resolve()):
        raise OSError(f"{left} is not in the catalogue's folder {folder}; it is left alone")
    with sole_writer(folder):
        if has_run(broker, uid):
            broker.v2.delete_contents(uid, recursive=True, external_only=False)
        # a program that was killed leaves arrays which the catalogue does not list
        if left is not None and left.is_dir():
            shutil.rmtree(left)


def _scan_or_none(start: Mapping[str, Any]) -> StackScan | None:
    try:
        return StackScan.from_start(start)
    except ValueError:
        return None


def _tiled_writer(client: Any, events_per_write: int) -> Any:
    from bluesky_tiled_plugins import TiledWriter

    # arrays of any length beside the table, which knows no float32
    return TiledWriter(client, batch_size=events_per_write, max_array_size=0)


def _check_array(key: str, value: Any) -> None:
    """Raise ValueError for arrays that Tiled stores without an error, and changed."""
    if isinstance(value, np.ma.MaskedArray):
        raise ValueError(f"{key!r} is a masked array, and the catalogue has no masks; fill it")
    if isinstance(value, list | tuple):
        raise ValueError(
            f"{key!r} is a list that is no array, of different lengths or kinds, which the "
            "catalogue cannot hold"
        )


def _is_float_among_integers(value: Any, data_key: Mapping[str, Any]) -> bool:
    """Return True for a float of a data key that is declared to hold whole numbers."""
    return isinstance(value, float) and data_key.get("dtype") == "integer"


def _is_single(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.ndim == 0


def _events(page: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    from event_model import unpack_event_page

    yield from unpack_event_page(page)
