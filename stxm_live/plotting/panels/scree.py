"""The scree plot: which principal components are above the noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stxm_live.plotting.style.lettering import DrawLegend, set_titles, side_legend
from stxm_live.plotting.style.palette import AMBIGUOUS
from stxm_live.plotting.style.raster import style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from stxm_live.phase_mapping.exploration import Principal

ABOVE, NOISE = "#8ecae6", "#8a929c"
"""Colors of components above the noise and within it."""

_FEWEST = 20


def n_shown(pca: Principal) -> int:
    """Return how many components are shown: 20, or one and a half times those above the noise."""
    return min(len(pca.eigenvalues), max(_FEWEST, pca.n_above_noise * 3 // 2))


def draw_scree(ax: Axes, pca: Principal, *, legend: DrawLegend = side_legend) -> None:
    """Draw the eigenvalues on a logarithmic scale, and the noise floor."""
    n = n_shown(pca)
    shown, above = np.maximum(pca.eigenvalues[:n], 1e-30), pca.n_above_noise
    numbers = np.arange(n)
    ax.semilogy(numbers, shown, color="white", linewidth=0.8, zorder=2)
    options: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 5}
    (signal,) = ax.plot(numbers[:above], shown[:above], color=ABOVE, zorder=3, **options)
    (noise,) = ax.plot(numbers[above:], shown[above:], color=NOISE, zorder=3, **options)
    entries: list[tuple[Any, str]] = [(signal, f"{above} above noise"), (noise, "noise")]
    bottom = shown.min() / 2
    if pca.noise_floor > 0:
        floor = ax.axhline(pca.noise_floor, color=AMBIGUOUS, linestyle=(0, (4, 3)), linewidth=1.1)
        entries.append((floor, "noise floor"))
        bottom = min(bottom, pca.noise_floor / 2)
    ax.set_ylim(max(bottom, shown[0] * 1e-9), shown[0] * 2)
    ax.locator_params(axis="x", integer=True)
    style_axes(ax, "component, from 0", "variance (eigenvalue)")
    set_titles(ax, "Scree plot", "variance of each component about the mean spectrum")
    legend(ax, entries, "")
