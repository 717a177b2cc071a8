"""From an aligned stack to its maps: the paper's section 3.3.

`Steps` lists the steps of `stxm_live.map_phases`, each of which a caller may replace.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stxm_live.phase_mapping.steps import Steps

__all__ = ["Steps"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("stxm_live.phase_mapping.steps"), name)
