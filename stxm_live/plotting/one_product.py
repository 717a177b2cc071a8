"""One product of a result, on axes of the user's own figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stxm_live.plotting.pictures import Panel, amount_panels, correlation_panels, panels_of
from stxm_live.plotting.style.palette import Palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from stxm_live.core.phase_maps import PhaseMaps


def plot_product(
    maps: PhaseMaps, product: str = "", *, ax: Axes | None = None, palette: Palette = "roma"
) -> Axes:
    """Draw one product; parameters and errors as of `PhaseMaps.plot`."""
    panels = panels_of(maps, palette=palette)
    name = product or ("resolved-map" if "resolved-map" in panels else "phase-map")
    if name not in panels:  # amounts are computed when they are asked for
        panels |= _of_each_phase(maps)
    if name not in panels:
        raise ValueError(f"product {product!r}: this result has {', '.join(panels)}")
    if ax is None:
        from matplotlib import pyplot

        # legends and scales stand at the right of the axes
        ax = pyplot.figure(figsize=(7.5, 4.8)).add_axes((0.1, 0.12, 0.6, 0.74))
    panels[name](ax)
    return ax


def _of_each_phase(maps: PhaseMaps) -> dict[str, Panel]:
    """Return the panels of correlations and amounts by their names."""
    phases = maps.phase_names
    correlation = [f"correlation-{name}" for name in phases]
    panels = dict(zip(correlation, correlation_panels(maps), strict=True))
    if maps.amounts is None:
        return panels
    value = [] if maps.amounts.value is None else ["value"]
    names = [*value, "thickness", *(f"share-{name}" for name in phases)]
    return panels | dict(zip(names, amount_panels(maps), strict=True))
