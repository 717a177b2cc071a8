"""The RunEngine."""

from bluesky import RunEngine

RE = RunEngine({"beamline": "simulated STXM"})
