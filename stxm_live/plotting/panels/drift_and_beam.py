"""The panel with the conditions during the scan: drift, I0 and counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stxm_live.plotting.live_figure.legends import row_legend
from stxm_live.plotting.panels.spectra import on_light
from stxm_live.plotting.style.lettering import set_titles
from stxm_live.plotting.style.palette import AMBIGUOUS, INVALID
from stxm_live.plotting.style.raster import style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_LEAST_PX = 1.0
"""Smallest range of the drift axis in pixels, so that noise does not look like drift."""

_SPECIMEN = "#aeb6c0"


def draw_beam(
    drift_ax: Axes,
    counts_ax: Axes,
    energies_ev: Sequence[float],
    shifts_px: NDArray[np.floating],
    i0: NDArray[np.floating],
    mean_counts: NDArray[np.floating],
    *,
    i0_std: NDArray[np.floating] | None = None,
) -> None:
    """Draw the shift, I0 and the specimen's mean counts of each image over energy.

    Parameters
    ----------
    drift_ax, counts_ax : Axes
        Upper and lower axes.
    energies_ev : sequence of float
    shifts_px : ndarray of shape (n_energies, 2)
        Shift (y, x) applied to each image. Here and below, NaN means not measured.
    i0, mean_counts : ndarray of shape (n_energies,)
    i0_std : ndarray of shape (n_energies,), optional
        Standard uncertainty of ``i0``, drawn as a band of two.
    """
    energies = np.asarray(energies_ev, dtype=np.float64)
    in_x = _line(drift_ax, energies, shifts_px[:, 1], AMBIGUOUS, "o")
    in_y = _line(drift_ax, energies, shifts_px[:, 0], INVALID, "s")
    beam = _line(counts_ax, energies, i0, "white", "o")
    specimen = _line(counts_ax, energies, mean_counts, _SPECIMEN, "^")
    if i0_std is not None:
        known = np.isfinite(i0 + i0_std)
        low, high = (i0 - 2 * i0_std)[known], (i0 + 2 * i0_std)[known]
        counts_ax.fill_between(energies[known], low, high, color="white", alpha=0.25, linewidth=0)
    style_axes(drift_ax, "", "shift (px)")
    style_axes(counts_ax, "photon energy (eV)", "counts")
    finite = shifts_px[np.isfinite(shifts_px)]
    reach = max(_LEAST_PX, 1.15 * float(np.abs(finite).max(initial=0.0)))
    drift_ax.set_ylim(-reach, reach)
    top = np.nanmax([1.0, *i0[np.isfinite(i0)], *mean_counts[np.isfinite(mean_counts)]])
    counts_ax.set_ylim(0, 1.15 * float(top))
    for ax in (drift_ax, counts_ax):
        margin = 0.03 * float(np.ptp(energies)) or 1.0
        ax.set_xlim(energies.min() - margin, energies.max() + margin)
        ax.locator_params(axis="y", nbins=4)
        ax.grid(color="white", alpha=0.12, linewidth=0.5)
    drift_ax.tick_params(labelbottom=False)
    set_titles(drift_ax, "Drift, I0 and counts")
    row_legend(
        drift_ax,
        [
            (in_x, "shift in x"),
            (in_y, "in y"),
            (on_light(beam), "I0"),
            (on_light(specimen), "specimen"),
        ],
    )


def _line(
    ax: Axes, energies: NDArray[np.float64], values: NDArray[np.floating], color: str, marker: str
) -> Line2D:
    known = np.isfinite(values)
    (line,) = ax.plot(
        energies[known],
        values[known],
        color=color,
        linewidth=1.0,
        marker=marker,
        markersize=4 if energies.size <= 40 else 2,
        markeredgewidth=0,
    )
    return line
