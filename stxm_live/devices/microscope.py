"""All devices of a microscope, from its file of PV names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stxm_live.devices.axes import Monochromator, Stage
from stxm_live.devices.connection import connect
from stxm_live.devices.counters import ImageCounter, LineCounter
from stxm_live.devices.names import MicroscopeNames, load_names
from stxm_live.devices.shutter import RingCurrent, Shutter


@dataclass(frozen=True, eq=False)
class MicroscopeDevices:
    """The devices; making them does not wait for any PV.

    Each connects when it is first needed; `connect` connects all at once.

    Parameters
    ----------
    stages : mapping of str to Stage
        By name; ``sample_x`` and ``sample_y`` are among them.
    """

    energy: Monochromator
    stages: Mapping[str, Stage]
    shutter: Shutter
    ring_current: RingCurrent
    image: ImageCounter
    line: LineCounter
    connect_timeout_s: float

    @property
    def all(self) -> tuple[Any, ...]:
        """Return every device."""
        others = (self.energy, self.shutter, self.ring_current, self.image, self.line)
        return (*others, *self.stages.values())

    def connect(self, timeout_s: float | None = None) -> None:
        """Wait for every PV.

        Raises
        ------
        ConnectionError
            If PVs do not answer; the message names them.
        """
        connect(self.all, timeout_s=timeout_s or self.connect_timeout_s)


def load_devices(names: MicroscopeNames | str | Path) -> MicroscopeDevices:
    """Make the devices of a file of PV names, or of the names themselves; see `load_names`."""
    if not isinstance(names, MicroscopeNames):
        names = load_names(names)
    wait: dict[str, Any] = {"connect_timeout_s": names.connect_timeout_s}
    stages = {name: Stage(name=name, pvs=pvs, **wait) for name, pvs in names.stages.items()}
    scanned: dict[str, Any] = {"x_stage": stages["sample_x"], "y_stage": stages["sample_y"]}
    return MicroscopeDevices(
        energy=Monochromator(name="energy", pvs=names.energy, **wait),
        stages=stages,
        shutter=Shutter(name="shutter", pvs=names.shutter, **wait),
        ring_current=RingCurrent(name="ring_current", pvs=names.ring_current),
        image=ImageCounter(name="image", pvs=names.image, **scanned, **wait),
        line=LineCounter(name="line", pvs=names.line, **scanned, **wait),
        connect_timeout_s=names.connect_timeout_s,
    )
