"""The microscope's devices over EPICS; they connect when they are needed."""

import os
from pathlib import Path

from stxm_live.devices import load_devices

# the file of PV names: yours, or that of `stxm-live ioc` beside this folder
names = os.environ.get("STXM_LIVE_MICROSCOPE") or Path(__file__).parents[1] / "microscope.toml"
devices = load_devices(names)
energy = devices.energy
sample_x = devices.stages["sample_x"]
sample_y = devices.stages["sample_y"]
shutter = devices.shutter
ring_current = devices.ring_current
image = devices.image
line = devices.line
