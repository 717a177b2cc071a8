"""Phases of several particles in the order of their charge."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.plotting.panels.result import method_in_words
from stxm_live.plotting.paper_figures.particles import (
    ParticleMaps,
    any_synthetic,
    recipes_of,
    shares_table,
)
from stxm_live.plotting.paper_figures.plate import Plate, centred, sheet
from stxm_live.plotting.pictures import Panel
from stxm_live.plotting.style.lettering import PLAIN, plain, set_titles, side_legend
from stxm_live.plotting.style.palette import AMBIGUOUS, phase_colors
from stxm_live.plotting.style.raster import style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def states_of_charge_plate(particles: Sequence[ParticleMaps]) -> Plate:
    """Draw the phase shares of every particle, ordered by mean position in the phase list."""
    ordered = sorted(particles, key=lambda particle: charge(particle.maps))
    panels: list[Panel] = [
        partial(_draw_shares, particles=ordered, resolved=False),
        partial(_draw_shares, particles=ordered, resolved=True),
        partial(_draw_ambiguous, particles=ordered),
    ]
    figure = sheet(
        "Phases by state of charge",
        "Particles are ordered by the mean position of their phases in the list of references; "
        "the first phase is on top.",
        panels,
        3,
        aspect=min(1.2, max(0.6, 0.12 * len(particles))),
        synthetic=any_synthetic(particles),
        identity=recipes_of(particles),
    )
    return Plate("states-of-charge", figure, shares_table(ordered))


def charge(maps: PhaseMaps) -> float:
    """Return the mean position of the pixels' phases: 0 if all are the first, 1 if all the last."""
    shares = maps.final_fractions
    places = np.linspace(0, 1, len(shares))
    return float(shares @ places) if np.isfinite(shares).all() else float("inf")


def _draw_shares(ax: Axes, particles: Sequence[ParticleMaps], resolved: bool) -> None:
    """Draw a stacked bar for each particle."""
    from matplotlib.patches import Patch

    first = particles[0].maps
    colors = phase_colors(first.phase_names, first.colors)
    shares = np.array(
        [maps.final_fractions if resolved else maps.fractions for _, maps in particles]
    )
    left = np.zeros(len(particles))
    for k, color in enumerate(colors):
        ax.barh(range(len(particles)), 100 * shares[:, k], left=left, color=color, height=0.72)
        ink = "white" if color @ (0.3, 0.6, 0.1) < 0.45 else "black"
        _write_shares(ax, 100 * shares[:, k], left, ink)
        left = left + 100 * np.nan_to_num(shares[:, k])
    _name_rows(ax, particles)
    ax.set_xlim(0, 100)
    style_axes(ax, "share of the pixels (%)", "")
    subtitle = method_in_words(first) if resolved else "every specimen pixel counts"
    set_titles(ax, "Resolved" if resolved else "By correlation", subtitle)
    entries: list[tuple[Any, str]] = [
        (Patch(color=color), name) for color, name in zip(colors, first.phase_names, strict=True)
    ]
    side_legend(ax, entries)


def _write_shares(
    ax: Axes, widths: NDArray[np.float64], left: NDArray[np.float64], ink: str
) -> None:
    """Write numbers in the parts of a bar that have room for them."""
    for row, (width, start) in enumerate(zip(widths, left, strict=True)):
        if width >= 9:
            centred(ax, start + width / 2, row, f"{width:.0f}", color=ink)


def _draw_ambiguous(ax: Axes, particles: Sequence[ParticleMaps]) -> None:
    shares = [100 * maps.ambiguous_share for _, maps in particles]
    ax.barh(range(len(particles)), shares, color=AMBIGUOUS, height=0.72)
    _name_rows(ax, particles)
    style_axes(ax, "ambiguous share of the pixels (%)", "")
    set_titles(ax, "Ambiguous pixels", "the two best phases correlate almost equally well")


def _name_rows(ax: Axes, particles: Sequence[ParticleMaps]) -> None:
    ax.set_yticks(range(len(particles)), [plain(name, 10) for name, _ in particles], **PLAIN)
    ax.set_ylim(len(particles) - 0.5, -0.5)
