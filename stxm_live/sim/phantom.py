"""A battery particle with known truth: thickness, grains, phase domains, transition zones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from stxm_live.core.references import ReferenceSpectra

STATES_OF_CHARGE: Mapping[str, tuple[float, ...]] = {
    "Na3VPF": (0.66, 0.22, 0.08, 0.03, 0.01),
    "Na2.4VPF": (0.18, 0.56, 0.20, 0.05, 0.01),
    "Na2VPF": (0.02, 0.12, 0.58, 0.24, 0.04),
    "Na1VPF": (0.01, 0.03, 0.14, 0.58, 0.24),
    "Na1-yVPF": (0.01, 0.02, 0.05, 0.20, 0.72),
}
"""Phase shares of particles at five states of charge, by their majority phase.

The shares are our own choice, similar to Figs. 4 and 5 of arXiv:2603.07666: phases with the
nearest sodium content are the larger minorities.
"""

_EDGE_NM = 60.0
"""Thickness of the outermost pixels."""


@dataclass(frozen=True, eq=False)
class Particle:
    """The truth of one simulated particle.

    Parameters
    ----------
    thickness_nm : ndarray of shape (ny, nx)
        Zero where there is no specimen.
    fractions : ndarray of shape (n_phases, ny, nx)
        Share of each phase in each pixel; sums to one inside the specimen and is zero outside.
        Exactly 0 or 1 inside a domain, in between in transition zones.
    """

    thickness_nm: NDArray[np.float64]
    fractions: NDArray[np.float64]

    @property
    def specimen(self) -> NDArray[np.bool_]:
        """Return True where there is specimen, shape (ny, nx)."""
        return np.asarray(self.thickness_nm > 0)

    @property
    def phase_index(self) -> NDArray[np.int8]:
        """Return the phase of the largest share, int8 of shape (ny, nx); -1 outside."""
        return np.where(self.specimen, self.fractions.argmax(axis=0), -1).astype(np.int8)

    @property
    def mixed(self) -> NDArray[np.bool_]:
        """Return the pixels with more than one phase, shape (ny, nx)."""
        return np.asarray(self.specimen & (self.fractions.max(axis=0) < 1))


def od_cube(
    particle: Particle, references: ReferenceSpectra, energies_ev: Sequence[float]
) -> NDArray[np.float64]:
    """Return the noise-free optical density of shape (n_energies, ny, nx).

    The references are used as OD per 100 nm.
    """
    amount = particle.fractions * (particle.thickness_nm / 100.0)
    return np.tensordot(references.at(energies_ev).T, amount, axes=1)


def make_particle(
    shape: tuple[int, int], *, phase_weights: Sequence[float], rng: np.random.Generator
) -> Particle:
    """Make an irregular facetted particle with grains, wedge edges, pores and domains.

    Phases are ordered by sodium content, which falls from core to shell and jumps at grain
    boundaries; so neighbors in space are mostly neighbors in the list. Transition zones are one to
    three pixels wide, and some grains have lamellae of two pixels. About half of the field, with
    all of its border, is empty.

    Parameters
    ----------
    shape : (int, int)
        (ny, nx).
    phase_weights : sequence of float
        Wanted share of each phase; need not sum to one. Lamellae change the shares a little.
    """
    weights = np.asarray(phase_weights, dtype=np.float64)
    if weights.ndim != 1 or np.any(weights < 0) or not weights.sum() > 0:
        raise ValueError(
            f"phase_weights {tuple(phase_weights)} must be shares that are not negative"
        )
    if min(shape) < 16:
        raise ValueError(
            f"shape {shape} is too small for a particle; use at least 16 pixels a side"
        )
    height = _crystal(shape, rng)
    specimen = height > 0
    grains, boundary = _grains(shape, rng)
    thickness = _thickness(height, grains, boundary, rng)
    labels = _domains(specimen, grains, boundary, weights / weights.sum(), rng)
    labels, in_lamella = _lamellae(labels, grains, len(weights), rng)
    fractions = _with_transitions(labels, specimen, in_lamella, len(weights), rng)
    return Particle(thickness, fractions)


def _noise(
    shape: tuple[int, int], length_px: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return a smooth random field of zero mean and unit deviation."""
    field = ndimage.gaussian_filter(rng.standard_normal(shape), length_px, mode="reflect")
    return np.asarray((field - field.mean()) / (field.std() or 1.0))


def _warped_grid(
    shape: tuple[int, int], amplitude: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return coordinates y and x in [-1, 1] over the field, bent by smooth noise."""
    size = min(shape)
    y, x = np.meshgrid(np.linspace(-1, 1, shape[0]), np.linspace(-1, 1, shape[1]), indexing="ij")
    bend = [
        amplitude * (_noise(shape, size / 8, rng) + 0.35 * _noise(shape, size / 30, rng))
        for _ in range(2)
    ]
    return y + bend[0], x + bend[1]


def _crystal(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the height above the support, about 0 to 1, with facets, a tilted top and pores."""
    y, x = _warped_grid(shape, 0.025, rng)
    n_facets = int(rng.integers(6, 10))
    angle = 2 * np.pi * (np.arange(n_facets) + rng.uniform(-0.3, 0.3, n_facets)) / n_facets
    reach = rng.uniform(0.64, 0.84, n_facets)
    slope = rng.uniform(1.2, 4.0, n_facets)
    sides = [
        k * (r - x * np.cos(a) - y * np.sin(a)) for a, r, k in zip(angle, reach, slope, strict=True)
    ]
    tilt = rng.uniform(-0.25, 0.25, 2)
    top = 0.85 + tilt[0] * x + tilt[1] * y + 0.06 * _noise(shape, min(shape) / 10, rng)
    rounding = 3.0 * (0.92 - np.hypot(x, y))  # keeps the corners off the border of the field
    height = np.minimum.reduce([*sides, top, rounding])
    for _ in range(int(rng.integers(2, 5))):
        height = height - _pore(height, y, x, rng)
    height[[0, -1], :] = 0
    height[:, [0, -1]] = 0
    return np.asarray(ndimage.gaussian_filter(np.clip(height, 0, None), 0.6) * (height > 0))


def _pore(
    height: NDArray[np.float64],
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return a ragged dent on the particle; deep ones are holes."""
    centre = rng.choice(np.flatnonzero(height > 0.4 * height.max()))
    angle, width = rng.uniform(0, np.pi), rng.uniform(0.02, 0.06)
    ragged = 0.35 * width * _noise(height.shape, max(1.5, width * min(height.shape) / 3), rng)
    dy, dx = y - y.flat[centre] + ragged, x - x.flat[centre] + np.roll(ragged, 3, axis=0)
    along = (dx * np.cos(angle) + dy * np.sin(angle)) / (rng.uniform(1, 2.5) * width)
    across = (dy * np.cos(angle) - dx * np.sin(angle)) / width
    return np.asarray(rng.uniform(0.5, 1.8) * np.exp(-((along**2 + across**2) ** 1.3)))


def _grains(
    shape: tuple[int, int], rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return each pixel's grain number, and its nearness to a boundary (1 on it, 0 inside)."""
    y, x = _warped_grid(shape, 0.05, rng)
    seeds = rng.uniform(-1, 1, (26, 2))
    distance, nearest = cKDTree(seeds).query(np.stack([y, x], axis=-1), k=2)
    gap_px = (distance[..., 1] - distance[..., 0]) * min(shape) / 2
    return nearest[..., 0], np.exp(-((gap_px / 2.0) ** 2))


def _thickness(
    height: NDArray[np.float64],
    grains: NDArray[np.intp],
    boundary: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return the thickness in nm, at most 550 to 800, with grooves along grain boundaries."""
    step = rng.uniform(0.85, 1.0, int(grains.max()) + 1)[grains]
    relief = height * step * (1 - 0.12 * boundary)
    thickest_nm = rng.uniform(550, 800)
    thickness = _EDGE_NM + (thickest_nm - _EDGE_NM) * relief / max(float(relief.max()), 1e-9)
    return np.where(height > 0, thickness, 0.0)


def _domains(
    specimen: NDArray[np.bool_],
    grains: NDArray[np.intp],
    boundary: NDArray[np.float64],
    weights: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.int8]:
    """Return each pixel's phase from quantiles of a field that acts as the charge; -1 outside."""
    size = min(specimen.shape)
    depth = ndimage.distance_transform_edt(specimen)
    shell = 1 - np.minimum(1, depth / max(float(depth.max()), 1.0))
    per_grain = rng.standard_normal(int(grains.max()) + 1)[grains]
    charge = (
        1.6 * shell
        + 0.75 * per_grain
        + 0.45 * _noise(specimen.shape, size / 12, rng)
        + 0.30 * _noise(specimen.shape, size / 36, rng)
        + 0.35 * boundary
    )
    charge = ndimage.gaussian_filter(charge, 0.7)
    steps = np.quantile(charge[specimen], np.clip(np.cumsum(weights)[:-1], 0, 1))
    return np.where(specimen, np.searchsorted(steps, charge), -1).astype(np.int8)


def _lamellae(
    labels: NDArray[np.int8],
    grains: NDArray[np.intp],
    n_phases: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """Return stripes of two pixels of the neighboring phase in two grains, and their mask."""
    labels, striped = labels.copy(), np.zeros(labels.shape, dtype=bool)
    if n_phases < 2:
        return labels, striped
    y, x = np.indices(labels.shape)
    inside = np.unique(grains[labels >= 0])
    for grain in rng.choice(inside, size=min(2, len(inside)), replace=False):
        angle, period = rng.uniform(0, np.pi), int(rng.integers(8, 15))
        stripes = (x * np.cos(angle) + y * np.sin(angle)) % period < 2
        where = (grains == grain) & (labels >= 0)
        common = np.bincount(labels[where], minlength=n_phases).argmax()
        labels[where & stripes] = common - 1 if common else 1
        striped |= where
    return labels, striped


def _with_transitions(
    labels: NDArray[np.int8],
    specimen: NDArray[np.bool_],
    sharp: NDArray[np.bool_],
    n_phases: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return fractions with domain walls one to three pixels wide; one where ``sharp``."""
    zone = np.digitize(_noise(labels.shape, min(labels.shape) / 10, rng), [-0.5, 0.5])
    zone[sharp] = 0
    pure = (labels == np.arange(n_phases)[:, None, None]).astype(np.float64)
    fractions: NDArray[np.float64] = np.zeros_like(pure)
    for index, size in enumerate((2, 3, 4)):
        spread = ndimage.uniform_filter(pure, (0, size, size), mode="constant")
        spread = np.where(spread < 1e-9, 0.0, spread)  # running sums leave rounding dust
        spread /= np.maximum(spread.sum(axis=0), 1e-12)
        fractions = np.where(specimen & (zone == index), spread, fractions)
    return fractions
