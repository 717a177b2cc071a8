"""The microscope's hardware as ophyd devices over EPICS; one TOML file names the PVs."""

from stxm_live.devices.axes import Monochromator, Stage
from stxm_live.devices.connection import connect
from stxm_live.devices.counters import ImageCounter, LineCounter
from stxm_live.devices.microscope import MicroscopeDevices, load_devices
from stxm_live.devices.names import MicroscopeNames, load_names
from stxm_live.devices.outcome import Outcome
from stxm_live.devices.shutter import RingCurrent, Shutter

__all__ = [
    "ImageCounter",
    "LineCounter",
    "MicroscopeDevices",
    "MicroscopeNames",
    "Monochromator",
    "Outcome",
    "RingCurrent",
    "Shutter",
    "Stage",
    "connect",
    "load_devices",
    "load_names",
]
