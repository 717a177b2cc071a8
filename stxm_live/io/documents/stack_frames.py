"""The frames of one stack while they arrive, from one run or from several."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from stxm_live.core.file_arrays import to_file
from stxm_live.core.origin import Origin
from stxm_live.core.scan import StackScan
from stxm_live.core.stack import Frame, Stack, StackKey, first_and_repeated
from stxm_live.io.documents.matching import match_energies, reach_ev
from stxm_live.io.documents.slot import Piece, Slot

MAX_ALIKE = 3
"""Most notes that differ in their numbers only."""

_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?")

MAX_NOTES = 20
"""Most notes of one stack."""

SAME_ENERGY_EV = 0.01
"""Images of a stack that grows are of the same energy if their readbacks differ by less."""

MAX_UNANNOUNCED = 64
"""Most unannounced images that are kept."""


class StackFrames:
    """Collect the pieces of a stack and report which images are complete.

    Parameters
    ----------
    scan : StackScan
        The announced scan.
    in_files : bool
        Put images that are whole into temporary files.

    Attributes
    ----------
    ended_well : bool
        True if the scan ended with success and no measured image is missing.
    refusal : str
        Contradiction in the run because of which no map may be made; else empty.
    origin : Origin
        Of the first run.
    grows : bool
        True while energies are added as they are measured; the stack is not whole before its end.
    """

    def __init__(self, scan: StackScan, *, in_files: bool = False) -> None:
        self.scan = scan
        self._keep = to_file if in_files else np.asarray
        self.run_uids: list[str] = []
        self.is_closed = False
        self.ended_well = False
        self.refusal = ""
        self.origin = Origin()
        self.grows = False
        self._notes: list[str] = []
        self._n_alike: Counter[str] = Counter()
        self._ascending = np.unique(np.asarray(scan.energies_ev, dtype=np.float64))
        self._slots: dict[tuple[str, int], Slot] = {}
        self._serial = 0
        self._matched: dict[int, float | None] | None = None
        self._offset_ev = 0.0

    @property
    def key(self) -> StackKey:
        """Return the key of the stack, which grows with every run that joins."""
        return StackKey(tuple(self.run_uids), self.scan.region, self.scan.polarization)

    def put(self, piece: Piece) -> Frame | None:
        """Take a piece; return the frame that it made complete, or complete again."""
        if self.refusal:
            return None
        if self.scan.skipping != "no":  # the number of an image does not tell its energy
            piece = replace(piece, index=None)
        slot = self._slot(piece)
        if slot is None:
            return None
        self._serial += 1
        arrival = slot.put(piece, self._serial)
        if arrival.came_again:
            self.note(piece.image[0], f"{self._named(slot)} came again; the later one is used")
        if not arrival.is_reported:
            return None
        self._matched = None
        return slot.frame(self._announced_of(slot))

    def changed_frames(self) -> list[Frame]:
        """Return complete frames with a repeated part that was not reported yet."""
        changed = [slot for slot in self._unique_slots() if slot.changed and slot.is_whole]
        for slot in changed:
            slot.changed = False
        self._matched = None
        return [slot.frame(self._announced_of(slot)) for slot in changed]

    @property
    def is_whole(self) -> bool:
        """Return True if every announced image is complete, repeated energies included."""
        return not self.grows and self.n_whole == self.n_announced

    @property
    def n_announced(self) -> int:
        """Return the number of announced images; a scan that may skip repeats no energy."""
        energies_ev = self.scan.energies_ev
        return len(energies_ev if self.scan.skipping == "no" else set(energies_ev))

    @property
    def n_whole(self) -> int:
        """Return the number of announced images that are complete."""
        whole = (
            (self._announced_of(s), self._n_before(s)) for s in self._unique_slots() if s.is_whole
        )
        return len({image for image in whole if image[0] is not None})

    def stack(self) -> Stack:
        """Return the frames so far; those of unfinished images are partly NaN."""
        self._matched = None
        latest: dict[tuple[float, int], Slot] = {}
        others: list[Slot] = []
        for slot in sorted(self._unique_slots(), key=lambda slot: slot.serial):
            announced = self._announced_of(slot)
            if announced is None:
                others.append(slot)
            else:
                latest[announced, self._n_before(slot)] = slot
        frames, checks = first_and_repeated(
            [slot.frame(energy) for (energy, _), slot in sorted(latest.items(), key=_in_scan)]
        )
        frames += [slot.frame(None) for slot in others]
        frames.sort(key=lambda frame: frame.energy_ev)
        notes = (*self._counted_notes(), *self._notes_on_energies(frames))
        # an image whose last line is NaN is not whole, although all of its pieces came
        finished = self.is_whole and all(f.is_whole for f in frames if f.announced_ev is not None)
        early = self.ended_well and self.scan.skipping != "no" and not self.is_whole
        return Stack(
            self.key,
            self.scan,
            tuple(frames),
            finished,
            notes,
            early,
            tuple(checks),
            self.refusal,
            self.origin,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Return the notes on problems so far."""
        return self.stack().notes

    def note(self, run: str, text: str) -> None:
        """Keep a note once; ``run`` is the uid or begins with it.

        Of notes that differ in their numbers only the first are kept, and the others counted.
        """
        note = f"run {run[:8]}: {text}"
        if note in self._notes:
            return
        kind = _NUMBER.sub("#", text)
        self._n_alike[kind] += 1
        if self._n_alike[kind] > MAX_ALIKE:
            return
        if len(self._notes) == MAX_NOTES:
            self._notes.append(f"run {run[:8]}: further notes are left out")
        elif len(self._notes) < MAX_NOTES:
            self._notes.append(note)

    def _counted_notes(self) -> list[str]:
        """Return the notes; the last of a kind says how many more there were."""
        notes = []
        for note in self._notes:
            kind = _NUMBER.sub("#", note.partition(": ")[2])
            n_more = self._n_alike[kind] - MAX_ALIKE
            is_last = not any(
                kind == _NUMBER.sub("#", other.partition(": ")[2])
                for other in self._notes[self._notes.index(note) + 1 :]
            )
            notes.append(f"{note}; and {n_more} more like it" if n_more > 0 and is_last else note)
        return notes

    def add_energy(self, energy_ev: float) -> None:
        """Announce an energy of a stack that grows, unless it is known."""
        known = self.scan.energies_ev
        if min(abs(energy_ev - e) for e in known) > SAME_ENERGY_EV:
            shape = (len(known) + 1, *self.scan.image_shape)
            changes = {"energies_ev": (*known, energy_ev), "shape": shape}
            self.scan = self.scan.model_copy(update=changes)
            self._ascending = np.unique(np.asarray(self.scan.energies_ev, dtype=np.float64))
            self._matched = None

    def put_energy(self, image: tuple[str, int], energy_ev: float) -> None:
        """Give an image whose events have no energy the one that was measured elsewhere."""
        slot = self._slots.get(image)
        if slot is not None and slot.put_energy(energy_ev):
            self._matched = None

    def put_monitors(self, image: tuple[str, int], of_parts: Mapping[int, float]) -> None:
        """Give an image whose events have no I0 monitor the readings that came elsewhere."""
        slot = self._slots.get(image)
        if slot is not None:
            slot.put_monitors(of_parts)

    def refuse(self, run: str, reason: str) -> None:
        """Release the images, because a map of them would be wrong; the first reason is kept."""
        if not self.refusal:
            self.refusal = f"run {run[:8]}: {reason}"
            self._slots.clear()
            self._matched = None

    def forget(self, run: str) -> None:
        """Release the images of a run, because they are none of the stack."""
        self._slots = {image: slot for image, slot in self._slots.items() if image[0] != run}
        self._matched = None

    def _slot(self, piece: Piece) -> Slot | None:
        """Return the image a piece belongs to, by its number or else by its energy."""
        slot = self._slots.get(piece.image)
        if slot is None:
            slot = self._same_image(piece) or self._new_slot(piece)
        if slot is not None:
            self._slots[piece.image] = slot
        return slot

    def _same_image(self, piece: Piece) -> Slot | None:
        """Return the image of the same energy that came before under another number."""
        for slot in self._unique_slots():
            known_ev = slot.first_readback_ev
            if self._is_repeat(piece.index, slot.index):
                continue
            if piece.readback_ev is None or known_ev is None:
                if piece.index is not None and piece.index == slot.index:
                    return slot
                continue
            nearest = int(np.argmin(np.abs(self._ascending - piece.readback_ev)))
            if abs(known_ev - piece.readback_ev) < reach_ev(self._ascending, nearest):
                return slot
        return None

    def _is_repeat(self, one: int | None, other: int | None) -> bool:
        """Return True for the places of two images that are announced at the same energy."""
        energies_ev = self.scan.energies_ev
        return (
            one is not None
            and other is not None
            and one != other
            and max(one, other) < len(energies_ev)
            and energies_ev[one] == energies_ev[other]
        )

    def _n_before(self, slot: Slot) -> int:
        """Return how many images of the energy of this one were announced before it."""
        place, energies_ev = slot.index, self.scan.energies_ev
        if place is None or place >= len(energies_ev):
            return 0
        return self.scan.n_before(place) if energies_ev[place] == self._announced_of(slot) else 0

    def _new_slot(self, piece: Piece) -> Slot | None:
        n_energies = len(self.scan.energies_ev)
        is_announced = piece.index is not None and piece.index < n_energies
        run, number = piece.image
        if piece.readback_ev is None and not is_announced:
            self.note(
                run,
                f"image {number + 1} came without an energy, {n_energies} were announced; left out",
            )
            return None
        if len(self._unique_slots()) >= n_energies + MAX_UNANNOUNCED:
            self.note(run, f"more than {MAX_UNANNOUNCED} images were not announced; left out")
            return None
        rows = None
        if self.scan.rows is not None and piece.index is not None and is_announced:
            rows = self.scan.rows[piece.index]
        return Slot(self.scan.image_shape, piece.index, rows, self._keep)

    def _unique_slots(self) -> list[Slot]:
        return list({id(slot): slot for slot in self._slots.values()}.values())

    def _announced_of(self, slot: Slot) -> float | None:
        if self._matched is None:
            slots = self._unique_slots()
            found, self._offset_ev = match_energies(
                [s.measured() for s in slots], self.scan.energies_ev
            )
            self._matched = {id(s): energy for s, energy in zip(slots, found, strict=True)}
        return self._matched.get(id(slot))

    def _named(self, slot: Slot) -> str:
        announced = (
            self._announced_of(slot) if self._matched and id(slot) in self._matched else None
        )
        energy = slot.first_readback_ev if announced is None else announced
        if energy is None and slot.index is not None:
            energy = self.scan.energies_ev[slot.index]
        return f"the image at {energy:g} eV"

    def _notes_on_energies(self, frames: Iterable[Frame]) -> list[str]:
        """Return notes on the images as they are now; the next image may change them."""
        run = f"run {self.run_uids[0][:8]}: " if self.run_uids else ""
        if self._offset_ev:
            return [
                f"{run}the readback of the energy is {self._offset_ev:+.3g} eV off the "
                "announced energies in every image; the images are matched by their order"
            ]
        unannounced = [frame.energy_ev for frame in frames if frame.announced_ev is None]
        return [f"{run}an image at {e:g} eV was not announced" for e in unannounced[:5]]


def _in_scan(item: tuple[tuple[float, int], Slot]) -> tuple[int, float]:
    """Return a key that sorts repeated images after the first ones."""
    (energy_ev, n_before), _ = item
    return n_before, energy_ev
