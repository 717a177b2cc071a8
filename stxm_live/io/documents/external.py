"""Images outside the documents: the file and the row of each event."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from stxm_live.io.documents.facility_handlers import missing_handler
from stxm_live.io.documents.file_reader import FileReader, StalledError
from stxm_live.io.documents.handlers import handlers
from stxm_live.io.documents.paths import Roots, path_of_uri

MAX_RESOURCES = 10_000
"""Most resources of one run."""

MAX_BLOCK_ROWS = 2**16
"""Most rows that are read at a time."""

_MOST = 2**53
"""Largest number of an image."""


class NotYetError(OSError):
    """Something that is needed to read an image has not arrived yet."""


class Reference(Protocol):
    """An image that can be read, now or later."""

    def read(self) -> NDArray[Any]:
        """Return the frames of the event; raises OSError if they are not there yet."""


class Block(NamedTuple):
    """Rows of a file, and the number of the first one in its stream; 1 is the first."""

    number: int
    n_rows: int
    rows: Reference


class ExternalImages:
    """The resources of a run.

    Parameters
    ----------
    roots : Roots
        Folders that may be read from.
    """

    def __init__(self, roots: Roots) -> None:
        from event_model import Filler

        self._reader = FileReader(roots)
        self._handlers = handlers(self._reader)
        self._filler = Filler(self._handlers, inplace=True, retry_intervals=[])
        self._specs: set[str] = set()
        self._resources: dict[str, Mapping[str, Any]] = {}
        self._streams: dict[str, _Stream] = {}
        self._n_resources = 0

    def take(self, name: str, doc: Mapping[str, Any]) -> None:
        """Remember a resource, a datum, or a page of them."""
        if name in ("resource", "stream_resource"):
            self._n_resources += 1
            if self._n_resources > MAX_RESOURCES:
                raise ValueError(
                    f"the run has more than {MAX_RESOURCES} resources; the images of further ones "
                    "are not read"
                )
        if name == "stream_resource":
            self._resources[str(doc["uid"])] = doc
        elif name in ("resource", "datum", "datum_page"):
            if name == "resource":
                self._specs.add(str(doc.get("spec")))
            self._filler(name, dict(doc))

    def descriptor(self, doc: Mapping[str, Any], field: str, max_values: int) -> None:
        """Remember the stream whose field is to be filled, and the most values of a frame."""
        self._reader.max_values = max(max_values, self._reader.max_values)
        self._reader.start()
        keys = {field: doc["data_keys"][field]}
        self._filler("descriptor", {**doc, "data_keys": keys})

    def of_datum(self, event: Mapping[str, Any], field: str) -> Reference:
        """Return the image that an event names by a datum id."""
        return _FromDatum(self, event, field)

    def field_of(self, stream_datum: Mapping[str, Any]) -> str | None:
        """Return the data key that a stream datum belongs to; None if its resource is unknown."""
        resource = self._resources.get(str(stream_datum["stream_resource"]))
        return None if resource is None else str(resource["data_key"])

    def of_stream_datum(
        self, doc: Mapping[str, Any], n_frames: int
    ) -> Iterator[tuple[int, Reference]]:
        """Yield sequence numbers and images of a stream datum; ``n_frames`` rows for each."""
        uid = str(doc["stream_resource"])
        indices, numbers = _span(doc["indices"]), _span(doc["seq_nums"])
        if len(numbers) != len(indices):
            # before they are known, sequence numbers are 0 to 0
            numbers = range(indices.start + 1, indices.stop + 1)
        for number, index in zip(numbers, indices, strict=True):
            yield number, _FromStream(self, uid, index, n_frames)

    def blocks_of_stream_datum(self, doc: Mapping[str, Any]) -> Iterator[Block]:
        """Yield the rows of a stream datum in blocks, each of rows with numbers that follow."""
        indices, numbers = _span(doc["indices"]), _span(doc["seq_nums"])
        first = numbers.start if len(numbers) == len(indices) else indices.start + 1
        for begin in range(indices.start, indices.stop, MAX_BLOCK_ROWS):
            n_rows = min(MAX_BLOCK_ROWS, indices.stop - begin)
            reference = _FromStream(self, str(doc["stream_resource"]), begin, 1, n_rows)
            yield Block(first + begin - indices.start, n_rows, reference)

    def read_datum(self, event: Mapping[str, Any], field: str) -> NDArray[Any]:
        """Return the frames of a datum by `event_model.Filler`; errors as for `Reference.read`."""
        from event_model import (
            DataNotAccessible,
            EventModelError,
            UndefinedAssetSpecification,
            UnresolvableForeignKeyError,
        )

        reduced = {**event, "data": {field: event["data"][field]}, "filled": {field: False}}
        try:
            self._filler("event", reduced)
        except UndefinedAssetSpecification as error:
            unknown = sorted(self._specs - self._handlers.keys())
            raise ValueError(
                f"the images are in files of an unknown kind: {missing_handler(unknown)}"
            ) from error
        except (UnresolvableForeignKeyError, DataNotAccessible, EventModelError) as error:
            cause = error.__cause__ or error
            if isinstance(cause, StalledError):
                raise cause from None
            raise NotYetError(str(cause)[:300]) from error
        return np.asarray(reduced["data"][field])

    def read_rows(self, uid: str, index: int, n_frames: int, n_events: int) -> NDArray[Any]:
        """Return rows of a stream resource; errors as for `Reference.read`."""
        if uid not in self._streams:
            if uid not in self._resources:
                raise NotYetError("the document that names the file has not arrived")
            self._streams[uid] = _stream_of(self._resources[uid], self._reader)
        return self._streams[uid].events(index, n_frames, n_events)

    def wake(self) -> None:
        """Attempt the next file at once, whatever did not answer before."""
        self._reader.wake()

    def close(self) -> None:
        """Close all files."""
        self._streams.clear()
        self._filler.clear_handler_cache()
        self._reader.close()


class _FromDatum:
    def __init__(self, images: ExternalImages, event: Mapping[str, Any], field: str) -> None:
        self._images, self._event, self._field = images, event, field

    def read(self) -> NDArray[Any]:
        return self._images.read_datum(self._event, self._field)


class _FromStream:
    def __init__(
        self, images: ExternalImages, uid: str, index: int, n_frames: int, n_events: int = 1
    ) -> None:
        self._images = images
        self._rows = uid, index, n_frames, n_events

    def read(self) -> NDArray[Any]:
        return self._images.read_rows(*self._rows)


class _Stream(Protocol):
    """Rows of images, in one file or in several."""

    def events(self, index: int, n_frames: int, n_events: int) -> NDArray[Any]: ...


class _Hdf5Rows:
    """Rows of a dataset."""

    def __init__(self, path: str, dataset: str, reader: FileReader) -> None:
        self._path, self._dataset, self._reader = path, dataset, reader

    def events(self, index: int, n_frames: int, n_events: int) -> NDArray[Any]:
        return self._reader.hdf5(
            self._path, self._dataset, index=index, n_frames=n_frames, n_events=n_events
        )


class _FileSequence:
    """One file for every image, named by a template and a number."""

    def __init__(self, folder: str, template: str, kind: str, reader: FileReader) -> None:
        self._folder, self._template, self._kind = folder.rstrip("/"), template, kind
        self._reader = reader

    def events(self, index: int, n_frames: int, n_events: int) -> NDArray[Any]:
        numbers = range(index * n_frames, (index + n_events) * n_frames)
        names = (_numbered(self._template, number) for number in numbers)
        return self._reader.files(self._kind, (f"{self._folder}/{name}" for name in names))


_FILE_KINDS = {"multipart/related;type=image/tiff": "tiff", "multipart/related;type=npy": "npy"}


def _stream_of(resource: Mapping[str, Any], reader: FileReader) -> _Stream:
    """Return a reader of the kind that a stream resource names."""
    mimetype = str(resource["mimetype"])
    parameters = resource.get("parameters") or {}
    path = path_of_uri(str(resource["uri"]))
    if mimetype == "application/x-hdf5":
        dataset = str(parameters.get("dataset") or parameters.get("path") or "")
        if not dataset:
            raise ValueError("the document that names the file does not name a dataset in it")
        return _Hdf5Rows(path, dataset, reader)
    if mimetype in _FILE_KINDS:
        return _FileSequence(path, str(parameters["template"]), _FILE_KINDS[mimetype], reader)
    raise ValueError(
        f"the images are in files of the kind {mimetype!r}, which is not read; known kinds are "
        f"application/x-hdf5, {', '.join(_FILE_KINDS)}"
    )


def _numbered(template: str, number: int) -> str:
    """Return a file name from a template such as ``img_{:06d}.tif`` or ``img_%06d.tif``."""
    field = re.search(r"\{:?(0\d{1,2})?d?\}|%(0\d{1,2})?d", template)
    if field is None:
        raise ValueError(f"file name template {template!r} has no place for a number")
    width = int(next((group for group in field.groups() if group), "0"))
    return template[: field.start()] + f"{number:0{width}d}" + template[field.end() :]


def _span(limits: Mapping[str, Any]) -> range:
    start, stop = int(limits["start"]), int(limits["stop"])
    if not 0 <= start <= stop <= _MOST:
        raise ValueError(f"a stream datum from {start:.3g} to {stop:.3g}")
    return range(start, stop)
