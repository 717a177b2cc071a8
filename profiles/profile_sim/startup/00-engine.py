"""The RunEngine, and the messages of plans and choosers at the prompt."""

import logging

from bluesky import RunEngine

RE = RunEngine({"beamline": "simulated STXM"})

messages = logging.StreamHandler()
messages.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
logging.getLogger("stxm_live").addHandler(messages)
