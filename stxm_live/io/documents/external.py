"""Images outside the documents: the file and the row of each event."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stxm_live.io.documents.handlers import SPECS, handlers, read_npy, read_tiff
from stxm_live.io.documents.hdf5_images import Hdf5Images
from stxm_live.io.documents.paths import Roots, path_of_uri

MAX_ROWS_PER_DATUM = 1_000_000

MAX_RESOURCES = 10_000
"""Most resources of one run."""


class NotYetError(OSError):
    """Something that is needed to read an image has not arrived yet."""


class Reference(Protocol):
    """An image that can be read, now or later."""

    def read(self) -> NDArray[Any]:
        """Return the frames of the event; raises OSError if they are not there yet."""


class ExternalImages:
    """The resources of a run.

    Parameters
    ----------
    roots : Roots
        Folders that may be read from.
    """

    def __init__(self, roots: Roots) -> None:
        from event_model import Filler

        self._roots = roots
        self._handlers: list[Any] = []
        self._filler = Filler(handlers(roots, self._handlers), inplace=True, retry_intervals=[])
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
            self._filler(name, dict(doc))

    def descriptor(self, doc: Mapping[str, Any], field: str) -> None:
        """Remember the stream whose field is to be filled."""
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
        if len(indices) > MAX_ROWS_PER_DATUM:
            raise ValueError(f"a stream datum has {len(indices)} images, which is too many to read")
        if len(numbers) != len(indices):
            # before they are known, sequence numbers are 0 to 0
            numbers = range(indices.start + 1, indices.stop + 1)
        for number, index in zip(numbers, indices, strict=True):
            yield number, _FromStream(self, uid, index, n_frames)

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
            raise ValueError(
                f"the images are in files of an unknown kind; known kinds are {', '.join(SPECS)}"
            ) from error
        except (UnresolvableForeignKeyError, DataNotAccessible, EventModelError) as error:
            cause = error.__cause__ or error
            raise NotYetError(str(cause)[:300]) from error
        return np.asarray(reduced["data"][field])

    def read_row(self, uid: str, index: int, n_frames: int) -> NDArray[Any]:
        """Return rows of a stream resource; errors as for `Reference.read`."""
        if uid not in self._streams:
            if uid not in self._resources:
                raise NotYetError("the document that names the file has not arrived")
            self._streams[uid] = _stream_of(self._resources[uid], self._roots)
        return self._streams[uid].event(index, n_frames)

    def close(self) -> None:
        """Close all files."""
        for stream in self._streams.values():
            stream.close()
        self._streams.clear()
        for handler in self._handlers:  # the filler forgets them, but does not close
            if hasattr(handler, "close"):
                handler.close()
        self._handlers.clear()
        self._filler.clear_handler_cache()


class _FromDatum:
    def __init__(self, images: ExternalImages, event: Mapping[str, Any], field: str) -> None:
        self._images, self._event, self._field = images, event, field

    def read(self) -> NDArray[Any]:
        return self._images.read_datum(self._event, self._field)


class _FromStream:
    def __init__(self, images: ExternalImages, uid: str, index: int, n_frames: int) -> None:
        self._images, self._uid, self._index, self._n_frames = images, uid, index, n_frames

    def read(self) -> NDArray[Any]:
        return self._images.read_row(self._uid, self._index, self._n_frames)


class _Stream(Protocol):
    """Rows of images, in one file or in several."""

    def event(self, index: int, n_frames: int) -> NDArray[Any]: ...

    def close(self) -> None: ...


class _FileSequence:
    """One file for every image, named by a template and a number."""

    def __init__(self, folder: str, template: str, suffix: str, roots: Roots) -> None:
        self._folder, self._template, self._roots = folder, template, roots
        self._read = read_npy if suffix == ".npy" else read_tiff

    def event(self, index: int, n_frames: int) -> NDArray[Any]:
        numbers = range(index * n_frames, (index + 1) * n_frames)
        names = (_numbered(self._template, number) for number in numbers)
        paths = [self._roots.confined(f"{self._folder.rstrip('/')}/{name}") for name in names]
        return np.stack([self._read(path) for path in paths])

    def close(self) -> None:
        """Do nothing: no file is kept open."""


_FILE_KINDS = {"multipart/related;type=image/tiff": ".tiff", "multipart/related;type=npy": ".npy"}


def _stream_of(resource: Mapping[str, Any], roots: Roots) -> _Stream:
    """Return a reader of the kind that a stream resource names."""
    mimetype = str(resource["mimetype"])
    parameters = resource.get("parameters") or {}
    path = path_of_uri(str(resource["uri"]))
    if mimetype == "application/x-hdf5":
        dataset = str(parameters.get("dataset") or parameters.get("path") or "")
        if not dataset:
            raise ValueError("the document that names the file does not name a dataset in it")
        return Hdf5Images(path, dataset, roots)
    if mimetype in _FILE_KINDS:
        return _FileSequence(path, str(parameters["template"]), _FILE_KINDS[mimetype], roots)
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
    if start < 0 or stop < start:
        raise ValueError(f"a stream datum from {start} to {stop}")
    return range(start, stop)
