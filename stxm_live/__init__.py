"""Phase and ambiguity maps of an X-ray microscope stack, live in Bluesky.

The public names load on first use: importing the package imports no numerical, plotting or
catalogue library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stxm_live.cube import ODCube
    from stxm_live.live import LivePhaseMapper
    from stxm_live.offline import map_run
    from stxm_live.phase_map import map_phases
    from stxm_live.phase_maps import PhaseMaps
    from stxm_live.recipe import Recipe
    from stxm_live.references import ReferenceSpectra
    from stxm_live.region import Region
    from stxm_live.regions import suggest_regions
    from stxm_live.scan import StackScan
    from stxm_live.stack import Frame, Stack, StackKey

_HOMES = {
    "Frame": "stack",
    "LivePhaseMapper": "live",
    "ODCube": "cube",
    "PhaseMaps": "phase_maps",
    "Recipe": "recipe",
    "ReferenceSpectra": "references",
    "Region": "region",
    "Stack": "stack",
    "StackKey": "stack",
    "StackScan": "scan",
    "map_phases": "phase_map",
    "map_run": "offline",
    "suggest_regions": "regions",
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


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"stxm_live.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
