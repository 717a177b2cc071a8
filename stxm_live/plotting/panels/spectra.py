"""Panels about energies: spectra, and the phases that the energies so far distinguish."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from stxm_live.phase_mapping.quality import MENTIONED
from stxm_live.plotting.style.lettering import PLAIN, DrawLegend, plain, set_titles, side_legend
from stxm_live.plotting.style.palette import AMBIGUOUS, FAINT, UNIDENTIFIED, heat
from stxm_live.plotting.style.raster import style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    from stxm_live.core.unidentified_spectrum import UnidentifiedSpectrum


_FEW = 40
"""Energies up to which each one is marked with a dot."""


def draw_spectra(
    ax: Axes,
    energies_ev: Sequence[float],
    mean_spectrum: NDArray[np.floating],
    reference_od: NDArray[np.floating],
    phase_names: Sequence[str],
    colors: NDArray[np.float64],
    *,
    measured: NDArray[np.bool_] | None = None,
    latest: int | None = None,
    synthetic: bool = False,
    unidentified: UnidentifiedSpectrum | None = None,
    legend: DrawLegend = side_legend,
) -> None:
    """Draw the mean spectrum of the specimen over the references scaled to it.

    Parameters
    ----------
    mean_spectrum : ndarray of shape (n_energies,)
        Mean OD; NaN where not measured yet.
    reference_od : ndarray of shape (n_phases, n_energies)
    measured : ndarray of bool, shape (n_energies,), optional
        Energies used for the scaling; by default those with a finite mean.
    latest : int, optional
        The energy to mark.
    synthetic : bool
        True if the references are calculated; the legend says so.
    unidentified : UnidentifiedSpectrum, optional
        Drawn as measured, with a band for the scatter of its pixels, if it is common enough.
    """
    energies = np.asarray(energies_ev, dtype=np.float64)
    known = np.isfinite(mean_spectrum) & (True if measured is None else measured)
    entries: list[tuple[Any, str]] = []
    for reference, name, color in zip(reference_od, phase_names, colors, strict=True):
        scaled = scaled_to(reference, mean_spectrum, known)
        dot = "." if energies.size <= _FEW else ""
        entries.append((_curve(ax, energies, scaled, color, 1.3, marker=dot, markersize=3), name))
    size = 4.5 if energies.size <= _FEW else 2.0
    dots = {"marker": "o", "markersize": size, "markeredgewidth": 0, "zorder": 3}
    mean = _curve(ax, energies[known], mean_spectrum[known], "white", 1.0, **dots)
    entries += [(None, ""), (on_light(mean), "specimen")]
    has_references = len(phase_names) > 0 and known.sum() > 1
    subtitle = "references scaled to it (factor and constant)" if has_references else ""
    if is_common(unidentified):
        entries.append(_draw_unidentified(ax, energies, unidentified))
        subtitle = "references scaled to it; pink band: ± scatter of the pixels"
    if latest is not None:
        ax.axvline(energies[latest], color=AMBIGUOUS, linewidth=0.9, linestyle=(0, (4, 3)))
    style_axes(ax, "photon energy (eV)", "optical density")
    ax.margins(x=0.03, y=0.06)
    ax.grid(color="white", alpha=0.12, linewidth=0.5)
    set_titles(ax, "Mean spectrum of the specimen", subtitle)
    legend(ax, entries, "synthetic references" if synthetic else "references")


def _curve(
    ax: Axes,
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    color: Any,
    width: float,
    **options: Any,
) -> Line2D:
    (line,) = ax.plot(x, y, color=color, linewidth=width, **options)
    return line


def is_common(unidentified: UnidentifiedSpectrum | None) -> TypeGuard[UnidentifiedSpectrum]:
    """Return True if so many pixels were not identified that pictures and verdict show them."""
    return unidentified is not None and unidentified.share >= MENTIONED


def _draw_unidentified(
    ax: Axes, energies: NDArray[np.float64], unidentified: UnidentifiedSpectrum
) -> tuple[Any, str]:
    """Draw the mean spectrum and the scatter of its pixels, and return the legend's entry."""
    band = ax.fill_between(
        energies, *unidentified.band, color=UNIDENTIFIED, alpha=0.35, linewidth=0
    )
    line = _curve(ax, energies, unidentified.od, UNIDENTIFIED, 1.6, linestyle=(0, (4, 1.5)))
    return (band, line), f"not identified, {100 * unidentified.share:.0f} %"


def scaled_to(
    reference: NDArray[np.floating], spectrum: NDArray[np.floating], known: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Scale a reference (factor and constant) to a spectrum by least squares.

    If too few energies are known, or if the best factor is negative, only a factor is fitted.

    Examples
    --------
    >>> reference = np.array([1.0, 2.0, 4.0])
    >>> scaled_to(reference, 3.0 * reference + 1.0, np.ones(3, dtype=bool)).round(9)
    array([ 4.,  7., 13.])
    """
    values = np.asarray(reference, dtype=np.float64)
    x, y = values[known], spectrum[known].astype(np.float64)
    centred = x - x.mean() if x.size else x
    if x.size > 1 and centred @ y > 0:
        factor = float(centred @ y / (centred @ centred))
        return factor * values + float(y.mean() - factor * x.mean())
    power = float(x @ x) if x.size else 0.0
    return (float(x @ y) / power if power > 0 else 1.0) * values


def on_light(line: Line2D) -> Line2D:
    """Return a bright line's marker with an outline, for a legend on white."""
    from matplotlib.lines import Line2D

    return Line2D(
        [],
        [],
        color=FAINT,
        linewidth=line.get_linewidth(),
        marker=line.get_marker(),
        markersize=line.get_markersize(),
        markerfacecolor=line.get_color(),
        markeredgecolor=FAINT,
        markeredgewidth=0.8,
    )


def draw_separability(
    ax: Axes,
    correlation: NDArray[np.float64],
    inseparable: Sequence[tuple[str, str]],
    phase_names: Sequence[str],
    *,
    legend: DrawLegend = side_legend,
) -> None:
    """Draw the separation of the references on the energies so far: 1 - PCC for each pair.

    Parameters
    ----------
    correlation : ndarray of shape (n_phases, n_phases)
        Pearson coefficients of the references with each other.
    inseparable : sequence of (str, str)
        Pairs that the energies cannot distinguish; they get an amber frame.
    """
    n = len(phase_names)
    lower = np.tril(np.ones((n, n), dtype=bool), -1)
    _draw_gaps(ax, np.where(lower, 1.0 - correlation, np.nan), write_numbers=n <= 8)
    number = {name: k for k, name in enumerate(phase_names)}
    for a, b in inseparable:
        column, row = sorted((number[a], number[b]))
        ax.add_patch(_amber_frame(column - 0.46, row - 0.46, 0.92))
    name_pairs(ax, phase_names)
    set_titles(
        ax,
        "Can the phases be distinguished?",
        "1 − PCC of each pair of references on these energies",
    )
    n_pairs = n * (n - 1) // 2
    entries: list[tuple[Any, str]] = [
        (None, f"{n_pairs - len(inseparable)} of {n_pairs} pairs distinguished")
    ]
    if inseparable:
        entries.append((_amber_frame(0, 0, 1), "not distinguished yet"))
    legend(ax, entries, "")


def name_pairs(ax: Axes, phase_names: Sequence[str]) -> None:
    """Label rows and columns of a matrix that is shown below its diagonal only."""
    n = len(phase_names)
    names = [plain(name, 12) for name in phase_names]
    ax.set_xticks(
        range(n - 1), names[:-1], rotation=30, ha="right", rotation_mode="anchor", **PLAIN
    )
    ax.set_yticks(range(1, n), names[1:], **PLAIN)
    ax.set_xlim(-0.5, n - 1.5)
    ax.set_ylim(n - 0.5, 0.5)


def _draw_gaps(ax: Axes, gap: NDArray[np.float64], *, write_numbers: bool) -> None:
    """Draw 1 - PCC of shape (n_phases, n_phases) as cells, bright if large; NaN is empty."""
    from matplotlib.colors import LogNorm

    ax.imshow(np.clip(gap, 1e-4, 2.0), cmap=heat("oslo"), norm=LogNorm(1e-4, 2.0), aspect="auto")
    style_axes(ax, "", "")
    for row, column in zip(*np.nonzero(np.isfinite(gap) & write_numbers), strict=True):
        value = gap[row, column]
        ax.text(
            column,
            row,
            f"{value:.2g}" if value >= 1e-4 else "0",
            ha="center",
            va="center",
            fontsize=8,
            color="black" if value > 0.05 else "white",
            **PLAIN,
        )


def _amber_frame(x: float, y: float, side: float) -> Rectangle:
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), side, side, fill=False, edgecolor=AMBIGUOUS, linewidth=1.6)
