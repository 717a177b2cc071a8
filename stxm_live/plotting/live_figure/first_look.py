"""The panels of the live figure for a stack without references."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stxm_live.plotting.live_figure.layout import LiveAxes
from stxm_live.plotting.live_figure.legends import PhaseStrip, inner_legend, no_legend
from stxm_live.plotting.panels.maps import draw_no_map_yet, draw_phase_map
from stxm_live.plotting.panels.scree import draw_scree
from stxm_live.plotting.style.lettering import set_titles
from stxm_live.plotting.style.palette import FAINT, Palette, phase_colors
from stxm_live.plotting.style.raster import style_axes

if TYPE_CHECKING:
    from stxm_live.live.cube import ODCube
    from stxm_live.phase_mapping.exploration import Exploration


def running(exploration: Exploration | None) -> tuple[str, str]:
    """Return the header's second line and its color."""
    if exploration is None:
        return "scan running", FAINT
    n = len(exploration.clusters.spectra)
    what = "the spectra differ by thickness only, as far as these energies show"
    if n > 1:
        what = f"{n} clusters of similar spectra; name them to have references for the next scan"
    return f"No references yet: {what}", FAINT


def draw_without_references(
    axes: LiveAxes,
    view: ODCube,
    exploration: Exploration | None,
    strip: PhaseStrip,
    palette: Palette,
) -> None:
    """Draw clusters and scree plot, or outlines as long as there are none."""
    extent, title = view.scan.extent_um, "Clusters"
    outline, later = view.specimen, "shown when the images are complete"
    draw_no_map_yet(
        axes.ambiguity,
        outline,
        extent,
        (),
        title="Ambiguity",
        subtitle="needs references",
        legend=no_legend,
    )
    if exploration is None:
        draw_no_map_yet(
            axes.phases, outline, extent, (), title=title, subtitle=later, legend=no_legend
        )
        style_axes(axes.energies, "", "")
        set_titles(axes.energies, "Scree plot", later)
        return
    spectra, clusters = exploration.spectra, exploration.clusters
    names = [f"cluster {each.name}" for each in clusters.spectra]
    colors = phase_colors(names, palette=palette)
    index = np.full(spectra.pixels.shape, -1)
    index[spectra.pixels] = clusters.index
    draw_phase_map(
        axes.phases,
        index,
        extent,
        names,
        colors,
        title=title,
        subtitle="groups of similar spectra, the largest is 0",
        legend=strip.take,
    )
    draw_scree(axes.energies, exploration.pca, legend=inner_legend)
