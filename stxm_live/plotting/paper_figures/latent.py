"""Latent space in two dimensions: the directions to plot along, and colored points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.plotting.style.lettering import set_titles, side_legend
from stxm_live.plotting.style.palette import AMBIGUOUS, SPECIMEN
from stxm_live.plotting.style.raster import style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_POINTS = 6000
"""Largest number of points in a panel; more would only cover each other."""

FEWEST_MARKED = 500
"""Number of marked points that are always drawn."""


class LatentView(NamedTuple):
    """Two directions of latent space along which points are plotted.

    Parameters
    ----------
    directions : ndarray of shape (2, n_latent)
        Unit vectors.
    labels : (str, str)
    """

    directions: NDArray[np.float64]
    labels: tuple[str, str]

    def of(self, latent: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the coordinates of points along the two directions, of shape (n_points, 2)."""
        seen: NDArray[np.float64] = latent.astype(np.float64) @ self.directions.T
        return seen


def view_of_phases(latent: NDArray[np.floating], phase_index: NDArray[np.integer]) -> LatentView:
    """Return the two directions along which phases differ most relative to their spread (Fisher).

    Parameters
    ----------
    latent : ndarray of shape (n_spectra, n_latent)
        All finite.
    phase_index : ndarray of shape (n_spectra,)
    """
    from scipy.linalg import eigh

    points = latent.astype(np.float64)
    n_latent = points.shape[1]
    between, within = np.zeros((n_latent, n_latent)), 1e-9 * np.eye(n_latent)
    for k in np.unique(phase_index):
        members = points[phase_index == k]
        offset = members.mean(axis=0) - points.mean(axis=0)
        between += len(members) * np.outer(offset, offset)
        centred = members - members.mean(axis=0)
        within += centred.T @ centred
    _, vectors = eigh(between, within)
    first = _unit(vectors[:, -1])
    second = _unit(vectors[:, -2] - (vectors[:, -2] @ first) * first)
    return _named(first, second)


def view_of_thickness(
    latent: NDArray[np.floating],
    thickness: NDArray[np.floating],
    phase_index: NDArray[np.integer],
) -> LatentView:
    """Return the direction of growing thickness, and the best one across it for the phases.

    Parameters
    ----------
    latent : ndarray of shape (n_spectra, n_latent)
    thickness : ndarray of shape (n_spectra,)
        In any unit.
    phase_index : ndarray of shape (n_spectra,)
    """
    centred = latent - latent.mean(axis=0, dtype=np.float64)
    slope = np.linalg.lstsq(centred, thickness - thickness.mean(), rcond=None)[0]
    along = _unit(slope)
    across = np.linalg.svd(along[None])[2][1:]
    best = view_of_phases(latent @ across.T, phase_index).directions[0] @ across
    return _named(along, _unit(best))


def _unit(vector: NDArray[np.floating]) -> NDArray[np.float64]:
    """Scale a vector to length one; its largest component is positive."""
    length = np.linalg.norm(vector)
    sign = np.sign(vector[np.abs(vector).argmax()]) or 1.0
    scaled: NDArray[np.float64] = sign * vector / (length if length > 0 else 1.0)
    return scaled


def _named(first: NDArray[np.float64], second: NDArray[np.float64]) -> LatentView:
    return LatentView(np.stack([first, second]), (_formula(first), _formula(second)))


def _formula(direction: NDArray[np.float64]) -> str:
    """Return an axis label such as ``0.8 z1 − 0.6 z3``."""
    parts = [
        f"{'−' if part < 0 else '+'} {abs(part):.2f} z{k + 1}"
        for k, part in enumerate(direction)
        if abs(part) >= 0.05
    ]
    return " ".join(parts).removeprefix("+ ").replace("− ", "−", 1 if parts[0][0] == "−" else 0)


def draw_points(
    ax: Axes,
    points: NDArray[np.float64],
    colors: NDArray[np.float64] | str,
    labels: tuple[str, str],
    *,
    most: int = MOST_POINTS,
    size: float = 3.0,
    alpha: float = 0.6,
) -> None:
    """Draw points of shape (n_points, 2), each in its color, thinned where they overlap.

    They are drawn in a shuffled order, so that no phase lies on top.
    """
    rows = np.random.default_rng(0).permutation(len(points))[:most]
    shown = colors if isinstance(colors, str) else colors[rows]
    x, y = points[rows].T
    ax.scatter(x, y, s=size, c=shown, alpha=alpha, linewidths=0, rasterized=True)
    style_axes(ax, *labels)


def draw_references(ax: Axes, points: NDArray[np.float64], colors: NDArray[np.float64]) -> Any:
    """Draw stars at the references; return their artist for a legend."""
    x, y = points.T
    return ax.scatter(
        x, y, marker="*", s=120, c=colors, edgecolors="white", linewidths=0.9, zorder=4
    )


def frame(ax: Axes, points: NDArray[np.float64]) -> None:
    """Set limits that hold nearly all points, so that a few distant ones do not count."""
    low, high = np.percentile(points, [0.3, 99.7], axis=0)
    room = 0.08 * np.maximum(high - low, 1e-6)
    ax.set_xlim(low[0] - room[0], high[0] + room[0])
    ax.set_ylim(low[1] - room[1], high[1] + room[1])


def draw_phases(
    ax: Axes,
    seen: NDArray[np.float64],
    phase_index: NDArray[np.integer],
    references: NDArray[np.float64],
    phase_names: Sequence[str],
    colors: NDArray[np.float64],
    view: LatentView,
    *,
    title: str,
    subtitle: str,
    marked: NDArray[np.bool_] | None = None,
    marked_as: str = "",
) -> None:
    """Draw points in the colors of their phases, grey without one; ``marked`` ones in amber.

    Parameters
    ----------
    seen : ndarray of shape (n_points, 2)
    phase_index : ndarray of shape (n_points,)
    references : ndarray of shape (n_phases, 2)
    """
    from matplotlib.lines import Line2D

    rgb = np.where(phase_index[:, None] >= 0, colors[phase_index], _rgb(SPECIMEN))
    draw_points(ax, seen, rgb, view.labels)
    if marked is not None and marked.any():
        # thinned like the others, so that their share looks right, but never to too few points
        most = max(FEWEST_MARKED, int(MOST_POINTS * marked.mean()))
        draw_points(ax, seen[marked], AMBIGUOUS, view.labels, most=most, alpha=0.8)
    draw_references(ax, references, colors)
    set_titles(ax, title, subtitle)
    entries: list[tuple[Any, str]] = [
        (_dot(Line2D, color), name) for color, name in zip(colors, phase_names, strict=True)
    ]
    if marked is not None:
        entries.append((_dot(Line2D, AMBIGUOUS), marked_as))
    star = Line2D([], [], linestyle="none", marker="*", markersize=9, color="#8a929c")
    side_legend(ax, [*entries, (star, "projected reference")])


def _dot(line: Any, color: Any) -> Any:
    return line([], [], linestyle="none", marker="o", markersize=6, color=color)


def _rgb(color: str) -> NDArray[np.float64]:
    from matplotlib.colors import to_rgb

    return np.asarray(to_rgb(color))
