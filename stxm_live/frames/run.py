"""One run on its way from documents to frames."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from stxm_live.frames.announced import Announced, announced
from stxm_live.frames.counts import Counts, finite_number, read_counts
from stxm_live.frames.external import ExternalImages, Reference
from stxm_live.frames.open_stacks import OpenStacks
from stxm_live.frames.paths import Roots
from stxm_live.frames.slot import Piece
from stxm_live.frames.stack_frames import StackFrames
from stxm_live.recipe import FieldOptions
from stxm_live.scan import StackScan
from stxm_live.stack import Frame

MAX_WAITING = 100_000
"""So many images of a run may wait for their file or their event."""

_LEAST_EV, _MOST_EV = 10.0, 1e6
"""No microscope has photons beyond."""

_READBACK_SUFFIXES = ("", "_readback", "_user_readback", "_rbv")
_EXTERNAL = ("resource", "datum", "datum_page", "stream_resource", "stream_datum")


class NewFrame(NamedTuple):
    """A frame that became whole, or whole again, and its stack."""

    stack: StackFrames
    frame: Frame


class _Member(NamedTuple):
    """A stack of the run, as it was announced and as it grows."""

    announced: Announced
    frames: StackFrames


@dataclass(eq=False)
class _Stream:
    """Where the events of a descriptor find what is needed."""

    name: str
    key: str
    energy: str | None
    monitor: str | None
    members: list[_Member]
    is_scalar: bool
    is_external: bool
    n_frames: int
    references: dict[int, Reference] = field(default_factory=dict)
    events: dict[int, Mapping[str, Any]] = field(default_factory=dict)


class _Waiting(NamedTuple):
    """An image that is to be read from a file."""

    stream: _Stream
    number: int
    data: Mapping[str, Any]
    reference: Reference


class RunFrames:
    """The frames of one run, as its documents come in.

    Parameters
    ----------
    start : dict
        The start document.
    scan : StackScan, optional
        What the run is, for runs whose start document does not say it.
    fields : FieldOptions, optional
        Data keys that count more than those the start document names.
    roots : iterable of path
        Folders from which images outside the documents may be read.
    open_stacks : OpenStacks, optional
        Stacks of earlier runs that this one may add to.

    Attributes
    ----------
    stacks : list of StackFrames
    shape : str
        How the run announced itself, in words.
    is_closed : bool
        Whether it has ended.

    Raises
    ------
    ValueError
        If neither the start document nor ``scan`` describes a stack.
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
        self.is_closed = False
        self._fields = fields or FieldOptions()
        shape = announced(start, scan, self._fields)
        self.shape = shape.name
        self._open_stacks = open_stacks or OpenStacks()
        self._members = [_Member(a, self._open_stacks.join(self.uid, a)) for a in shape.stacks]
        self.stacks = [member.frames for member in self._members]
        self.found: dict[str, str] = {}
        self._streams: dict[str, _Stream] = {}
        self._external = ExternalImages(roots or Roots())
        self._waiting: list[_Waiting] = []
        self._why_waiting = ""
        self._has_stopped = self._is_failed = False
        self._stream_name: str | None = None
        self._seen_fields: set[str] = set()

    def __call__(self, name: str, doc: Mapping[str, Any]) -> list[NewFrame]:
        """Take a document; return the frames that became whole, or whole again, by it."""
        if name == "descriptor":
            self._descriptor(doc)
        elif name == "event":
            return [*self._event(doc), *self.retry()]
        elif name == "event_page":
            from event_model import unpack_event_page

            events = [frame for event in unpack_event_page(doc) for frame in self._event(event)]
            return [*events, *self.retry()]
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
        """Images whose file is not there yet."""
        return len(self._waiting)

    def retry(self) -> list[NewFrame]:
        """Try again to read what is waiting; the first that is not there ends the attempt."""
        done: list[NewFrame] = []
        while self._waiting:
            first = self._waiting[0]
            try:
                value = first.reference.read()
            except OSError as error:
                self._why_waiting = str(error)
                break
            except Exception as error:  # noqa: BLE001  a file, or what names it, may hold anything
                self._note(f"event {first.number}: {error}; left out", first.stream.members)
                self._waiting.pop(0)
                continue
            self._waiting.pop(0)
            done.extend(self._place(first.stream, first.number, first.data, value))
        if self._has_stopped and not self._waiting:
            self._end(is_failed=self._is_failed)
        return done

    def give_up(self) -> list[NewFrame]:
        """Wait no longer for files; the frames of those that came after one that did not."""
        done = self._flush_without_events()
        n_missing, members = 0, None
        while self._waiting:
            n_missing, members = n_missing + 1, self._waiting.pop(0).stream.members
            done += self.retry()
        if n_missing:
            self._note(f"{n_missing} images are not in their files ({self._why_waiting})", members)
        self._end(is_failed=self._is_failed)
        return done

    def cut_off(self, reason: str) -> None:
        """End a run whose stop document will not come."""
        self._note(f"cut off: {reason}")
        self._end(is_failed=True)

    def _note(self, text: str, members: Iterable[_Member] | None = None) -> None:
        for member in members or self._members:
            member.frames.note(self.uid, text)

    def _descriptor(self, doc: Mapping[str, Any]) -> None:
        keys = doc.get("data_keys")
        if not isinstance(keys, Mapping):
            self._note("a descriptor does not describe its data; its events are left out")
            return
        self._seen_fields.update(map(str, keys))
        name = str(doc.get("name"))
        if name == "baseline":
            return
        base = re.sub(r"_\d+$", "", name)
        own = [m for m in self._members if m.announced.scan.stream in (name, base)]
        candidates = own or [m for m in self._members if m.announced.scan.stream is None]
        for wanted in {m.announced.scan.data_field for m in candidates}:
            key = _data_key(wanted, doc)
            if key is None:
                continue
            members = [m for m in candidates if m.announced.scan.data_field == wanted]
            if not own:
                # a catalogue keeps events of another shape or type in a stream "primary_2"
                self._stream_name = self._stream_name or base
                if base != self._stream_name:
                    self._note(
                        f"stream {name!r} has {key!r} too and is left out; the stack is taken "
                        f"from {self._stream_name!r}"
                    )
                    return
            stream = self._new_stream(base, key, keys, members)
            self._streams[doc["uid"]] = stream
            if stream.is_external:
                self._external.descriptor(doc, key)
            return

    def _new_stream(
        self, name: str, key: str, keys: Mapping[str, Any], members: list[_Member]
    ) -> _Stream:
        scan = members[0].announced.scan
        names = (scan.energy_motor + suffix for suffix in _READBACK_SUFFIXES)
        described = keys[key]
        shape = [int(n) for n in described.get("shape") or ()]
        external = described.get("external")
        energy = next((n for n in names if n in keys), None)
        monitor = scan.i0_field if scan.i0_field in keys else None
        self.found = {"image": key, "energy": energy or "", "i0": monitor or ""}
        is_stack = bool(external) and len(shape) == 3 and shape[0] > 0
        return _Stream(
            name=name,
            key=key,
            energy=energy,
            monitor=monitor,
            members=members,
            is_scalar=described.get("dtype") in ("number", "integer"),
            is_external=bool(external),
            n_frames=shape[0] if is_stack else 1,
        )

    def _event(self, doc: Mapping[str, Any]) -> Iterator[NewFrame]:
        stream = self._streams.get(str(doc.get("descriptor")))
        if stream is None:
            return
        number, data = int(doc["seq_num"]), doc["data"]
        if number < 1:
            self._note(f"an event has the number {number}, below 1; left out", stream.members)
            return
        if stream.key not in data and stream.is_external:
            if len(stream.events) < MAX_WAITING:
                stream.events[number] = data
            self._pair(stream, number)
        elif stream.key not in data:
            self._note(f"event {number} has no {stream.key!r}", stream.members)
        elif stream.is_external and isinstance(data[stream.key], str):
            reference = self._external.of_datum(doc, stream.key)
            self._wait(_Waiting(stream, number, data, reference))
        else:
            yield from self._place(stream, number, data, data[stream.key])

    def _stream_datum(self, doc: Mapping[str, Any]) -> None:
        stream = self._streams.get(str(doc.get("descriptor")))
        if stream is None or self._external.field_of(doc) not in (stream.key, None):
            return
        for number, reference in self._external.of_stream_datum(doc, stream.n_frames):
            stream.references[number] = reference
            self._pair(stream, number)

    def _pair(self, stream: _Stream, number: int) -> None:
        """Read an image when both its event and its place in a file are known."""
        if number in stream.references and number in stream.events:
            reference, data = stream.references.pop(number), stream.events.pop(number)
            self._wait(_Waiting(stream, number, data, reference))

    def _wait(self, waiting: _Waiting) -> None:
        if len(self._waiting) < MAX_WAITING:
            self._waiting.append(waiting)

    def _place(
        self, stream: _Stream, number: int, data: Mapping[str, Any], value: Any
    ) -> Iterator[NewFrame]:
        """Put the counts of an event where they belong."""
        readback = _energy_ev(data.get(stream.energy or ""))
        member = self._member_of(stream, number, data)
        if member is None:
            return
        scan = member.announced.scan
        where = f"event {number}" + (f" at {readback:g} eV" if readback is not None else "")
        try:
            counts = read_counts(
                value,
                scan,
                stream.key,
                is_scalar=stream.is_scalar,
                channel=self._fields.channel,
            )
        except ValueError as error:
            self._note(f"{where}: {error}; left out", [member])
            return
        if counts.note:
            self._note(counts.note, [member])
        monitor = finite_number(data.get(stream.monitor or ""))
        piece = self._piece(stream, member, number - 1, counts, readback)
        if piece is not None:
            frame = member.frames.put(replace(piece, readback_ev=readback, monitor=monitor))
            if frame is not None:
                yield NewFrame(member.frames, frame)

    def _piece(
        self, stream: _Stream, member: _Member, number: int, counts: Counts, readback: float | None
    ) -> Piece | None:
        """Where counts belong, by their number in the scan; 0 is the first."""
        raster, values = member.announced.raster, counts.values
        n_stacks = len(stream.members)
        if n_stacks > 1 and (values.ndim < 2 or readback is None):
            self._note(
                f"{n_stacks} stacks share stream {stream.name!r}: give each a stream of its own, "
                "or send one event per image with the energy in it; left out",
                stream.members,
            )
            return None
        everything = slice(None)
        if values.ndim == 2:
            energy, where, part, is_last = number, (everything, everything), 0, True
        elif values.ndim == 1:
            energy, row, backwards = raster.line(number)
            where, part, is_last = (slice(row, row + 1), everything), row, raster.ends_image(number)
            values = values[np.newaxis, ::-1] if backwards else values[np.newaxis]
        else:
            energy, row, column = raster.pixel(number)
            where = (slice(row, row + 1), slice(column, column + 1))
            part, values = row * raster.shape[2] + column, values.reshape(1, 1)
            is_last = raster.ends_image_with_pixel(number)
        index = None if n_stacks > 1 else member.announced.first_index + energy
        return Piece((self.uid, energy), index, where, values, part, is_last)

    def _member_of(self, stream: _Stream, number: int, data: Mapping[str, Any]) -> _Member | None:
        """The stack that an event belongs to, by what it says of region and polarization."""
        if len(stream.members) == 1:
            return stream.members[0]
        scan = stream.members[0].announced.scan
        region = _word(data.get(scan.region_field or ""))
        polarization = _word(data.get(scan.polarization_field or ""))
        found = [
            member
            for member in stream.members
            if (region is None or region == _word(member.announced.scan.region))
            and (polarization is None or polarization == _word(member.announced.scan.polarization))
        ]
        if len(found) == 1:
            return found[0]
        said = f"region {region!r}, polarization {polarization!r}"
        self._note(
            f"event {number} does not say which of {len(stream.members)} stacks it belongs to "
            f"({said}); left out",
            stream.members,
        )
        return None

    def _stop(self, doc: Mapping[str, Any]) -> list[NewFrame]:
        done = self.retry()
        done += self._flush_without_events()
        if not self._streams:
            fields = ", ".join(sorted(self._seen_fields)) or "none"
            for member in self._members:
                wanted = member.announced.scan.data_field
                self._note(f"no stream has the field {wanted!r}; fields seen: {fields}", [member])
        is_failed = str(doc.get("exit_status", "success")) != "success"
        if is_failed:
            reason = doc.get("reason") or "no reason given"
            self._note(f"the scan ended by {doc['exit_status']} ({reason})")
        told = {id(frame) for _, frame in done}
        for stack in self.stacks:
            changed = stack.changed_frames()
            done += [NewFrame(stack, frame) for frame in changed if id(frame) not in told]
        self._has_stopped, self._is_failed = True, is_failed
        if not self._waiting:
            self._end(is_failed=is_failed)
        return done

    def _flush_without_events(self) -> list[NewFrame]:
        """Images of a flyer, which come without events, are placed by their number."""
        for stream in self._streams.values():
            for number in sorted(stream.references):
                self._wait(_Waiting(stream, number, {}, stream.references[number]))
            stream.references.clear()
            if stream.events:
                self._note(f"{len(stream.events)} events came without their images", stream.members)
                stream.events.clear()
        return self.retry()

    def _end(self, *, is_failed: bool) -> None:
        if self.is_closed:
            return
        self.is_closed = True
        self._external.close()
        for stack in self.stacks:
            self._open_stacks.leave(self.uid, stack, is_failed=is_failed)


def _data_key(wanted: str, descriptor: Mapping[str, Any]) -> str | None:
    """The data key of that name; else a key of the device of that name, the hinted one first."""
    keys = descriptor.get("data_keys", {})
    if wanted in keys:
        return wanted
    if not wanted:
        return None
    hints = (descriptor.get("hints") or {}).get(wanted) or {}
    hinted = [str(key) for key in hints.get("fields") or () if key in keys]
    of_device = [k for k, d in keys.items() if d.get("object_name") == wanted]
    named = sorted(
        k for k in keys if re.match(re.escape(wanted) + r"\W|" + re.escape(wanted) + "_", k)
    )
    return next(iter([*hinted, *of_device, *named]), None)


def _energy_ev(value: Any) -> float | None:
    """A readback that can be that of a photon energy."""
    number = finite_number(value)
    return number if number is not None and _LEAST_EV < number < _MOST_EV else None


def _word(value: Any) -> str | None:
    """A name as it is written, a number without its noughts."""
    if value is None:
        return None
    try:
        return f"{float(value):g}"
    except (TypeError, ValueError):
        return str(value)
