"""One run, from its documents to its frames."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from stxm_live.core.origin import origin_of_start
from stxm_live.core.recipe_options import FieldOptions
from stxm_live.core.scan import StackScan
from stxm_live.io.documents.announced import RunShape
from stxm_live.io.documents.backgrounds import background_of
from stxm_live.io.documents.counts import whole_number
from stxm_live.io.documents.external import ExternalImages
from stxm_live.io.documents.file_reader import ANSWER_S, StalledError
from stxm_live.io.documents.open_stacks import OpenStacks
from stxm_live.io.documents.other_streams import OtherStreams
from stxm_live.io.documents.paths import Roots
from stxm_live.io.documents.placing import Placing
from stxm_live.io.documents.plan_energies import NoStackError
from stxm_live.io.documents.stack_frames import StackFrames
from stxm_live.io.documents.stream_choice import StreamChoice
from stxm_live.io.documents.streams import (
    Member,
    NewFrame,
    Stream,
    Waiting,
    data_key,
    new_stream,
    note_on_energy,
)
from stxm_live.io.documents.undescribed import Undescribed, of_start
from stxm_live.io.documents.well_formed import events_of, well_formed

MAX_WAITING_IMAGES = 100_000
"""Most images of a run that may wait for their file or their event."""

_EXTERNAL = ("resource", "datum", "datum_page", "stream_resource", "stream_datum")


class RunFrames:
    """The frames of one run, as its documents come in.

    Parameters
    ----------
    start : dict
        The start document.
    scan : StackScan, optional
        Description of the run, if its start document has none.
    fields : FieldOptions, optional
        Data keys that take precedence over those in the start document.
    roots : iterable of path
        Folders from which images outside the documents may be read.
    open_stacks : OpenStacks, optional
        Stacks of earlier runs that this one may add to.

    Attributes
    ----------
    stacks : list of StackFrames
        Empty until a descriptor or an event describes them, if the start document does not.
    shape : str
        Form of the start document, in words.
    is_closed : bool
        True if the run has ended.

    Raises
    ------
    ValueError
        If the start document contradicts itself.
    """

    def __init__(
        self,
        start: Mapping[str, Any],
        scan: StackScan | None = None,
        *,
        fields: FieldOptions | None = None,
        roots: Roots | None = None,
        open_stacks: OpenStacks | None = None,
    ) -> None:
        self.uid = str(start["uid"])
        self._origin = origin_of_start(start)
        self.is_closed = False
        self._fields = fields or FieldOptions()
        self._open_stacks = open_stacks or OpenStacks()
        self.shape = ""
        self._members: list[Member] = []
        self.stacks: list[StackFrames] = []
        self._undescribed: Undescribed | None = None
        by_hand = scan if "stxm" not in start else None
        shape, reason = of_start(start, by_hand, self._fields)
        if shape is None:
            self._undescribed = Undescribed(start, by_hand, self._fields, reason)
        else:
            self._begin(shape)
        self.found: dict[str, str] = {}
        self._streams: dict[str, Stream] = {}
        self._external = ExternalImages(roots or Roots())
        self._waiting: list[Waiting] = []
        self._why_waiting, self._is_stalled = "", False
        self._has_stopped = self._is_failed = self._has_lost = False
        self._placing = Placing(start, self._fields.channel)
        self._choice, self._others = StreamChoice(), OtherStreams()
        self._seen_fields: set[str] = set()

    def _begin(self, shape: RunShape) -> None:
        self.shape = shape.name
        self._members = [Member(a, self._open_stacks.join(self.uid, a)) for a in shape.stacks]
        self.stacks = [member.frames for member in self._members]
        for member in self._members:
            member.frames.grows = member.announced.grows
            if member.frames.run_uids[0] == self.uid:
                member.frames.origin = self._origin

    @property
    def why_no_stack(self) -> NoStackError | None:
        """Return the reason why no stack is known of the run, or None if one is."""
        run = self._undescribed
        return None if run is None else NoStackError(run.reason, is_alike=run.is_alike)

    def _look(self, name: str, doc: Mapping[str, Any]) -> list[NewFrame]:
        """Look for a stack in a run that its start document does not describe."""
        assert self._undescribed is not None
        docs = events_of(name, doc) or [(name, doc)]
        for k, one in enumerate(docs):
            shape = self._undescribed.take(*one)
            if shape is not None:
                before = self._undescribed
                self._undescribed = None
                self._begin(shape)
                self._note(before.note)
                todo = [*before.documents, *docs[k + 1 :]]
                return [frame for kept in todo for frame in self(*kept)]
        self.is_closed = self._has_stopped = name == "stop"
        return []

    def __call__(self, name: str, doc: Mapping[str, Any]) -> list[NewFrame]:
        """Take a document; return the frames that it made complete, or complete again."""
        doc = well_formed(name, doc)
        if self._undescribed is not None:
            return self._look(name, doc)
        if name == "descriptor":
            self._descriptor(doc)
        elif name in ("event", "event_page"):
            events = events_of(name, doc)
            return [*(frame for _, event in events for frame in self._event(event)), *self.retry()]
        elif name in _EXTERNAL:
            self._external.take(name, doc)
            if name == "stream_datum":
                self._stream_datum(doc)
            return self.retry()
        elif name == "stop":
            return self._stop(doc)
        return []

    @property
    def n_waiting(self) -> int:
        """Return the number of images whose file is not there yet."""
        return len(self._waiting)

    @property
    def next_look_s(self) -> float:
        """Return the longest time in seconds that the next `retry` may take, as far as is known."""
        return ANSWER_S if self._is_stalled else 0.0

    def retry(self) -> list[NewFrame]:
        """Try again to read the waiting images; stop at the first one that is not there."""
        done: list[NewFrame] = []
        while self._waiting:
            first, self._is_stalled = self._waiting[0], False
            try:
                value = first.reference.read()
            except OSError as error:
                self._why_waiting = str(error)
                self._is_stalled = isinstance(error, StalledError)
                break
            except Exception as error:  # noqa: BLE001  a file, or what names it, may hold anything
                self._note(f"event {first.number}: {error}; left out", first.stream.members)
                self._waiting.pop(0)
                continue
            self._waiting.pop(0)
            done.extend(self._placing.put_waiting(first, value))
        if self._has_stopped and not self._waiting:
            self._end(is_failed=self._is_failed)
        return done

    def close_files(self) -> None:
        """Close the image files; they are opened again where more is to be read."""
        self._external.close()

    def give_up(self) -> list[NewFrame]:
        """Stop waiting for files; return the frames of images that came after a missing one."""
        done = self._flush_without_events()
        n_missing, members = 0, None
        while self._waiting:
            n_missing, members = n_missing + 1, self._waiting.pop(0).stream.members
            if self._is_stalled and n_missing == 1:  # the others may be readable
                self._external.wake()
            done += self.retry()
        if n_missing:
            self._has_lost = True
            self._note(
                f"{n_missing} images are missing from their files ({self._why_waiting})", members
            )
        self._end(is_failed=self._is_failed)
        return done

    def _note(self, text: str, members: Iterable[Member] | None = None) -> None:
        if not text:
            return
        for member in members or self._members:
            member.frames.note(self.uid, text)

    def _descriptor(self, doc: Mapping[str, Any]) -> None:
        keys = doc.get("data_keys")
        if not isinstance(keys, Mapping):
            self._note("a descriptor does not describe its data; its events are left out")
            return
        self._seen_fields.update(map(str, keys))
        name = str(doc.get("name"))
        self._others.descriptor(doc, self._members[0].announced.scan)
        if name == "baseline":
            return
        base = re.sub(r"_\d+$", "", name)
        own = [m for m in self._members if m.announced.scan.stream in (name, base)]
        candidates = own or [m for m in self._members if m.announced.scan.stream is None]
        for wanted in {m.announced.scan.data_field for m in candidates}:
            key = data_key(wanted, doc)
            if key is None:
                continue
            members = [m for m in candidates if m.announced.scan.data_field == wanted]
            background = None if own else background_of(base)
            if not own and background is None and not self._is_chosen(base, key):
                return
            try:
                stream = new_stream(base, key, doc, members, self._fields.channel)
            except ValueError as error:
                self._note(f"stream {name!r}: {error}; its images are left out", members)
                return
            stream.background = background
            self._streams[str(doc["uid"])] = stream
            if stream.is_external:
                self._external.descriptor(doc, key, stream.max_values)
            if background is not None:
                return
            if stream.kind is not None:
                self._placing.kinds.setdefault(base, stream.kind)
            self.found = {
                "image": key,
                "energy": stream.energy.name if stream.energy else "",
                "i0": stream.monitor or "",
            }
            self._note(note_on_energy(stream, keys), members)
            return

    def _is_chosen(self, base: str, key: str) -> bool:
        """Return True if the stack is taken from this stream."""
        left_out = self._choice.take(base)
        if left_out is not None:
            self._note(
                f"stream {left_out!r} also has {key!r} and is left out; the stack is taken from "
                f"{self._choice.name!r}"
            )
        if left_out not in (None, base):  # what has come is none of the stack
            self._streams = {d: s for d, s in self._streams.items() if s.name != left_out}
            self._waiting = [w for w in self._waiting if w.stream.name != left_out]
            self._placing.kinds.pop(str(left_out), None)
            for stack in self.stacks:
                stack.forget(self.uid)
        return base == self._choice.name

    def _event(self, doc: Mapping[str, Any]) -> Iterator[NewFrame]:
        stream = self._streams.get(str(doc.get("descriptor")))
        self._others.event(doc, stream)
        if stream is None:
            return
        number, data = whole_number(doc["seq_num"]), doc["data"]
        if number < 1:
            self._note(f"an event has the number {number}, below 1; left out", stream.members)
            return
        if stream.key not in data and stream.is_external:
            if len(stream.events) < MAX_WAITING_IMAGES:
                stream.events[number] = data
            self._pair(stream, number)
        elif stream.key not in data:
            self._note(f"event {number} has no {stream.key!r}", stream.members)
        elif stream.is_external and isinstance(data[stream.key], str):
            reference = self._external.of_datum(doc, stream.key)
            self._wait(Waiting(stream, number, data, reference))
        else:
            yield from self._placing.put(stream, number, data, data[stream.key])

    def _stream_datum(self, doc: Mapping[str, Any]) -> None:
        stream = self._streams.get(str(doc.get("descriptor")))
        if stream is None or self._external.field_of(doc) not in (stream.key, None):
            self._others.monitors.column(doc, self._external)
            return
        if not stream.has_events and stream.kind in ("pixel", "line"):
            for block in self._external.blocks_of_stream_datum(doc):
                self._wait(Waiting(stream, block.number, {}, block.rows, is_block=True))
            return
        for number, reference in self._external.of_stream_datum(doc, stream.n_frames):
            if number > stream.max_number:
                self._note(
                    f"image {number} and later ones are far beyond the end of the scan; left out",
                    stream.members,
                )
                return
            if stream.has_events:
                stream.references[number] = reference
                self._pair(stream, number)
            else:
                self._wait(Waiting(stream, number, {}, reference))

    def _pair(self, stream: Stream, number: int) -> None:
        """Read an image when both its event and its place in a file are known."""
        if number in stream.references and number in stream.events:
            reference, data = stream.references.pop(number), stream.events.pop(number)
            self._wait(Waiting(stream, number, data, reference))

    def _wait(self, waiting: Waiting) -> None:
        if len(self._waiting) < MAX_WAITING_IMAGES:
            self._waiting.append(waiting)
        else:
            self._has_lost = True
            self._note(
                f"more than {MAX_WAITING_IMAGES} images wait for their files; further ones are "
                "left out",
                waiting.stream.members,
            )

    def _stop(self, doc: Mapping[str, Any]) -> list[NewFrame]:
        done = self.retry()
        done += self._flush_without_events()
        if not self._streams:
            fields = ", ".join(sorted(self._seen_fields)) or "none"
            for member in self._members:
                wanted = member.announced.scan.data_field
                self._note(
                    f"no stream has the field {wanted!r}; the streams have: {fields}", [member]
                )
        for stream in self._streams.values():
            self._placing.end(stream)
        self._others.give_energies(self.uid, self._members)
        if not self.stacks[0].is_whole:
            n_images = self._members[0].announced.scan.shape[0]
            reason = self._choice.contradiction(doc.get("num_events"), n_images)
            self._placing.refuse(reason, self._members)
        if is_failed := str(doc.get("exit_status", "success")) != "success":
            reason = doc.get("reason") or "no reason given"
            self._note(f"the scan ended by {doc['exit_status']} ({reason})")
        reported = {id(frame) for _, frame in done}
        for stack in self.stacks:
            changed = stack.changed_frames()
            done += [NewFrame(stack, frame) for frame in changed if id(frame) not in reported]
        self._has_stopped, self._is_failed = True, is_failed
        self._count_lost(doc.get("num_events"))
        if not self._waiting:
            self._end(is_failed=is_failed)
        return done

    def _count_lost(self, n_events: object) -> None:
        """Check that every event of a scan that may skip energies has arrived.

        Otherwise a lost event would look like an energy that the scan skipped on purpose.
        """
        announced = n_events if isinstance(n_events, Mapping) else {}
        waiting = [waiting.stream.name for waiting in self._waiting]
        for name, numbers in self._placing.numbers.items():
            n_sent = announced.get(name)
            n_lost = (n_sent if isinstance(n_sent, int) else 0) - len(numbers) - waiting.count(name)
            if n_lost > 0:
                self._has_lost = True
                self._note(f"{n_lost} events of stream {name!r} did not come or were left out")

    def _flush_without_events(self) -> list[NewFrame]:
        """Yield frames from images of a flyer, which come without events, by number."""
        for stream in self._streams.values():
            for number in sorted(stream.references):
                self._wait(Waiting(stream, number, {}, stream.references[number]))
            stream.references.clear()
            if stream.events:
                self._note(f"{len(stream.events)} events came without their images", stream.members)
                stream.events.clear()
        return self.retry()

    def _end(self, *, is_failed: bool) -> None:
        if self.is_closed:
            return
        self.is_closed = True
        for stream in self._streams.values():
            self._others.give_monitors(self.uid, stream, self._placing.n_exposures(stream))
        self._external.close()
        for stack in self.stacks:
            stack.grows = False
            stack.ended_well = not (is_failed or self._has_lost)
            self._open_stacks.leave(self.uid, stack, is_failed=is_failed)
