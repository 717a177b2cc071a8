"""Where each phase lies: shapes, thickness and textures on a grid finer than the pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

FINE = 3
"""Fine cells a side of a pixel."""

Field = NDArray[np.float64]
Fractions = NDArray[np.float64]
"""Share of each phase, (n_phases, n_fine, n_fine)."""


class Drawing(NamedTuple):
    """What a texture is made of: fine cells a side, its scale in cells, the phases' shares."""

    n: int
    scale: float
    shares: NDArray[np.float64]
    depth: Field


def smooth_field(n: int, length: float, rng: np.random.Generator) -> Field:
    """Gaussian noise of zero mean and unit deviation, correlated over ``length`` cells."""
    k = np.hypot(np.fft.fftfreq(n)[:, None], np.fft.rfftfreq(n)[None])
    spectrum = np.fft.rfft2(rng.standard_normal((n, n))) * np.exp(-0.5 * (np.pi * k * length) ** 2)
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, s=(n, n))
    return np.asarray(field / max(float(field.std()), 1e-12))


def outline(n: int, rng: np.random.Generator) -> Field:
    """Depth below the surface in cells, 0 outside: one to three lobes with a wavy edge."""
    y, x = np.indices((n, n)) / n - 0.5
    inside = np.zeros((n, n), dtype=bool)
    for _ in range(rng.integers(1, 4)):
        cy, cx = rng.uniform(-0.12, 0.12, 2)
        angle = np.arctan2(y - cy, x - cx)
        edge = rng.uniform(0.20, 0.27) * np.ones((n, n))
        for m in (2, 3, 5):
            edge += rng.normal(0, 0.025 / np.sqrt(m)) * np.cos(m * angle + rng.uniform(0, 6.3))
        inside |= np.hypot(y - cy, x - cx) < edge
    inside &= np.maximum(np.abs(y), np.abs(x)) < 0.42
    return np.asarray(ndimage.distance_transform_edt(inside))


def thickness(profile: str, depth: Field, rng: np.random.Generator) -> Field:
    """Thickness over its largest value, 0 outside, at least 0.06 inside."""
    n = len(depth)
    y, x = np.indices(depth.shape) / n - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.clip(depth / (0.06 * n), 0, 1)
    along = 0.5 + 0.9 * (x * np.cos(angle) + y * np.sin(angle))
    relative = depth / depth.max()
    grain = voronoi(n, 0.2 * n, rng)
    levels = rng.choice([0.4, 0.7, 1.0], int(grain.max()) + 1)[grain]
    shapes = {
        "plateau": ramp,
        "dome": np.sqrt(np.maximum(1 - (1 - relative) ** 2, 0)),
        "wedge": ramp * np.clip(along, 0.05, 1),
        "rough": ramp * np.clip(0.7 + 0.15 * smooth_field(n, 0.05 * n, rng), 0.1, 1),
        "steps": ramp * levels,
    }
    shape = np.where(depth > 0, np.maximum(shapes[profile], 0.06), 0.0)
    return np.asarray(shape / shape.max())


PROFILES = ("plateau", "dome", "wedge", "rough", "steps")


def voronoi(n: int, scale: float, rng: np.random.Generator) -> NDArray[np.intp]:
    """Number of the grain of each cell; grains are ``scale`` cells wide on average."""
    points = rng.uniform(0, n, (max(2, int((n / scale) ** 2)), 2))
    cells = np.moveaxis(np.indices((n, n)), 0, -1) + 0.5
    return np.asarray(cKDTree(points).query(cells)[1], dtype=np.intp)


def _thresholds(made: Drawing, rng: np.random.Generator) -> Fractions:
    """Levels of one smooth field: phases border on the next ones only."""
    field = smooth_field(made.n, made.scale, rng)
    levels = levels_of(field[made.depth > 0], made.shares)
    return _one_hot(np.searchsorted(levels, field), len(made.shares))


def _fields(made: Drawing, rng: np.random.Generator) -> Fractions:
    """The largest of one smooth field per phase: any phase borders on any other."""
    fields = [smooth_field(made.n, made.scale, rng) for _ in made.shares]
    bias = 1.2 * np.log(np.maximum(made.shares, 1e-12))
    return _one_hot(np.argmax(np.array(fields) + bias[:, None, None], axis=0), len(made.shares))


def _grains(made: Drawing, rng: np.random.Generator) -> Fractions:
    """Grains with straight sides, each of one phase."""
    grain = voronoi(made.n, made.scale, rng)
    phase = rng.choice(len(made.shares), int(grain.max()) + 1, p=made.shares)
    return _one_hot(phase[grain], len(made.shares))


def _lamellae(made: Drawing, rng: np.random.Generator) -> Fractions:
    """Stripes as wide as the scale, of two phases in each large grain."""
    n = made.n
    grain = voronoi(n, max(0.3 * n, 4 * made.scale), rng)
    n_grains = int(grain.max()) + 1
    present = np.flatnonzero(made.shares > 0)
    pairs = np.array(
        [
            rng.choice(present, 2, replace=len(present) < 2, p=made.shares[present])
            for _ in range(n_grains)
        ]
    )
    angle, start = rng.uniform(0, np.pi, n_grains)[grain], rng.uniform(0, n, n_grains)[grain]
    y, x = np.indices((n, n))
    across = (x * np.cos(angle) + y * np.sin(angle) + start) / made.scale
    odd = np.floor(across).astype(np.intp) % 2
    return _one_hot(pairs[grain, odd], len(made.shares))


def _zones(made: Drawing, rng: np.random.Generator) -> Fractions:
    """Shells one in another, from the surface inwards, with wavy borders."""
    wave = made.depth + 0.4 * made.scale * smooth_field(made.n, made.scale, rng)
    order = rng.permutation(len(made.shares))
    levels = levels_of(wave[made.depth > 0], made.shares[order])
    return _one_hot(order[np.searchsorted(levels, wave)], len(made.shares))


def _gradient(made: Drawing, rng: np.random.Generator) -> Fractions:
    """Composition that goes smoothly from one phase to the next: most pixels are mixtures."""
    y, x = np.indices((made.n, made.n)) / made.n - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    along = x * np.cos(angle) + y * np.sin(angle) + 0.1 * smooth_field(made.n, made.scale, rng)
    inside = along[made.depth > 0]
    levels = np.array([inside.min(), *levels_of(inside, made.shares), inside.max()])
    at = np.interp(along, levels + 1e-9 * np.arange(len(levels)), np.arange(len(levels))) - 0.5
    away = np.abs(at - np.arange(len(made.shares))[:, None, None])
    shares = np.maximum(1 - away, 0) * (made.shares > 0)[:, None, None] + 1e-12
    return np.asarray(shares / shares.sum(axis=0))


TEXTURES: dict[str, Callable[[Drawing, np.random.Generator], Fractions]] = {
    "thresholds": _thresholds,
    "fields": _fields,
    "grains": _grains,
    "lamellae": _lamellae,
    "zones": _zones,
    "gradient": _gradient,
}


def levels_of(values: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Levels (n_phases - 1,) between which each phase has its share of the values."""
    below = np.minimum(np.cumsum(shares)[:-1], 1.0)  # rounding may sum to more than one
    return np.asarray(np.quantile(values, below))


def _one_hot(label: NDArray[np.intp], n_phases: int) -> Fractions:
    return np.asarray(label == np.arange(n_phases)[:, None, None], dtype=np.float64)
