"""The RunEngine, and what plans and choosers have to say at the prompt."""

import logging

from bluesky import RunEngine

RE = RunEngine({"beamline": "simulated STXM"})

messages = logging.StreamHandler()
messages.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
logging.getLogger("stxm_live").addHandler(messages)
