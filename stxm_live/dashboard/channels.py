"""Maps that can be shown as red, green and blue."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.amounts import thickness_unit
from stxm_live.dashboard.images import Limits
from stxm_live.plotting.style.value_range import value_range

if TYPE_CHECKING:
    from stxm_live.core.phase_maps import PhaseMaps

NOTHING = ""
"""Name of the choice of no map, which leaves a color dark."""

_NUMBERS = {
    "thickness": "Thickness",
    "value": "Value",
    "wrong_probability": "P(wrong)",
    "reliability": "R",
    "counts": "Counts",
}
"""Names and labels of the maps of numbers that can be a color, besides the phases' shares."""


class Channel(NamedTuple):
    """Values of shape (ny, nx), those shown dark and bright, and both in words."""

    values: NDArray[np.floating] | None
    limits: Limits
    text: str


def channel_names(phase_names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return name and label of each map that can be a color; a phase has its number as name."""
    phases = [(str(k), name) for k, name in enumerate(phase_names)]
    return [*phases, *_NUMBERS.items(), (NOTHING, "nothing")]


def channel_of(maps: PhaseMaps, name: str) -> Channel:
    """Return a map as a color: the share of a phase by its number, or a map of numbers.

    Its values are None if the result does not have it.
    """
    if name == NOTHING:
        return Channel(None, (0.0, 1.0), "nothing")
    if name.isdecimal():
        phase = maps.phase_names[int(name)]
        if maps.amounts is None:
            return Channel(None, (0.0, 1.0), f"{phase}: not resolved")
        return Channel(maps.amounts.composition[int(name)], (0.0, 1.0), f"{phase}: 0 to 100 %")
    values = getattr(maps.amounts if name in ("thickness", "value") else maps, name, None)
    if values is None or not np.isfinite(values).any():
        return Channel(None, (0.0, 1.0), f"{_NUMBERS[name]}: no values")
    low, high = value_range(name, values)
    unit = ""
    if name == "thickness" and maps.amounts is not None:
        unit = f" {thickness_unit(maps.amounts.unit)}"
    return Channel(values, (low, high), f"{_NUMBERS[name]}: {low:.3g} to {high:.3g}{unit}")
