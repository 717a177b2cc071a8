"""From Bluesky documents to frames: the only module that knows how a stack is written down."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.scan import StackScan
from stxm_live.stack import Frame, Stack, StackKey

MAX_REACH_EV = 0.5
"""An energy further than this from every announced one was not announced."""

MAX_NOTES = 20
"""A run is not described by more notes than anybody reads."""

_READBACK_SUFFIXES = ("", "_readback", "_user_readback", "_rbv")


def snapshot(name: str, doc: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a document that stays as it is whatever devices and other subscribers do."""
    if name not in ("event", "event_page"):
        return deepcopy(dict(doc))
    return {**doc, "data": {key: _copy(value) for key, value in doc["data"].items()}}


def size_bytes(doc: Mapping[str, Any]) -> int:
    """Size of the values a copied event holds; 0 for a document without data."""
    values = doc.get("data", {}).values()
    return sum(value.nbytes if isinstance(value, np.ndarray) else 8 for value in values)


def _copy(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, list | tuple):
        try:
            return np.array(value)
        except ValueError:  # ragged
            return deepcopy(value)
    return value


@dataclass
class _Slot:
    """What has arrived of one energy."""

    announced_ev: float | None
    intensity: NDArray[np.float32]
    has_line: NDArray[np.bool_]
    readbacks_ev: dict[int, float] = field(default_factory=dict)
    monitors: dict[int, float] = field(default_factory=dict)
    changed: bool = False
    _frame: Frame | None = None

    def put(self, rows: slice, pixels: NDArray[np.float32]) -> None:
        """Take pixels; a frame that was handed out keeps those it had."""
        if pixels.shape == self.intensity.shape:
            self.intensity = pixels
        else:
            if self._frame is not None or not self.intensity.flags.writeable:
                self.intensity = self.intensity.copy()
            self.intensity[rows] = pixels
        self._frame = None
        self.has_line[rows] = True
        self.changed = True

    def frame(self) -> Frame:
        """What has arrived; the same object until something else does."""
        if self._frame is None:
            readbacks = list(self.readbacks_ev.values())
            energy = float(np.mean(readbacks)) if readbacks else self.announced_ev
            assert energy is not None
            whole = bool(self.has_line.all())
            monitor = float(np.mean(list(self.monitors.values()))) if self.monitors else None
            self._frame = Frame(energy, self.intensity, self.announced_ev, whole, monitor)
        return self._frame


class RunFrames:
    """The frames of one run, as its documents come in, one event per image or per line.

    Parameters
    ----------
    start : dict
        The start document.
    scan : StackScan, optional
        What the run is, for runs whose start document does not say it.

    Raises
    ------
    ValueError
        If neither the start document nor ``scan`` describes a stack.
    """

    def __init__(self, start: Mapping[str, Any], scan: StackScan | None = None) -> None:
        self.uid = str(start["uid"])
        self.scan = scan if scan and "stxm" not in start else StackScan.from_start(start)
        self.key = StackKey((self.uid,), self.scan.region, self.scan.polarization)
        self.is_closed = False
        self.notes: list[str] = []
        self._announced = np.array(sorted(self.scan.energies_ev))
        self._slots: dict[float, _Slot] = {}
        self._streams: dict[str, str | None] = {}
        self._stream_name: str | None = None
        self._seen_fields: set[str] = set()

    def __call__(self, name: str, doc: Mapping[str, Any]) -> list[Frame]:
        """Take a document; return the frames that became whole, or whole again, by it."""
        if name == "descriptor":
            self._descriptor(doc)
        elif name == "event":
            return list(self._event(doc))
        elif name == "event_page":
            from event_model import unpack_event_page

            return [frame for event in unpack_event_page(doc) for frame in self._event(event)]
        elif name == "stop":
            return self._stop(doc)
        return []

    @property
    def is_whole(self) -> bool:
        """Whether every announced energy has a whole frame."""
        return self.whole_energies_ev.issuperset(self.scan.energies_ev)

    @property
    def whole_energies_ev(self) -> set[float]:
        """Announced energies with a whole frame."""
        slots = self._slots.values()
        return {s.announced_ev for s in slots if s.announced_ev is not None and s.has_line.all()}

    def stack(self) -> Stack:
        """The frames so far; those of unfinished images are partly NaN."""
        frames = sorted((s.frame() for s in self._slots.values()), key=lambda f: f.energy_ev)
        return Stack(self.key, self.scan, tuple(frames), self.is_whole, tuple(self.notes))

    def _note(self, text: str) -> None:
        note = f"run {self.uid[:8]}: {text}"
        if len(self.notes) == MAX_NOTES:
            self.notes.append(f"run {self.uid[:8]}: further notes are left out")
        elif len(self.notes) < MAX_NOTES and note not in self.notes:
            self.notes.append(note)

    def _descriptor(self, doc: Mapping[str, Any]) -> None:
        keys = doc.get("data_keys", {})
        self._seen_fields.update(keys)
        name = str(doc.get("name"))
        if name == "baseline" or self.scan.data_field not in keys:
            return
        self._stream_name = self._stream_name or name
        # a catalogue keeps events of another shape or type in a stream "primary_2"
        if re.sub(r"_\d+$", "", name) != re.sub(r"_\d+$", "", self._stream_name):
            self._note(
                f"stream {name!r} has {self.scan.data_field!r} too and is left out; the stack is "
                f"taken from {self._stream_name!r}"
            )
            return
        motor = self.scan.energy_motor
        names = (motor + suffix for suffix in _READBACK_SUFFIXES)
        self._streams[doc["uid"]] = next((name for name in names if name in keys), None)

    def _event(self, doc: Mapping[str, Any]) -> Iterator[Frame]:
        if doc.get("descriptor") not in self._streams:
            return
        number = int(doc["seq_num"])
        data = doc["data"]
        if self.scan.data_field not in data:
            self._note(
                f"the events do not carry {self.scan.data_field!r} itself but a link to a file, "
                "which cannot be read yet"
            )
            return
        readback = _finite_number(data.get(self._streams[doc["descriptor"]] or ""))
        pixels = self._pixels(data[self.scan.data_field], number, readback)
        if pixels is None:
            return
        is_line = pixels.ndim == 1
        index, line = divmod(number - 1, self.scan.shape[1] if is_line else 1)
        slot = self._slot(index, readback)
        if slot is None:
            return
        rows = slice(line, line + 1) if is_line else slice(None)
        was_whole = bool(slot.has_line.all())
        if slot.has_line[rows].all():
            self._note(f"{_where(slot.announced_ev, readback)} came again; the later one counts")
        if readback is not None:
            slot.readbacks_ev[line] = readback
        monitor = _finite_number(data.get(self.scan.i0_field or ""))
        if monitor is not None:
            slot.monitors[line] = monitor
        slot.put(rows, pixels)
        # a line sent again changes a whole image: tell once, with its last line or at the stop
        ends_image = not is_line or not was_whole or line == self.scan.shape[1] - 1
        if slot.has_line.all() and ends_image:
            slot.changed = False
            yield slot.frame()

    def _pixels(
        self, value: Any, number: int, readback: float | None
    ) -> NDArray[np.float32] | None:
        """The event's counts as an image (ny, nx) or a line (nx,); None with a note if neither."""
        ny, nx = self.scan.image_shape
        where = f"event {number}" + (f" at {readback:g} eV" if readback is not None else "")
        try:
            pixels = np.asarray(value, dtype=np.float32)
        except (TypeError, ValueError):
            self._note(f"{where}: {self.scan.data_field!r} does not hold numbers; left out")
            return None
        shape = pixels.shape
        while pixels.ndim > 2 and pixels.shape[0] == 1:
            pixels = pixels[0]
        if pixels.shape == (ny, nx) or (pixels.ndim == 1 and pixels.size == ny * nx):
            return pixels.reshape(ny, nx)
        if pixels.shape in ((nx,), (1, nx)):
            line = pixels.reshape(nx)
            backwards = self.scan.snake and (number - 1) % ny % 2
            return line[::-1] if backwards else line
        self._note(
            f"{where}: image has shape {shape}, the start document announced {(ny, nx)}; left out"
        )
        return None

    def _slot(self, index: int, readback: float | None) -> _Slot | None:
        """Where a frame belongs: by the energy it carries, else by its number."""
        if readback is not None:
            announced = self._nearest_announced(readback)
        elif 0 <= index < len(self.scan.energies_ev):
            announced = self.scan.energies_ev[index]
        else:
            self._note(
                f"image {index + 1} came without an energy, "
                f"{len(self.scan.energies_ev)} were announced; left out"
            )
            return None
        key = announced if announced is not None else round(readback or 0.0, 2)
        if key not in self._slots:
            if announced is None:
                self._note(f"an image at {key:g} eV was not announced")
            shape = self.scan.image_shape
            empty = np.broadcast_to(np.float32(np.nan), shape)
            self._slots[key] = _Slot(announced, empty, np.zeros(shape[0], dtype=bool))
        return self._slots[key]

    def _nearest_announced(self, energy_ev: float) -> float | None:
        nearest = int(np.argmin(np.abs(self._announced - energy_ev)))
        gaps = np.diff(self._announced)[max(nearest - 1, 0) : nearest + 1]
        reach = min(MAX_REACH_EV, gaps.min() / 2) if gaps.size else MAX_REACH_EV
        found = float(self._announced[nearest])
        return found if abs(found - energy_ev) <= reach else None

    def _stop(self, doc: Mapping[str, Any]) -> list[Frame]:
        self.is_closed = True
        if not self._streams:
            fields = ", ".join(sorted(self._seen_fields)) or "none"
            self._note(f"no stream has the field {self.scan.data_field!r}; fields seen: {fields}")
        if doc.get("exit_status", "success") != "success":
            reason = doc.get("reason") or "no reason given"
            self._note(f"the scan ended by {doc['exit_status']} ({reason})")
        again = [s for s in self._slots.values() if s.changed and s.has_line.all()]
        for slot in again:
            slot.changed = False
        return [slot.frame() for slot in again]


def _finite_number(value: Any) -> float | None:
    """A scalar, or the mean of an array that a monitor counted pixel by pixel."""
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    known = numbers[np.isfinite(numbers)]
    return float(known.mean()) if known.size else None


def _where(announced_ev: float | None, readback: float | None) -> str:
    energy = announced_ev if announced_ev is not None else readback
    return f"the image at {energy:g} eV" if energy is not None else "an image"
