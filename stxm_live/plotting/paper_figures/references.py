"""Figures 2 and S4: the reference spectra, and their correlation with each other."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.references import ReferenceSpectra
from stxm_live.plotting.panels.spectra import name_pairs
from stxm_live.plotting.paper_figures.plate import Plate, Table, centred, sheet
from stxm_live.plotting.style.lettering import set_titles, side_legend
from stxm_live.plotting.style.palette import AMBIGUOUS, heat
from stxm_live.plotting.style.raster import style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def figure_2(
    references: ReferenceSpectra,
    energies_ev: Sequence[float],
    colors: NDArray[np.float64],
    identity: str = "",
) -> Plate:
    """Draw reference spectra over the whole range, and at the energies of a scan."""
    panels = [
        partial(draw_reference_spectra, references=references, scan_ev=energies_ev, colors=colors),
        partial(draw_sampled, references=references, scan_ev=energies_ev, colors=colors),
    ]
    figure = sheet(
        "Fig. 2: reference spectra",
        f"{references.n_phases} phases; the scan measures {len(energies_ev)} energies.",
        panels,
        2,
        synthetic=references.synthetic,
        identity=identity,
    )
    sampled = np.column_stack([energies_ev, references.at(energies_ev).T]).tolist()
    return Plate("fig2-references", figure, Table(("energy_ev", *references.phase_names), sampled))


def draw_reference_spectra(
    ax: Axes,
    references: ReferenceSpectra,
    scan_ev: Sequence[float],
    colors: NDArray[np.float64],
) -> None:
    """Draw each reference as it is, with amber lines at the energies of the scan."""
    for energy in scan_ev:
        # a full line through the spectra where there is room for it
        top = 1.0 if len(scan_ev) <= 30 else 0.05
        ax.axvline(energy, 0.0, top, color=AMBIGUOUS, linewidth=0.6, alpha=0.6)
    entries: list[tuple[Any, str]] = []
    for od, name, color in zip(references.od, references.phase_names, colors, strict=True):
        (line,) = ax.plot(references.energies_ev, od, color=color, linewidth=1.2)
        entries.append((line, name))
    low, high = min(scan_ev), max(scan_ev)
    room = 0.15 * (high - low)
    ax.set_xlim(
        max(low - room, references.energies_ev[0]), min(high + room, references.energies_ev[-1])
    )
    style_axes(ax, "photon energy (eV)", "optical density")
    set_titles(ax, "References", "amber: energies of the scan")
    side_legend(ax, entries)


def draw_sampled(
    ax: Axes,
    references: ReferenceSpectra,
    scan_ev: Sequence[float],
    colors: NDArray[np.float64],
) -> None:
    """Draw each reference at the scan's energies in even steps, scaled to a largest OD of 1."""
    sampled = references.at(scan_ev)
    steps = np.arange(len(scan_ev))
    dot = "o" if len(scan_ev) <= 40 else ""
    entries: list[tuple[Any, str]] = []
    for od, name, color in zip(sampled, references.phase_names, colors, strict=True):
        (line,) = ax.plot(steps, od / np.abs(od).max(), color=color, marker=dot, markersize=3.5)
        line.set_linewidth(1.0)
        entries.append((line, name))
    style_axes(ax, "photon energy (eV)", "optical density / its largest")
    labelled = steps if len(steps) <= 16 else steps[:: -(-len(steps) // 12)]
    ax.set_xticks(labelled, [f"{scan_ev[k]:.5g}" for k in labelled], rotation=60)
    set_titles(ax, "At the energies of the scan", "one step per energy")
    side_legend(ax, entries)


def figure_s4(
    references: ReferenceSpectra, energies_ev: Sequence[float], identity: str = ""
) -> Plate:
    """Draw Pearson coefficients of the references with each other, as triangular matrices."""
    inside = references.energies_ev
    inside = inside[(inside >= min(energies_ev)) & (inside <= max(energies_ev))]
    on_scan = references.correlation(energies_ev)
    on_grid = references.correlation(inside.tolist())
    names = references.phase_names
    panels = [
        partial(
            draw_triangle,
            matrix=on_scan,
            phase_names=names,
            title=f"On the {len(energies_ev)} energies of the scan",
        ),
        partial(
            draw_triangle,
            matrix=on_grid,
            phase_names=names,
            title=f"On the references' own {len(inside)} energies",
        ),
    ]
    figure = sheet(
        "Fig. S4: correlation of the references",
        "The closer a pair is to 1, the less noise is needed to make its pixels ambiguous.",
        panels,
        2,
        aspect=0.85,
        synthetic=references.synthetic,
        identity=identity,
    )
    rows = [
        (names[i], names[j], on_scan[i, j], on_grid[i, j])
        for i in range(len(names))
        for j in range(i)
    ]
    columns = ("phase", "other_phase", "pearson_on_scan", "pearson_on_reference_grid")
    return Plate("figS4-reference-correlation", figure, Table(columns, rows))


def draw_triangle(
    ax: Axes, matrix: NDArray[np.float64], phase_names: Sequence[str], title: str
) -> None:
    """Draw the part below the diagonal with its coefficients; the closest pair is framed."""
    from matplotlib.patches import Rectangle

    n = len(phase_names)
    lower = np.tril(np.ones((n, n), dtype=bool), -1)
    shown = np.where(lower, matrix, np.nan)
    low = float(np.nanmin(shown))
    ax.imshow(shown, cmap=heat(), vmin=low, vmax=1.0, aspect="auto")
    style_axes(ax, "", "")
    row, column = np.unravel_index(int(np.nanargmax(shown)), shown.shape)
    for i, j in zip(*np.nonzero(lower), strict=True):
        bright = matrix[i, j] > low + 0.45 * (1.0 - low)
        centred(ax, j, i, f"{matrix[i, j]:.4f}", color="black" if bright else "white")
    if n > 2:
        frame = Rectangle((float(column) - 0.47, float(row) - 0.47), 0.94, 0.94, fill=False)
        frame.set(edgecolor=AMBIGUOUS, linewidth=2.4)
        ax.add_patch(frame)
    name_pairs(ax, phase_names)
    note = (
        "Pearson coefficient of each pair; amber: the closest" if n > 2 else "Pearson coefficient"
    )
    set_titles(ax, title, note)
