"""The counts of each event of a run, put where they belong in their stack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.io.documents.backgrounds import Backgrounds
from stxm_live.io.documents.counts import Counts, PieceKind, finite_number, read_counts
from stxm_live.io.documents.energy_readback import EnergyReadings
from stxm_live.io.documents.exposures import Exposure, Exposures, exposures_of
from stxm_live.io.documents.scan_order import X
from stxm_live.io.documents.slot import Piece
from stxm_live.io.documents.stack_frames import MAX_UNANNOUNCED, StackFrames
from stxm_live.io.documents.streams import Member, NewFrame, Stream, Waiting, piece_of, word


class Placing:
    """Events of a run on their way into stacks.

    Parameters
    ----------
    start : dict
        Start document of the run.
    channel : int or None
        Counter to use, if their readings alternate.

    Attributes
    ----------
    kinds : dict
        Content of each event of a stream, as its first descriptor or event says.
    numbers : dict
        Of stacks that may skip energies, the numbers of the events that were used, by stream.
    """

    def __init__(self, start: Mapping[str, Any], channel: int | None) -> None:
        self.kinds: dict[str, PieceKind] = {}
        self.numbers: dict[str, set[int]] = {}
        self._start = start
        self._uid = str(start["uid"])
        self._channel = channel
        self._backgrounds = Backgrounds()
        self._readings: dict[StackFrames, EnergyReadings] = {}
        self._exposures: dict[StackFrames, Exposures] = {}

    def end(self, stream: Stream) -> None:
        """Check what is known of a stream when its run ends."""
        if stream.positions is not None:
            self.refuse(stream.positions.contradiction(), stream.members)
        for member in stream.members:
            exposures = self._exposures.get(member.frames)
            if exposures is not None:
                exposures.end()
                self._note(exposures.note, [member])

    def put(
        self, stream: Stream, number: int, data: Mapping[str, Any], value: Any
    ) -> Iterator[NewFrame]:
        """Put the counts of an event where they belong, and yield the frame this completes."""
        if stream.background is not None:
            self._keep_background(stream, value)
            return
        member = self._member_of(stream, number, data)
        if member is None:
            return
        scan = member.announced.scan
        readback = self._energy_of(stream, member, number, data)
        where = f"event {number}" + (f" at {readback:g} eV" if readback is not None else "")
        counts = self._counts(stream, member, where, value)
        if counts is None or not self._is_in_place(stream, member, where, counts, readback):
            return
        if scan.skipping != "no":
            self.numbers.setdefault(stream.name, set()).add(number)
        monitor = finite_number(data.get(stream.monitor or ""))
        one = Exposure(counts.values, readback, monitor)
        ready = [(number - 1, one)]
        if counts.kind == "image":
            exposures = self._exposures_of(member)
            ready = exposures.add(number, one)
            self._note(exposures.note, [member])
        for place, whole in ready:
            yield from self._placed(stream, member, where, data, place, whole)

    def _placed(
        self,
        stream: Stream,
        member: Member,
        where: str,
        data: Mapping[str, Any],
        place: int,
        exposure: Exposure,
    ) -> Iterator[NewFrame]:
        """Put counts into their stack; ``place`` is their number in the scan, 0 is the first."""
        scan, readback, counts = (
            member.announced.scan,
            exposure.readback_ev,
            Counts(exposure.counts),
        )
        piece = piece_of(stream, self._uid, member.announced, place, counts)
        if stream.positions is not None:
            self.refuse(stream.positions.add(piece, counts, data), [member])
        if counts.kind != "image" and piece.image[1] >= scan.shape[0] + MAX_UNANNOUNCED:
            # its energy may name an image, but not its row
            self._note(f"{where}: its number is far beyond the end of the scan; left out", [member])
            return
        if member.frames.grows and readback is not None:
            member.frames.add_energy(readback)
        frame = member.frames.put(replace(piece, readback_ev=readback, monitor=exposure.monitor))
        if frame is not None:
            yield NewFrame(member.frames, frame)

    def put_waiting(self, waiting: Waiting, value: NDArray[Any]) -> Iterator[NewFrame]:
        """Put what was read from a file where it belongs."""
        if waiting.is_block:
            return self.put_rows(waiting.stream, waiting.number, value)
        return self.put(waiting.stream, waiting.number, waiting.data, value)

    def put_rows(self, stream: Stream, first: int, rows: NDArray[Any]) -> Iterator[NewFrame]:
        """Put rows of a flyer, which have no events; ``first`` is the number of the first one."""
        announced = stream.members[0].announced
        in_lines = stream.kind == "pixel" and announced.order.axes[2] == X
        if not in_lines or stream.background is not None or len(stream.members) > 1:
            for k, row in enumerate(rows):
                yield from self.put(stream, first + k, {}, row)
            return
        frames, nx = stream.members[0].frames, announced.scan.shape[2]
        counts = self._backgrounds.corrected(rows.reshape(-1).astype(np.float32), 1)
        for line, columns, values in _line_parts(first - 1, counts, nx):
            energy, row, backwards = announced.order.line(line)
            if energy >= announced.scan.shape[0]:
                self._note("more points came than were announced; left out", stream.members)
                return
            if backwards:
                columns = slice(nx - columns.stop, nx - columns.start)
            piece = Piece(
                (self._uid, energy),
                announced.first_index + energy,
                (slice(row, row + 1), columns),
                values[np.newaxis, ::-1] if backwards else values[np.newaxis],
                part=row,
                is_last=announced.order.ends_image(line) and len(values) + columns.start >= nx,
            )
            frame = frames.put(piece)
            if frame is not None:
                yield NewFrame(frames, frame)

    def _counts(self, stream: Stream, member: Member, where: str, value: Any) -> Counts | None:
        """Return the counts of an event, less the dark ones; None with a note if it has none."""
        try:
            counts = self._read(stream, member, value)
        except ValueError as error:
            self._note(f"{where}: {error}; left out", [member])
            return None
        if counts.note:
            self._note(counts.note, [member])
        corrected = self._backgrounds.corrected(counts.values, _n_frames(counts, value))
        return counts._replace(values=corrected)

    def _read(self, stream: Stream, member: Member, value: Any) -> Counts:
        return read_counts(
            value,
            member.announced.scan,
            stream.key,
            is_scalar=stream.is_scalar,
            channel=self._channel,
        )

    def _keep_background(self, stream: Stream, value: Any) -> None:
        """Keep a dark or flat image for the images that come after it."""
        assert stream.background is not None
        try:
            counts = self._read(stream, stream.members[0], value)
        except ValueError as error:
            self._note(f"stream {stream.name!r}: {error}; left out", stream.members)
            return
        if self._backgrounds.add(stream.background, counts.values, _n_frames(counts, value)):
            used = {"dark": "is subtracted", "flat": "is divided by"}[stream.background]
            self._note(f"the {stream.background} of stream {stream.name!r} {used}", stream.members)
        else:
            self._note(
                f"the {stream.background} of stream {stream.name!r} came after the first image "
                "and is not used",
                stream.members,
            )

    def _is_in_place(
        self, stream: Stream, member: Member, where: str, counts: Counts, readback: float | None
    ) -> bool:
        """Return True if counts are of the kind their stream carries; else add a note.

        The first descriptor to say so fixes the kind, or else the first event that can be read:
        an image that was cut to a row must not be taken for a line of another image. A stored run
        has events of another shape in a stream "primary_2", which is the same stream.
        """
        n_stacks = len(stream.members)
        if n_stacks > 1 and (counts.kind != "image" or readback is None):
            self._note(
                f"{n_stacks} stacks share stream {stream.name!r}: give each a stream of its own, "
                "or send one event per image with the energy in it; left out",
                stream.members,
            )
            return False
        if n_stacks > 1:
            return True
        stepped = member.announced.kind
        if stepped not in (None, counts.kind) and stream.kind == counts.kind:
            self.refuse(
                f"each event holds one {counts.kind}, but the motors that the run steps measure "
                f"one {stepped} per event",
                [member],
            )
            return False
        kind = self.kinds.setdefault(stream.name, counts.kind)
        if kind != counts.kind:
            self._note(
                f"{where}: {stream.key!r} holds one {counts.kind}, the stream one {kind} per "
                "event; left out",
                [member],
            )
        return kind == counts.kind

    def _energy_of(
        self, stream: Stream, member: Member, number: int, data: Mapping[str, Any]
    ) -> float | None:
        """Return the energy of an event in eV; None if there is none that is possible."""
        readings = self._readings.setdefault(member.frames, EnergyReadings())
        announced_ev = None if member.announced.grows else member.announced.scan.energies_ev
        reading = readings.read(stream.energy, data, announced_ev)
        if reading.is_refusal:
            self.refuse(reading.problem, [member])
        elif reading.problem:
            self._note(f"event {number}: {reading.problem}", [member])
        return reading.energy_ev

    def _member_of(self, stream: Stream, number: int, data: Mapping[str, Any]) -> Member | None:
        """Return the stack that an event belongs to, by its region and polarization."""
        if len(stream.members) == 1:
            return stream.members[0]
        scan = stream.members[0].announced.scan
        region = word(data.get(scan.region_field or ""))
        polarization = word(data.get(scan.polarization_field or ""))
        found = [
            member
            for member in stream.members
            if (region is None or region == word(member.announced.scan.region))
            and (polarization is None or polarization == word(member.announced.scan.polarization))
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

    def n_exposures(self, stream: Stream) -> int:
        """Return how many events of a stream make an image."""
        return self._exposures_of(stream.members[0]).n_exposures

    def _exposures_of(self, member: Member) -> Exposures:
        known = self._exposures.get(member.frames)
        if known is None:
            is_part = member.announced.stack_id is not None
            n = exposures_of(self._start, is_part=is_part)
            known = Exposures(n, needs_energy=not is_part)
            self._exposures[member.frames] = known
        return known

    def _note(self, text: str, members: Iterable[Member]) -> None:
        if text:
            for member in members:
                member.frames.note(self._uid, text)

    def refuse(self, contradiction: str, members: Iterable[Member]) -> None:
        """Make no map of these stacks if there is a contradiction."""
        if contradiction:
            for member in members:
                member.frames.refuse(self._uid, contradiction)


def _n_frames(counts: Counts, value: Any) -> int:
    """Return how many frames were added to the image of an event."""
    return int(np.size(value) // counts.values.size) if counts.kind == "image" else 1


def _line_parts(
    first: int, counts: NDArray[np.float32], nx: int
) -> Iterator[tuple[int, slice, NDArray[np.float32]]]:
    """Yield the line, its columns and the counts there, of pixels from a number on; 0 is first."""
    begin = 0
    while begin < len(counts):
        line, column = divmod(first + begin, nx)
        n = min(nx - column, len(counts) - begin)
        yield line, slice(column, column + n), counts[begin : begin + n]
        begin += n
