"""Particles with known truth, made otherwise than those of `stxm_live.sim`.

Phases are drawn on a grid three times finer than the pixels, so that pixels on a boundary are
mixtures as the boundary cuts them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

FINE = 3
"""Fine cells a side of a pixel."""

SHARES = {
    "Na3VPF": 0.0,
    "Na2.4VPF": 0.25,
    "Na2VPF": 0.5,
    "Na1VPF": 0.75,
    "Na1-yVPF": 1.0,
}
"""States of charge: where in the list of phases the commonest one stands."""


@dataclass(frozen=True, eq=False)
class Particle:
    """Truth of a particle.

    Parameters
    ----------
    thickness : ndarray of shape (ny, nx)
        Relative to the thickest, 0 outside.
    fractions : ndarray of shape (n_phases, ny, nx)
        Zero outside.
    lamella_px : ndarray of shape (ny, nx)
        Width of the lamella that a pixel mostly belongs to: 1, 2, or 0.
    """

    thickness: NDArray[np.float64]
    fractions: NDArray[np.float64]
    lamella_px: NDArray[np.int8]

    @property
    def phase_index(self) -> NDArray[np.int8]:
        """The commonest phase, -1 outside."""
        return np.where(self.thickness > 0, self.fractions.argmax(axis=0), -1).astype(np.int8)


def phase_shares(state: str, n_phases: int) -> NDArray[np.float64]:
    """One commonest phase (0.58), its neighbors, and traces of the others."""
    away = np.abs(np.arange(n_phases) - SHARES[state] * (n_phases - 1))
    shares = np.exp(-away / 0.85) + 0.008
    return np.asarray(shares / shares.sum())


def make_particle(side: int, shares: NDArray[np.float64], rng: np.random.Generator) -> Particle:
    """A particle with wedges, thin edges, domains of many sizes, lamellae, transition zones."""
    fine = side * FINE
    y, x = (np.indices((fine, fine)) + 0.5) / FINE - side / 2
    depth = _depth(y, x, side, rng)
    inside = depth > 0
    grain = _grains(y, x, side, rng)
    charge = _charge(depth, grain, side, rng)
    edges = np.quantile(charge[inside], np.cumsum(shares)[:-1])
    labels = np.searchsorted(edges, charge).astype(np.int8)
    labels, lamella = _with_lamellae(labels, grain, inside, y, x, len(shares), rng)
    thickness = _binned(_thickness(depth, y, x, side, rng))
    specimen = thickness > 0
    fractions = _fractions(labels, lamella > 0, inside, len(shares), side, rng)
    fractions = np.where(specimen, fractions / np.maximum(fractions.sum(axis=0), 1e-12), 0.0)
    width = np.array([_binned((lamella == w).astype(np.float64)) for w in (0, 1, 2)])
    return Particle(thickness, fractions, np.where(specimen, width.argmax(axis=0), 0).astype("i1"))


def _binned(fine: NDArray[np.float64]) -> NDArray[np.float64]:
    n = fine.shape[-1] // FINE
    return np.asarray(fine.reshape(*fine.shape[:-2], n, FINE, n, FINE).mean(axis=(-3, -1)))


def _noise(n: int, length: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Smooth noise of unit deviation on the fine grid, drawn coarsely where it is long."""
    step = max(1, int(length / 4))
    coarse = rng.standard_normal((n // step + 8, n // step + 8))
    smooth = ndimage.zoom(ndimage.gaussian_filter(coarse, length / step), step, order=1)[:n, :n]
    return np.asarray((smooth - smooth.mean()) / smooth.std())


def _depth(
    y: NDArray[np.float64], x: NDArray[np.float64], side: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Distance to the outline in pixels, positive inside: a polygon cut by half planes."""
    n_cuts = int(rng.integers(5, 9))
    angle = np.sort(rng.uniform(0, 2 * np.pi, n_cuts)) + np.linspace(0, 2 * np.pi, n_cuts) / 4
    angle = np.linspace(0, 2 * np.pi, n_cuts, endpoint=False) + 0.5 * np.sin(angle)
    reach = rng.uniform(0.30, 0.43, n_cuts) * side
    depth = np.min(
        [r - x * np.cos(a) - y * np.sin(a) for a, r in zip(angle, reach, strict=True)], 0
    )
    depth = depth + 0.012 * side * _noise(len(y), len(y) / 18, rng)
    for _ in range(3):  # holes
        hy, hx = rng.uniform(-0.25, 0.25, 2) * side
        depth = np.minimum(depth, np.hypot(y - hy, x - hx) - rng.uniform(0.01, 0.04) * side)
    return np.asarray(np.minimum(depth, side / 2 - 3 - np.maximum(np.abs(x), np.abs(y))))


def _thickness(
    depth: NDArray[np.float64],
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    side: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """A plateau behind edges that are steep on one side and long wedges on the other."""
    angle, tilt = rng.uniform(0, 2 * np.pi, 2)
    along = (x * np.cos(angle) + y * np.sin(angle)) / side
    ramp_px = side * np.clip(0.10 + 0.25 * along, 0.02, 0.25)
    top = 0.8 + 0.4 * (x * np.cos(tilt) + y * np.sin(tilt)) / side
    rise = np.clip(depth / ramp_px, 0, 1)
    return np.where(depth > 0, 0.06 + 0.94 * rise * top, 0.0)


def _grains(
    y: NDArray[np.float64], x: NDArray[np.float64], side: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    bend = 0.02 * side
    bent = [
        y + bend * _noise(len(y), len(y) / 12, rng),
        x + bend * _noise(len(y), len(y) / 12, rng),
    ]
    _, grain = cKDTree(rng.uniform(-0.45, 0.45, (30, 2)) * side).query(np.stack(bent, -1))
    return np.asarray(grain, dtype=np.intp)


def _charge(
    depth: NDArray[np.float64], grain: NDArray[np.intp], side: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """A field whose levels bound the phases: core and shell, grains, noise of three lengths."""
    n = len(depth)
    shell = np.exp(-np.maximum(depth, 0) / (0.12 * side))
    return np.asarray(
        1.2 * shell
        + 0.8 * rng.standard_normal(int(grain.max()) + 1)[grain]
        + 0.55 * _noise(n, n / 9, rng)
        + 0.35 * _noise(n, n / 28, rng)
        + 0.10 * _noise(n, n / 70, rng)
    )


def _with_lamellae(
    labels: NDArray[np.int8],
    grain: NDArray[np.intp],
    inside: NDArray[np.bool_],
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    n_phases: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Stripes of a neighboring phase in four large grains, and their width (2 or 1 pixels)."""
    labels, lamella = labels.copy(), np.zeros(labels.shape, dtype=np.int8)
    largest = np.argsort(-np.bincount(grain[inside]))[:6]
    for number, chosen in enumerate(rng.choice(largest, 4, replace=False)):
        where = (grain == chosen) & inside
        width = 2 if number < 2 else 1
        angle, period = rng.uniform(0, np.pi), rng.uniform(8, 13)
        host = int(np.bincount(labels[where], minlength=n_phases).argmax())
        guest = host + (1 if host == 0 else -1 if host == n_phases - 1 else rng.choice((-1, 1)))
        stripes = where & ((x * np.cos(angle) + y * np.sin(angle)) % period < width)
        labels[where] = host
        labels[stripes] = guest
        lamella[stripes] = width
    return labels, lamella


def _fractions(
    labels: NDArray[np.int8],
    lamella: NDArray[np.bool_],
    inside: NDArray[np.bool_],
    n_phases: int,
    side: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Share of each phase in each pixel; walls are sharp, one or two pixels wide."""
    zone = np.digitize(_noise(len(labels), len(labels) / 10, rng), [0.0, 0.8])
    zone[ndimage.binary_dilation(lamella, iterations=4 * FINE)] = 0
    pure = ((labels == np.arange(n_phases)[:, None, None]) & inside).astype(np.float64)
    mixed = pure.copy()
    for number, sigma_px in ((1, 0.5), (2, 0.9)):
        blurred = ndimage.gaussian_filter(pure, (0, sigma_px * FINE, sigma_px * FINE))
        mixed = np.where(zone == number, blurred * inside, mixed)
    return _binned(mixed)
