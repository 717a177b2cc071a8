"""Energy and I0 that a run keeps beside its images: in an outer stream, a monitor, the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from stxm_live.core.scan import StackScan
from stxm_live.io.documents.energy_readback import EnergyKey, EnergyReadings, energy_key
from stxm_live.io.documents.monitors import Monitors
from stxm_live.io.documents.streams import Member, Stream

MAX_EVENTS = 10_000
"""Most events of other streams that are kept."""


class _Stream(NamedTuple):
    name: str
    key: EnergyKey
    events: dict[int, Mapping[str, Any]]


class OtherStreams:
    """Streams without counts that hold the energy, or I0.

    Attributes
    ----------
    monitors : Monitors
    """

    def __init__(self) -> None:
        self._streams: dict[str, _Stream] = {}
        self.monitors = Monitors()

    def descriptor(self, doc: Mapping[str, Any], scan: StackScan) -> None:
        """Take a stream; for the energy, monitors have events at any time and are no use."""
        self.monitors.descriptor(doc, scan.i0_field)
        name = str(doc.get("name"))
        key = None if name.endswith("_monitor") else energy_key(scan.energy_motor, doc)
        if key is not None and not key.is_guessed:
            self._streams[str(doc["uid"])] = _Stream(name, key, {})

    def event(self, doc: Mapping[str, Any], counts: Stream | None) -> None:
        """Take an event; of the stream with the counts, only its time."""
        if counts is not None:
            self.monitors.image(doc)
            return
        self.monitors.reading(doc)
        stream = self._streams.get(str(doc.get("descriptor")))
        if stream is not None and len(stream.events) < MAX_EVENTS:
            stream.events[int(doc["seq_num"])] = {stream.key.name: doc["data"].get(stream.key.name)}

    def give_monitors(self, run: str, stream: Stream, n_exposures: int) -> None:
        """Give I0 to images whose own events have none; for runs of one stack."""
        if len(stream.members) > 1 or stream.background is not None:
            return
        ((_, frames),) = stream.members
        try:
            found = self.monitors.of_images(stream, n_exposures)
        except Exception as error:  # noqa: BLE001  a file may hold anything
            frames.note(run, f"the I0 monitor cannot be read ({error})")
            return
        for image, of_parts in found.items():
            frames.put_monitors((run, image), of_parts)

    def give_energies(self, run: str, members: Sequence[Member]) -> None:
        """Give the energies to images whose own events have none; for runs of one stack."""
        if len(members) == 1:
            ((announced, frames),) = members
            n_images = announced.scan.shape[0] if announced.stack_id is None else 1
            found = self.energies_ev(n_images, announced.scan.energies_ev)
            for image, energy_ev in found.items():
                frames.put_energy((run, image), energy_ev)

    def energies_ev(self, n_images: int, announced_ev: Sequence[float]) -> dict[int, float]:
        """Return the energy of each image of the run, 0 is the first, as far as it is known.

        The baseline is the energy of a run of one image. Of another stream event k is that of
        image k, unless it has more events than there are images.
        """
        found: dict[int, float] = {}
        for stream in self._streams.values():
            numbers = sorted(stream.events)
            if stream.name == "baseline":
                numbers = numbers[:1] if n_images == 1 else []
            if not numbers or numbers[-1] > n_images:
                continue
            readings = EnergyReadings()
            for number in numbers:
                data = stream.events[number]
                reading = readings.read(stream.key, data, announced_ev)
                if reading.energy_ev is not None:
                    found.setdefault(number - 1, reading.energy_ev)
        return found
