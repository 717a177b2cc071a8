"""Reference spectra with their errors, their shapes as compared, and their separation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.plotting.panels.result import SYNTHETIC
from stxm_live.plotting.panels.spectra import draw_separability
from stxm_live.plotting.pictures import agg_figure, save_png
from stxm_live.plotting.style.layout import figure_size_in, panel_axes, write_footer, write_header
from stxm_live.plotting.style.lettering import set_titles, side_legend
from stxm_live.plotting.style.palette import AMBIGUOUS, FAINT, phase_colors
from stxm_live.plotting.style.raster import style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from stxm_live.core.references import ReferenceSpectra

DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (5, 1.5, 1, 1.5)))
"""Line styles: they differ between phases, so that color is not the only difference."""

_ASPECT = 0.8


def write_reference_picture(
    references: ReferenceSpectra,
    path: Path,
    *,
    scan_ev: Sequence[float],
    threshold: float,
    std: NDArray[np.float64] | None = None,
    colors: Mapping[str, str] | None = None,
) -> None:
    """Write a PNG: the spectra, their shapes as correlation compares them, 1 - PCC of each pair.

    Parameters
    ----------
    references : ReferenceSpectra
    path : Path
    scan_ev : sequence of float
        Energies at which the references are compared; marked in the spectra if they are few.
    threshold : float
        Pairs with a smaller 1 - PCC are marked.
    std : ndarray of shape (n_phases, n_energies), optional
        Standard errors, drawn as bands of twice the error; NaN where not known.
    colors : mapping of str to str, optional
        Colors of the recipe.
    """
    figure = agg_figure(figure_size_in(1, 3, _ASPECT))
    curves, sight, matrix = panel_axes(figure, 1, 3, _ASPECT)
    rgb = phase_colors(references.phase_names, colors)
    errors = np.full(references.od.shape, np.nan) if std is None else std
    _draw_curves(curves, references, references.od, errors, rgb)
    style_axes(curves, "photon energy (eV)", "optical density")
    set_titles(curves, "References", "bands: twice the standard error")
    scale = np.std(references.at(scan_ev), axis=1, keepdims=True)
    scale = np.where(scale > 0, scale, 1.0)
    shape = (references.od - np.mean(references.at(scan_ev), axis=1, keepdims=True)) / scale
    _draw_curves(sight, references, shape, errors / scale, rgb)
    room = 0.15 * float(np.ptp(scan_ev))
    low, high = references.energies_ev[[0, -1]]
    sight.set_xlim(max(low, min(scan_ev) - room), min(high, max(scan_ev) + room))
    if len(scan_ev) <= 40:
        for energy in scan_ev:
            sight.axvline(energy, color=AMBIGUOUS, linewidth=0.6, alpha=0.6, zorder=0.5)
    style_axes(sight, "photon energy (eV)", "(OD − mean) / deviation")
    note = "amber: energies compared" if len(scan_ev) <= 40 else "on all energies"
    set_titles(sight, "Shapes that correlation compares", f"mean removed, scaled; {note}")
    draw_separability(
        matrix,
        references.correlation(scan_ev),
        references.inseparable_pairs(scan_ev, threshold),
        references.phase_names,
    )
    detail = (
        f"{references.n_phases} phases on {len(scan_ev)} energies; the closest two differ by "
        f"1 − PCC = {references.smallest_separation(scan_ev):.4f} (ambiguous below {threshold:g})"
    )
    write_header(figure, "Reference spectra", detail, FAINT)
    write_footer(figure, SYNTHETIC if references.synthetic else "")
    save_png(figure, path)


def _draw_curves(
    ax: Axes,
    references: ReferenceSpectra,
    values: NDArray[np.float64],
    std: NDArray[np.float64],
    colors: NDArray[np.float64],
) -> None:
    """Draw a line and a band for each phase, and a legend in their order."""
    entries: list[tuple[Any, str]] = []
    energies = references.energies_ev
    for k, (name, color) in enumerate(zip(references.phase_names, colors, strict=True)):
        stroke = DASHES[k % len(DASHES)]
        (line,) = ax.plot(energies, values[k], color=color, linewidth=1.2, linestyle=stroke)
        ax.fill_between(
            energies,
            values[k] - 2 * std[k],
            values[k] + 2 * std[k],
            color=color,
            alpha=0.3,
            linewidth=0,
        )
        entries.append((line, name))
    ax.margins(x=0.02, y=0.05)
    ax.grid(color="white", alpha=0.12, linewidth=0.5)
    side_legend(ax, entries)
