"""Specimens with known truth: how much of each phase lies in each column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.composite.textures import (
    FINE,
    PROFILES,
    TEXTURES,
    Drawing,
    outline,
    smooth_field,
    thickness,
    voronoi,
)

LARGEST_SHARE = 0.5
"""Of a column that its second phase takes, where there is one."""

SHELL = 0.22
"""Half thickness of a shell over that of the particle."""


@dataclass(frozen=True)
class Layout:
    """What is to be drawn.

    Parameters
    ----------
    shares : tuple of float
        Of each phase; their sum is one.
    texture : str
        One of `TEXTURES`, or ``core and shell``: the last of the phases that are there around
        the first, so that columns hold both.
    scale_px : float
        Width of lamellae, grains and so on.
    profile : str
        Of the thickness.
    largest_od : float
        Of the thickest column at the energy at which the phases absorb most.
    columns : float
        Share of the specimen in which a second phase lies above the first.
    unknown : float
        Share of the specimen that is a phase without a reference.
    side : int
        Pixels a side of the field.
    """

    shares: tuple[float, ...]
    texture: str = "fields"
    scale_px: float = 6.0
    profile: str = "plateau"
    largest_od: float = 1.6
    columns: float = 0.0
    unknown: float = 0.0
    side: int = 72


@dataclass(frozen=True, eq=False)
class Scene:
    """The specimen on the fine grid.

    Parameters
    ----------
    amount : ndarray of shape (n_phases + 1, n_fine, n_fine)
        Thickness of each phase over that of the thickest column; the unknown phase is the last.
    patch : ndarray of shape (n_fine, n_fine)
        From 0 to 1; a binder lies where it is above what its share asks for.
    grain : ndarray of shape (n_fine, n_fine), int
        Crystal that a cell belongs to.
    """

    amount: NDArray[np.float64]
    patch: NDArray[np.float64]
    grain: NDArray[np.intp]

    @property
    def specimen(self) -> NDArray[np.bool_]:
        """Where anything lies."""
        return np.asarray(self.amount.sum(axis=0) > 0)


def drawn_layout(n_phases: int, rng: np.random.Generator) -> Layout:
    """Any texture with any phases; a second phase in half of the columns at most."""
    present = rng.permutation(n_phases)[: rng.integers(min(2, n_phases), n_phases + 1)]
    shares = np.zeros(n_phases)
    shares[present] = rng.dirichlet(np.full(len(present), 1.5))
    return Layout(
        shares=tuple(shares.tolist()),
        texture=str(rng.choice([*TEXTURES, "core and shell"])),
        scale_px=float(np.exp(rng.uniform(np.log(0.7), np.log(16)))),
        profile=str(rng.choice(PROFILES)),
        largest_od=float(rng.uniform(0.7, 2.6)),
        columns=float(rng.choice([0.0, rng.uniform(0.05, 0.5)])),
        unknown=float(rng.choice([*[0.0] * 9, *rng.uniform(0.05, 0.8, 2), 1.0])),
        side=int(rng.choice([64, 72, 80, 96])),
    )


def make_scene(layout: Layout, rng: np.random.Generator) -> Scene:
    """A specimen as the layout asks for it."""
    n = layout.side * FINE
    depth = outline(n, rng)
    whole = thickness(layout.profile, depth, rng)
    shares = np.array(layout.shares)
    drawing = Drawing(n, layout.scale_px * FINE, shares, depth)
    if layout.texture == "core and shell":
        fractions = _core_and_shell(shares, whole)
    else:
        fractions = TEXTURES[layout.texture](drawing, rng)
    if layout.columns:
        above = TEXTURES["fields"](drawing._replace(scale=8 * FINE), rng)
        fractions = _with_columns(fractions, above, layout.columns, depth > 0, rng)
    unknown = _domain(layout.unknown, depth > 0, rng)
    known = np.where(unknown, 0.0, fractions)
    amount = np.concatenate([known, unknown[None].astype(np.float64)]) * whole
    return Scene(amount, smooth_field(n, 0.12 * n, rng), voronoi(n, 0.15 * n, rng))


def _core_and_shell(shares: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two phases: above and below the core lies shell, and at the rim nothing else."""
    present = np.flatnonzero(shares > 0)
    core, shell = present[0], present[-1]
    within = np.where(whole > 0, np.maximum(1 - 2 * SHELL / np.maximum(whole, 1e-9), 0), 0.0)
    fractions = np.zeros((len(shares), *whole.shape))
    fractions[core] += within
    fractions[shell] += 1 - within
    return fractions


def _with_columns(
    fractions: NDArray[np.float64],
    above: NDArray[np.float64],
    share: float,
    inside: NDArray[np.bool_],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Another pattern on top, in a part of the specimen, up to half of the thickness."""
    n = inside.shape[0]
    where = _domain(share, inside, rng)
    height = LARGEST_SHARE * np.clip(0.6 + 0.4 * smooth_field(n, 0.1 * n, rng), 0, 1) * where
    return np.asarray((1 - height) * fractions + height * above)


def _domain(share: float, inside: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Part of the specimen, in one or a few pieces."""
    field = smooth_field(len(inside), 0.25 * len(inside), rng)
    if share <= 0:
        return np.zeros_like(inside)
    return np.asarray(inside & (field <= np.quantile(field[inside], min(share, 1.0))))
