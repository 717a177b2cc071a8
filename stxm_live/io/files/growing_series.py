"""The documents of a stack whose images come one by one, each in a file of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stxm_live.core.stack import Stack
from stxm_live.io.files.documents import data_keys, event_data
from stxm_live.io.files.joined import check_alike

Document = tuple[str, dict[str, Any]]

MAX_OPEN = 8
"""Most series that are continued at a time; the oldest one ends first."""

_SAME_EV = 0.01
"""Energies that differ by less are the same."""


class GrowingSeries:
    """One stack: images of one field at several energies, in the order in which they come."""

    def __init__(self, path: Path, image: Stack) -> None:
        self.paths = [path]
        self._images = [image]
        self._run: Any = None
        self._stream: Any = None

    def is_alike(self, path: Path, image: Stack) -> bool:
        """Return True if an image is of the same field."""
        try:
            check_alike(self.paths[0], self._images[0].scan, path, image.scan)
        except ValueError:
            return False
        return True

    def has_energy(self, path: Path, image: Stack) -> bool:
        """Return True if another file has an image at this energy."""
        (energy_ev,) = image.scan.energies_ev
        others = zip(self.paths, self._images, strict=True)
        known = [other.scan.energies_ev[0] for p, other in others if p != path]
        return any(abs(energy_ev - e) <= _SAME_EV for e in known)

    def add(self, path: Path, image: Stack) -> Iterator[Document]:
        """Yield the documents of an image; of the first one they come with the second."""
        if path in self.paths:
            number = self.paths.index(path)
            self._images[number] = image
            if self._run is not None:
                yield from self._event(number)
            return
        self.paths.append(path)
        self._images.append(image)
        if self._run is None:
            yield from self._begun()
        yield from self._event(len(self.paths) - 1)

    def end(self) -> Iterator[Document]:
        """Yield the end of the run, if it was begun."""
        if self._run is not None:
            yield "stop", self._run.compose_stop()
            self._run = None

    def _begun(self) -> Iterator[Document]:
        from event_model import compose_run

        scan = self._images[0].scan.model_copy(
            update={"skipping": "any-order", "grows": True, "region": "1", "n_regions": 1}
        )
        source = {"plan_name": "watch", "source_file": self.paths[0].name}
        self._run = compose_run(metadata={**source, **scan.metadata()})
        yield "start", self._run.start_doc
        self._stream = self._run.compose_descriptor(
            name="primary", data_keys=data_keys(scan), validate=True
        )
        yield "descriptor", self._stream.descriptor_doc
        yield from self._event(0)

    def _event(self, number: int) -> Iterator[Document]:
        image = self._images[number]
        (frame,) = image.frames
        data = event_data(self._images[0].scan, frame)
        times = dict.fromkeys(data, self._run.start_doc["time"])
        yield (
            "event",
            self._stream.compose_event(data=data, timestamps=times, seq_num=number + 1),
        )


class SingleImages:
    """The series of a folder, as their images come."""

    def __init__(self) -> None:
        self._open: list[GrowingSeries] = []

    def add(self, path: Path, image: Stack) -> Iterator[Document]:
        """Yield the documents of a complete image, and the end of a series that it replaces."""
        for series in list(self._open):
            is_alike = series.is_alike(path, image)
            if is_alike and not series.has_energy(path, image):
                yield from series.add(path, image)
                return
            if is_alike or path in series.paths:  # scanned once more, or another image now
                yield from self._ended(series)
        if len(self._open) >= MAX_OPEN:
            yield from self._ended(self._open[0])
        self._open.append(GrowingSeries(path, image))

    def end(self) -> Iterator[Document]:
        """Yield the ends of all runs."""
        for series in list(self._open):
            yield from self._ended(series)

    def _ended(self, series: GrowingSeries) -> Iterator[Document]:
        self._open.remove(series)
        yield from series.end()
