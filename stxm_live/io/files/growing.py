"""The documents of a stack whose file another program still writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stxm_live.core.scan import StackScan
from stxm_live.core.stack import Frame, Stack
from stxm_live.io.files.documents import data_keys, event_data, numbered
from stxm_live.io.files.quantity import with_quantity
from stxm_live.io.files.reading import files_of, read_images
from stxm_live.io.files.sdf import read_sdf

Document = tuple[str, dict[str, Any]]


class Signature(NamedTuple):
    """State of the files of a stack, by which a change is seen."""

    files: tuple[tuple[str, int, int], ...]

    @classmethod
    def of(cls, path: Path) -> Signature:
        """Return name, size and time of all files that belong to one; others may come later."""
        found = []
        for file in files_of(path):
            try:
                state = file.stat()
            except FileNotFoundError:
                continue
            found.append((file.name, state.st_size, state.st_mtime_ns))
        return cls(tuple(found))


class GrowingStack:
    """Turn a file that grows into the documents of one run, image by image.

    An image is passed on when it is complete: when the next one has begun, or when the files have
    not changed between two looks. So `look` is to be called again and again.

    Parameters
    ----------
    path : Path
        Header or file of the stack, as for `read_stack`.
    options
        ``region``, ``detector`` and ``quantity`` for `read_stack`.

    Attributes
    ----------
    problem : str
        Why nothing can be read; empty if something can.
    single : Stack or None
        What was read by the last look, if it is a single image that is complete: no stack alone.
    """

    def __init__(self, path: Path, **options: str | None) -> None:
        self.path = path
        self.problem = ""
        self.single: Stack | None = None
        self._options = options
        self._run: Any = None
        self._stream: Any = None
        self._scan: StackScan | None = None
        self._sent: set[int] = set()
        self._signature: Signature | None = None
        self._is_settled = False
        self._stack: Stack | None = None
        self._first: Frame | None = None

    @property
    def is_open(self) -> bool:
        """Return True if a run has begun and not ended."""
        return self._run is not None

    def look(self) -> Iterator[Document]:
        """Yield the documents of what is new since the last time.

        What cannot be read yet is tried again when the files have changed; ``problem`` has the
        reason.
        """
        signature = Signature.of(self.path)
        is_quiet = signature == self._signature
        self.single = None
        if is_quiet and self._is_settled:
            return
        self._signature, self._is_settled = signature, is_quiet
        try:
            stack = self._read()
        except (ValueError, OSError) as error:
            self.problem = str(error)
            return
        self.problem = ""
        if self._run is None and len(stack.scan.energies_ev) == 1:
            is_whole = is_quiet and stack.frames and stack.frames[0].is_whole
            self.single = stack if is_whole else None
            return
        yield from self._documents(stack, is_quiet)

    def end(self) -> Iterator[Document]:
        """Yield the rest of a run that is not continued, with its unfinished image."""
        if self._run is None or self._stack is None:
            return
        yield from self._events(self._stack, numbered(self._stack))
        yield "stop", self._stopped(self._stack.finished, "; ".join(self._stack.notes))

    def _read(self) -> Stack:
        """Read what is there; of an SDF stack only the images that were not passed on before."""
        options = dict(self._options)
        scan = self._scan
        if scan is not None and self._run is not None:
            options["quantity"] = scan.quantity or "counts"
        known = {number - 1 for number in self._sent} if self._run is not None else set()
        repeats = scan is not None and len(set(scan.energies_ev)) < len(scan.energies_ev)
        if self.path.suffix.lower() != ".hdr" or not known or repeats:
            return read_images(self.path, **options)
        quantity = options.pop("quantity")
        return with_quantity(self.path, read_sdf(self.path, known=known, **options), quantity)

    def _documents(self, stack: Stack, is_quiet: bool) -> Iterator[Document]:
        if self._scan is not None and stack.scan != self._scan:
            if self._run is not None:
                yield "stop", self._stopped(False, f"{self.path.name} became another stack")
            self._scan = None
        if self._scan is None:
            yield from self._begun(stack)
        elif self._run is None:
            if _same_image(stack.frames[0], self._first):  # only the header was written again
                return
            yield from self._begun(stack)
        self._stack = stack
        yield from self._events(stack, _complete(stack, is_quiet))
        if stack.finished and is_quiet:
            yield "stop", self._stopped(True, "; ".join(stack.notes))

    def _begun(self, stack: Stack) -> Iterator[Document]:
        from event_model import compose_run

        source = {"plan_name": "watch", "source_file": self.path.name}
        self._run = compose_run(metadata={**source, **stack.scan.metadata()})
        self._scan, self._sent, self._first = stack.scan, set(), stack.frames[0]
        yield "start", self._run.start_doc
        self._stream = self._run.compose_descriptor(
            name="primary", data_keys=data_keys(stack.scan), validate=True
        )
        yield "descriptor", self._stream.descriptor_doc

    def _events(self, stack: Stack, images: Iterator[tuple[int, Frame]]) -> Iterator[Document]:
        start_s = self._run.start_doc["time"]
        for number, frame in sorted(images, key=lambda pair: pair[0]):
            if number in self._sent:
                continue
            self._sent.add(number)
            data = event_data(stack.scan, frame)
            yield (
                "event",
                self._stream.compose_event(
                    data=data, timestamps=dict.fromkeys(data, start_s), seq_num=number
                ),
            )

    def _stopped(self, is_finished: bool, reason: str) -> dict[str, Any]:
        run, self._run = self._run, None
        stop: dict[str, Any] = run.compose_stop(
            exit_status="success" if is_finished else "abort", reason=reason
        )
        return stop


def _same_image(frame: Frame, other: Frame | None) -> bool:
    return other is not None and np.array_equal(frame.intensity, other.intensity, equal_nan=True)


def _complete(stack: Stack, is_quiet: bool) -> Iterator[tuple[int, Frame]]:
    """Yield images to which nothing is added any more, with their places."""
    images = sorted(numbered(stack), key=lambda pair: pair[0])
    for number, frame in images if is_quiet else images[:-1]:
        if frame.is_whole:
            yield number, frame
