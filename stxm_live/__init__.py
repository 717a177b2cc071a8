"""Phase and ambiguity maps of an X-ray microscope stack, live in Bluesky.

The public names load on first use: importing the package imports no numerical, plotting or
catalogue library.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING

from stxm_live.core.plain_text import PlainRecords

if TYPE_CHECKING:
    from stxm_live.adaptive.regions import suggest_regions
    from stxm_live.core.phase_maps import PhaseMaps
    from stxm_live.core.recipe import Recipe
    from stxm_live.core.references import ReferenceSpectra
    from stxm_live.core.region import Region
    from stxm_live.core.scan import StackScan
    from stxm_live.core.stack import Frame, Stack, StackKey
    from stxm_live.live.cube import ODCube
    from stxm_live.live.mapper import LivePhaseMapper
    from stxm_live.live.replay import map_run
    from stxm_live.phase_mapping.workflow import map_phases

_HOMES = {
    "Frame": "core.stack",
    "LivePhaseMapper": "live.mapper",
    "ODCube": "live.cube",
    "PhaseMaps": "core.phase_maps",
    "Recipe": "core.recipe",
    "ReferenceSpectra": "core.references",
    "Region": "core.region",
    "Stack": "core.stack",
    "StackKey": "core.stack",
    "StackScan": "core.scan",
    "map_phases": "phase_mapping.workflow",
    "map_run": "live.replay",
    "suggest_regions": "adaptive.regions",
}

__all__ = [
    "Frame",
    "LivePhaseMapper",
    "ODCube",
    "PhaseMaps",
    "Recipe",
    "ReferenceSpectra",
    "Region",
    "Stack",
    "StackKey",
    "StackScan",
    "map_phases",
    "map_run",
    "suggest_regions",
]

# names and messages in documents may hold control sequences
logging.getLogger("stxm_live").addFilter(PlainRecords())


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"stxm_live.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
