"""Energies that a run keeps in another stream than its images: an outer stream, or the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from stxm_live.io.documents.energy_readback import EnergyKey, EnergyReadings, energy_key
from stxm_live.io.documents.streams import Member

MAX_EVENTS = 10_000
"""Most events of other streams that are kept."""


class _Stream(NamedTuple):
    name: str
    key: EnergyKey
    events: dict[int, Mapping[str, Any]]


class OtherStreams:
    """Streams without counts that hold the energy."""

    def __init__(self) -> None:
        self._streams: dict[str, _Stream] = {}

    def descriptor(self, doc: Mapping[str, Any], motor: str) -> None:
        """Take a stream with the energy motor; monitors have events at any time and are no use."""
        name, keys = str(doc.get("name")), doc.get("data_keys")
        if name.endswith("_monitor") or not isinstance(keys, Mapping):
            return
        key = energy_key(motor, doc)
        if key is not None and not key.is_guessed:
            self._streams[str(doc["uid"])] = _Stream(name, key, {})

    def event(self, doc: Mapping[str, Any]) -> None:
        """Take an event, if it is of such a stream."""
        stream = self._streams.get(str(doc.get("descriptor")))
        if stream is not None and len(stream.events) < MAX_EVENTS:
            stream.events[int(doc["seq_num"])] = {stream.key.name: doc["data"].get(stream.key.name)}

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
