"""Panels of composition, thickness and value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.amount_words import look_alikes, number_in_words, share_in_words
from stxm_live.core.amounts import thickness_unit
from stxm_live.core.mixed_reference import alternatives
from stxm_live.plotting.style.lettering import set_titles
from stxm_live.plotting.style.palette import heat
from stxm_live.plotting.style.raster import add_colorbar, draw_raster
from stxm_live.plotting.style.value_range import value_range

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from stxm_live.core.phase_maps import PhaseMaps


def draw_value(ax: Axes, maps: PhaseMaps) -> None:
    """Draw the value of the composition of each pixel; the title has the specimen's mean."""
    amounts = maps.amounts
    assert amounts is not None
    assert amounts.value is not None
    assert amounts.area_value is not None
    assert amounts.area_value_std is not None
    quantity = amounts.quantity or "value of the composition"
    mean = number_in_words(amounts.area_value[0], amounts.area_value_std[0])
    _draw(ax, "value", amounts.value, maps, quantity)
    set_titles(ax, quantity, f"mean of the specimen by volume {mean}")


def draw_thickness(ax: Axes, maps: PhaseMaps) -> None:
    """Draw the thickness of each pixel; the title has the specimen's mean."""
    amounts = maps.amounts
    assert amounts is not None
    unit = thickness_unit(amounts.unit)
    mean = number_in_words(amounts.area_thickness[0], amounts.area_thickness_std[0])
    _draw(ax, "thickness", amounts.thickness, maps, f"thickness ({unit})")
    set_titles(ax, "Thickness", f"mean of the specimen {mean} {unit}")


def draw_share(ax: Axes, maps: PhaseMaps, phase: int) -> None:
    """Draw the share of one phase in the thickness of each pixel."""
    amounts = maps.amounts
    assert amounts is not None
    name = maps.phase_names[phase]
    alike = look_alikes(maps.phase_names, maps.twins, alternatives(maps.mixed_references))
    share = share_in_words(
        amounts.area_composition[0, phase],
        amounts.area_composition_std[0, phase],
        distinguished=name not in alike,
    )
    _draw(ax, "composition", amounts.composition[phase], maps, "share of the thickness")
    looks = f"; {alike[name]}" if name in alike else ""
    set_titles(ax, f"Share of {name}", f"specimen {share} of the volume{looks}")


def _draw(
    ax: Axes, name: str, values: NDArray[np.floating], maps: PhaseMaps, bar_label: str
) -> None:
    low, high = value_range(name, values)
    image = draw_raster(ax, values, maps.extent_um, cmap=heat(), vmin=low, vmax=high)
    extend = {"composition": "neither", "thickness": "max"}.get(name, "both")
    add_colorbar(ax, image, bar_label, extend=extend)
