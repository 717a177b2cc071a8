"""The RunEngine."""

from bluesky import RunEngine

RE = RunEngine({"beamline": "STXM"})
