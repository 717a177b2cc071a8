"""Data keys of the events of a descriptor, and the place of their counts in the stack."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from stxm_live.core.stack import Frame
from stxm_live.io.documents.announced import Announced
from stxm_live.io.documents.backgrounds import Background
from stxm_live.io.documents.counts import (
    MAX_CHANNELS,
    Counts,
    PieceKind,
    kind_of_shape,
)
from stxm_live.io.documents.energy_readback import EnergyKey, energy_key
from stxm_live.io.documents.external import Reference
from stxm_live.io.documents.handlers import checked_frames
from stxm_live.io.documents.positions import Positions
from stxm_live.io.documents.slot import Piece
from stxm_live.io.documents.stack_frames import MAX_UNANNOUNCED, StackFrames


class NewFrame(NamedTuple):
    """A frame that became complete, or complete again, and its stack."""

    stack: StackFrames
    frame: Frame


class Member(NamedTuple):
    """A stack of the run, as announced and as it grows."""

    announced: Announced
    frames: StackFrames


@dataclass(eq=False)
class Stream:
    """Data keys and stacks of the events of one descriptor.

    A flyer whose data are all in files sends no events (not ``has_events``).
    """

    name: str
    key: str
    energy: EnergyKey | None
    monitor: str | None
    members: list[Member]
    kind: PieceKind | None
    is_scalar: bool
    is_external: bool
    n_frames: int
    n_declared: int
    references: dict[int, Reference] = field(default_factory=dict)
    events: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    positions: Positions | None = None
    background: Background | None = None
    has_events: bool = True

    @property
    def max_values(self) -> int:
        """Return the most values of a frame that was announced."""
        frames = [math.prod(member.frames.scan.image_shape) for member in self.members]
        lines = [MAX_CHANNELS * member.frames.scan.shape[2] for member in self.members]
        return max(*frames, *lines, self.n_declared)

    @property
    def max_number(self) -> int:
        """Return the largest number of an event that may belong to the announced images."""
        shapes = [member.frames.scan.shape for member in self.members]
        n_images = sum(n for n, _, _ in shapes) + MAX_UNANNOUNCED
        n_lines, n_columns = max(y for _, y, _ in shapes), max(x for _, _, x in shapes)
        each = {"image": 1, "line": n_lines, "pixel": n_lines * n_columns}
        return n_images * each[self.kind or "line"]


class Waiting(NamedTuple):
    """An image that is to be read from a file, or a block of rows with numbers that follow."""

    stream: Stream
    number: int
    data: Mapping[str, Any]
    reference: Reference
    is_block: bool = False


def new_stream(
    name: str, key: str, descriptor: Mapping[str, Any], members: list[Member], channel: int | None
) -> Stream:
    """Return the stream of a descriptor; ``key`` is the data key of the counts.

    Raises
    ------
    ValueError
        If it announces more frames for each event than can be added.
    """
    scan, keys = members[0].announced.scan, descriptor["data_keys"]
    described = keys[key]
    lengths = list(described.get("shape") or ())
    shape = [int(n) for n in lengths] if None not in lengths else []
    external = described.get("external")
    is_scalar = described.get("dtype") in ("number", "integer")
    is_pixel = is_scalar and math.prod(shape) == 1
    is_stack = bool(external) and len(shape) == 3 and shape[0] > 0
    return Stream(
        name=name,
        key=key,
        energy=energy_key(scan.energy_motor, descriptor),
        monitor=scan.i0_field if scan.i0_field in keys else None,
        members=members,
        kind="pixel" if is_pixel else kind_of_shape(shape, scan, channel),
        is_scalar=is_scalar,
        is_external=bool(external),
        n_frames=checked_frames(shape[0]) if is_stack else 1,
        n_declared=math.prod(shape),
        positions=Positions(scan, keys) if len(members) == 1 else None,
        has_events=not all(d.get("external") for d in keys.values()),
    )


def note_on_energy(stream: Stream, keys: Mapping[str, Any]) -> str:
    """Return a note if energies are not read from the energy motor but could be, else ""."""
    announced, energy = stream.members[0].announced, stream.energy
    motor = announced.scan.energy_motor
    if announced.stack_id is not None or announced.scan.shape[0] == 1:
        return ""
    if energy is not None and energy.is_guessed:
        return (
            f"no readback of {motor!r} was found; the energy is read from {energy.name!r}, the "
            f"only data key in {energy.unit}"
        )
    positions = stream.positions.keys if stream.positions is not None else ()
    known = {stream.key, stream.monitor, *positions}
    numbers = [k for k, d in keys.items() if d.get("dtype") in ("number", "integer")]
    if energy is None and (stream.kind == "image" or set(numbers) - known):
        return (
            f"no readback of {motor!r} was found; images are assigned to the announced energies "
            f"by their order; the data keys are: {', '.join(sorted(keys))}"
        )
    return ""


def piece_of(stream: Stream, run: str, announced: Announced, number: int, counts: Counts) -> Piece:
    """Return the place of counts in the stack, by their number in the scan; 0 is the first."""
    order, values = announced.order, counts.values
    everything, backwards = slice(None), False
    if counts.kind == "image":
        energy, where, part, is_last = number, (everything, everything), 0, True
    elif counts.kind == "line":
        energy, row, backwards = order.line(number)
        where, part, is_last = (slice(row, row + 1), everything), row, order.ends_image(number)
        values = values[np.newaxis, ::-1] if backwards else values[np.newaxis]
    else:
        energy, row, column = order.pixel(number)
        where = (slice(row, row + 1), slice(column, column + 1))
        part, values = row * order.shape[2] + column, values.reshape(1, 1)
        is_last = order.ends_image_with_pixel(number)
    index = None if len(stream.members) > 1 else announced.first_index + energy
    return Piece((run, energy), index, where, values, part, is_last, is_backwards=bool(backwards))


def data_key(wanted: str, descriptor: Mapping[str, Any]) -> str | None:
    """Return the data key of that name, or one of the device of that name, hinted ones first."""
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


def word(value: Any) -> str | None:
    """Return a name unchanged, or a number without trailing zeros."""
    if value is None:
        return None
    try:
        return f"{float(value):g}"
    except (TypeError, ValueError):
        return str(value)
