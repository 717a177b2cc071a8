"""Panels about the scan's energy axis: its likelihood, and spectra before and after correction."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.file_arrays import of_pixels
from stxm_live.core.measured_mean import measured_mean
from stxm_live.plotting.panels.spectra import scaled_to
from stxm_live.plotting.style.lettering import DrawLegend, plain, set_titles, side_legend
from stxm_live.plotting.style.palette import AMBIGUOUS, FAINT, Palette, heat, phase_colors
from stxm_live.plotting.style.raster import style_axes

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

    from stxm_live.core.energy_axis import EnergyAxis
    from stxm_live.core.phase_maps import PhaseMaps

_MOST_PHASES = 3
"""Number of phases whose mean spectrum is shown; those with the largest shares."""

_LEAST_PIXELS = 20


def energy_axis_panels(maps: PhaseMaps, palette: Palette = "roma") -> list[Callable[[Axes], None]]:
    """Return the panels: the likelihood of offset and width, and the spectra of the main phases.

    The list is empty if the axis was not estimated.
    """
    if maps.energy_axis is None:
        return []
    index = maps.final_index if maps.corrected_index is None else maps.corrected_index
    pixels = np.bincount(index[index >= 0].astype(np.intp), minlength=len(maps.phase_names))
    main = [k for k in np.argsort(-pixels)[:_MOST_PHASES] if pixels[k] >= _LEAST_PIXELS]
    colors = phase_colors(maps.phase_names, maps.colors, palette=palette)
    return [
        partial(draw_axis_likelihood, axis=maps.energy_axis, known_ev=axis_used(maps)),
        *(
            partial(
                draw_phase_spectrum, maps=maps, inside=index == k, phase=int(k), color=colors[k]
            )
            for k in sorted(main)
        ),
    ]


def axis_used(maps: PhaseMaps) -> tuple[float, float]:
    """Return the offset and the width in eV that the maps were made with."""
    values = maps.provenance.get("recipe_values", {})
    return values.get("energy_offset_ev", 0.0), values.get("energy_width_ev", 0.0)


def draw_axis_likelihood(
    ax: Axes,
    axis: EnergyAxis,
    known_ev: tuple[float, float],
    *,
    legend: DrawLegend = side_legend,
) -> None:
    """Draw the log likelihood of offset and width, the estimate, and the values used.

    Parameters
    ----------
    known_ev : (float, float)
        Offset and width that the map was made with.
    """
    values = axis.log_likelihood
    lowest = min(float(np.percentile(values, 50)), -1e-6)
    image = ax.pcolormesh(
        axis.offsets_ev, axis.widths_ev, values, cmap=heat("oslo"), vmin=lowest, shading="gouraud"
    )
    style_axes(ax, "energy offset, true minus nominal (eV)", "extra width, standard deviation (eV)")
    used = ax.plot(*known_ev, "o", color=AMBIGUOUS, markersize=8, markerfacecolor="none", mew=1.6)
    found = ax.errorbar(
        axis.offset_ev,
        axis.width_ev,
        xerr=axis.offset_std_ev,
        yerr=axis.width_std_ev,
        fmt="x",
        color="crimson",
        markersize=6,
        elinewidth=1.4,
        clip_on=False,
        zorder=4,
    )
    ax.set_xlim(axis.offsets_ev[0], axis.offsets_ev[-1])
    ax.set_ylim(-0.02, axis.widths_ev[-1])
    set_titles(
        ax,
        "Which energy axis fits the scan?",
        f"offset {axis.offset_ev:+.3f} ± {axis.offset_std_ev:.3f} eV, "
        f"width {axis.width_ev:.3f} ± {axis.width_std_ev:.3f} eV",
    )
    entries: list[tuple[Any, str]] = [
        (found, "estimate ± 1 std. dev."),
        (used[0], "used for the map"),
        (None, ""),
        (None, "bright: likely"),
        (None, f"dark: {-lowest:.2g} or more below"),
        (None, "(log likelihood per pixel)"),
    ]
    legend(ax, entries, "")
    image.set_rasterized(True)


def draw_phase_spectrum(
    ax: Axes,
    maps: PhaseMaps,
    inside: NDArray[np.bool_],
    phase: int,
    color: NDArray[np.float64],
) -> None:
    """Draw a phase's mean spectrum over its reference, as used and with the axis corrected."""
    mean = measured_mean(of_pixels(maps.od, inside))
    everywhere = np.ones(len(mean), dtype=bool)
    (used,) = ax.plot(
        maps.energies_ev,
        scaled_to(maps.reference_od[phase], mean, everywhere),
        color=AMBIGUOUS,
        linewidth=1.2,
        linestyle=(0, (4, 2)),
    )
    entries: list[tuple[Any, str]] = [(used, "reference, as used")]
    if maps.corrected_reference_od is not None:
        reference = maps.corrected_reference_od[phase]
        known = np.isfinite(reference)
        (corrected,) = ax.plot(
            maps.energies_ev, scaled_to(reference, mean, known), color=color, linewidth=1.4
        )
        entries.append((corrected, "reference, corrected"))
    (measured,) = ax.plot(
        maps.energies_ev,
        mean,
        "o",
        color="white",
        markersize=4 if len(mean) <= 40 else 2,
        markeredgecolor=FAINT,
        markeredgewidth=0.4,
        zorder=3,
    )
    entries.append((measured, "mean of these pixels"))
    style_axes(ax, "photon energy (eV)", "optical density")
    ax.margins(x=0.03, y=0.06)
    ax.grid(color="white", alpha=0.12, linewidth=0.5)
    made_by = "corrected map" if maps.corrected_index is not None else "map"
    set_titles(
        ax,
        f"{plain(maps.phase_names[phase], 30)} in the {made_by}",
        f"{int(inside.sum())} pixels; references scaled to them (factor and constant)",
    )
    side_legend(ax, entries, "synthetic references" if maps.synthetic_references else "")
