"""The plans that a server is told by JSON: devices by name, and numbers; no object of a session.

For blueapi: a source of kind ``planFunctions`` with this module. The others of `stxm_live.plans`
take a chooser, an advisor or a mapper, for which blueapi has no schema.
"""

from stxm_live.plans.overview import stxm_overview
from stxm_live.plans.stack import stxm_stack

__all__ = ["stxm_overview", "stxm_stack"]
