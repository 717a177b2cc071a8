"""References and energies: the shipped ones, and other materials' from sums of peaks and edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from stxm_live import Recipe

GRID_EV = 0.1
MARGIN_EV = 4.0
"""By how much the spectra reach beyond the energies of the scan."""

NEAREST, FARTHEST = 0.006, 0.12
"""1 - PCC of the closest pair: what can be distinguished, and is not trivial."""

FAMILY = 0.6
"""Largest 1 - PCC of any pair: the phases have their elements in common."""

UNKNOWN_FROM, UNKNOWN_TO = 0.02, 0.4
"""1 - PCC of the unknown phase with the reference that is nearest to it."""

NOTICEABLE_OD = 0.05
"""Deviation of the unknown phase from every mixture of the others, at an OD of one."""

METALS = {"Mn": (640.0, 10.6), "Fe": (708.0, 13.1), "Co": (778.5, 15.0), "Ni": (853.0, 17.3)}
"""Place of the L3 peak in eV, and how far above it the L2 peak lies."""


@dataclass(frozen=True, eq=False)
class Material:
    """True spectra of the phases, and of one more that the recipe does not know.

    Parameters
    ----------
    name : str
    phase_names : tuple of str
        Without the unknown one.
    grid_ev : ndarray of shape (n_grid,)
    spectra : ndarray of shape (n_phases + 1, n_grid)
        OD for some thickness; the unknown phase is the last.
    energies_ev : tuple of float
        The energies of the scan, ascending.
    """

    name: str
    phase_names: tuple[str, ...]
    grid_ev: NDArray[np.float64]
    spectra: NDArray[np.float64]
    energies_ev: tuple[float, ...]

    @property
    def n_phases(self) -> int:
        """How many phases have a reference."""
        return len(self.phase_names)

    @property
    def unknown_od(self) -> float:
        """How far the unknown phase is from all mixtures of the others, root mean square.

        OD where the phases absorb up to an OD of one, after the best amounts of all of them, a
        constant and a slope. What is a mixture of the others cannot be noticed.
        """
        energies = np.array(self.energies_ev)
        seen = self.at(energies)
        seen /= seen[:-1].max()
        ones, ramp = np.ones_like(energies), (energies - energies.mean()) / np.ptp(energies)
        known = np.column_stack([seen[:-1].T, ones, -ones, ramp, -ramp])
        return float(nnls(known, seen[-1])[1] / np.sqrt(len(energies)))

    def at(self, energies_ev: NDArray[np.float64], width_ev: float = 0.0) -> NDArray[np.float64]:
        """Spectra (n_phases + 1, n_energies), seen by a beam wider by a Gaussian ``width_ev``."""
        nodes = np.linspace(-3, 3, 25) if width_ev else np.zeros(1)
        weight = np.exp(-0.5 * nodes**2)
        at = energies_ev[:, None] + width_ev * nodes
        seen = np.array([np.interp(at, self.grid_ev, s) for s in self.spectra])
        return np.asarray(seen @ (weight / weight.sum()))


def shipped(energies_ev: tuple[float, ...] | None = None) -> Material:
    """The five synthetic NVPF phases, at the recipe's energies or others."""
    recipe = Recipe.load("nvpf")
    known = recipe.reference_spectra
    middle = known.od[known.n_phases // 2]
    bumps = _peak(known.energies_ev, 516.0, 0.6) + _peak(known.energies_ev, 528.5, 0.8)
    unknown = 0.7 * np.interp(known.energies_ev + 0.9, known.energies_ev, middle)
    unknown += 0.25 * middle.max() * bumps
    chosen = energies_ev or tuple(recipe.energies_ev or ())
    spectra = np.vstack([known.od, unknown])
    return Material("nvpf", known.phase_names, known.energies_ev, spectra, chosen)


def drawn_material(rng: np.random.Generator) -> Material:
    """The shipped phases, at their energies or others, in two of five draws; else own ones."""
    choice = rng.integers(5)
    if choice == 0:
        return shipped()
    if choice == 1:
        return _at_other_energies(rng)
    return own_material(rng)


def _at_other_energies(rng: np.random.Generator) -> Material:
    for _ in range(500):
        n = int(rng.integers(9, 21))
        inner = np.unique(np.round(np.linspace(512.5, 534, n) + rng.uniform(-0.4, 0.4, n), 1))
        material = shipped((507.0, *(float(e) for e in inner)))
        if _is_fair(material):
            return material
    raise RuntimeError("no energies that distinguish the shipped phases in 500 draws")


def own_material(rng: np.random.Generator) -> Material:
    """Three to six phases of a transition metal, of a carbon compound, or of an oxide."""
    kinds = (_metal, _carbon, _oxide)
    for _ in range(500):
        n_phases = int(rng.integers(3, 7))
        name, grid, spectra = kinds[rng.integers(len(kinds))](n_phases + 1, rng)
        last = int(rng.integers(n_phases + 1))  # any of the family may be the unknown one
        spectra = np.vstack([np.delete(spectra, last, axis=0), spectra[last]])
        energies = _chosen(grid, spectra, int(rng.integers(9, 25)), rng)
        names = tuple(f"{name}-{k + 1}" for k in range(n_phases))
        material = Material(name, names, grid, spectra, energies)
        if _is_fair(material):
            return material
    raise RuntimeError("no material whose phases can be distinguished in 500 draws")


def material_with_noticeable_unknown(rng: np.random.Generator) -> Material:
    """Own references of which the unknown phase is no mixture."""
    while (material := own_material(rng)).unknown_od < NOTICEABLE_OD:
        pass
    return material


def _is_fair(material: Material) -> bool:
    distance = 1 - np.atleast_2d(np.corrcoef(material.at(np.array(material.energies_ev))))
    among = distance[:-1, :-1][np.triu_indices(material.n_phases, 1)]
    unknown = distance[-1, :-1].min()
    is_family = NEAREST < among.min() < FARTHEST and among.max() < FAMILY
    return bool(is_family and UNKNOWN_FROM < unknown < UNKNOWN_TO)


def _metal(
    n: int, rng: np.random.Generator
) -> tuple[str, NDArray[np.float64], NDArray[np.float64]]:
    """L3 and L2 of a metal whose oxidation goes up from spectrum to spectrum."""
    name = list(METALS)[rng.integers(len(METALS))]
    l3, split = METALS[name]
    grid = np.arange(l3 - 14, l3 + split + 14, GRID_EV)
    spectra, place, step = [], 0.0, rng.uniform(0.2, 0.6)
    family = rng.normal(0, 0.8, 3)
    for _ in range(n):
        lines = [(a + rng.normal(0, 0.2), *rng.uniform((0.3, 0.35), (1.0, 0.8))) for a in family]
        ratio, od = rng.uniform(0.4, 0.7), 0.25 + 0 * grid
        for at, height, width in lines:
            od = od + height * _peak(grid, l3 + place + at, width)
            od = od + ratio * height * _peak(grid, l3 + place + split + 0.6 * at, 1.5 * width)
        od = od + 0.3 * _step(grid, l3 + place + 1, 0.5) + 0.15 * _step(grid, l3 + split + 1, 0.7)
        spectra.append(od)
        place += step * rng.uniform(0.6, 1.4)
    return name, grid, np.array(spectra)


def _carbon(
    n: int, rng: np.random.Generator
) -> tuple[str, NDArray[np.float64], NDArray[np.float64]]:
    """K edge of carbon: narrow lines below the edge, broad ones above."""
    grid = np.arange(272.0, 312.0, GRID_EV)
    spectra = []
    for _ in range(n):
        od = 0.12 + 0.8 * _step(grid, 290.4 + rng.normal(0, 0.3), 0.8)
        for _ in range(rng.integers(2, 5)):
            at = rng.choice([285.0, 285.6, 286.6, 287.4, 288.2, 288.6]) + rng.normal(0, 0.1)
            od = od + rng.uniform(0.2, 1.0) * _peak(grid, at, rng.uniform(0.25, 0.5))
        for centre in (293.0, 299.5):
            at, height = centre + rng.normal(0, 1), rng.uniform(0.2, 0.7)
            od = od + height * _peak(grid, at, rng.uniform(1.5, 3))
        spectra.append(od)
    mean = np.mean(spectra, axis=0)
    alike = rng.uniform(0.2, 0.6)  # a family: its members share much
    return "C", grid, mean + alike * (np.array(spectra) - mean)


def _oxide(
    n: int, rng: np.random.Generator
) -> tuple[str, NDArray[np.float64], NDArray[np.float64]]:
    """K edge of oxygen: two lines of the metal's states that trade places with composition."""
    grid = np.arange(516.0, 562.0, GRID_EV)
    low, high = 529.5 + rng.normal(0, 0.4), 532.0 + rng.normal(0, 0.4)
    spectra = []
    for x in np.linspace(0, 1, n) + rng.normal(0, 0.05, n):
        lines = 0.9 * (1 - 0.8 * x) * _peak(grid, low + 0.5 * x, 0.55)
        lines = lines + (0.3 + 0.5 * x) * _peak(grid, high - 0.3 * x, 0.7)
        broad = rng.uniform(0.5, 0.7) * _peak(grid, 540.5 + 2 * x, 3.0)
        spectra.append(0.2 + lines + broad + 0.5 * _step(grid, 534 + x, 1.2))
    return "O", grid, np.array(spectra)


def _chosen(
    grid: NDArray[np.float64], spectra: NDArray[np.float64], n: int, rng: np.random.Generator
) -> tuple[float, ...]:
    """So many energies: the ends, and the others denser where the phases differ."""
    inner = (grid > grid[0] + MARGIN_EV) & (grid < grid[-1] - MARGIN_EV)
    usable = grid[inner]
    weight = np.cumsum(spectra[:-1, inner].std(axis=0) + 0.03)
    levels = (np.arange(n) + rng.uniform(0.2, 0.8, n)) / n * weight[-1]
    found = np.interp(levels, weight, usable)
    spread = np.unique(np.round([usable[0], *found, usable[-1]], 1))
    apart = np.concatenate([[True], np.diff(spread) > 0.15])
    return tuple(float(e) for e in spread[apart])


def _peak(grid: NDArray[np.float64], centre_ev: float, sigma_ev: float) -> NDArray[np.float64]:
    return np.asarray(np.exp(-0.5 * ((grid - centre_ev) / sigma_ev) ** 2))


def _step(grid: NDArray[np.float64], edge_ev: float, width_ev: float) -> NDArray[np.float64]:
    return np.asarray(0.5 + np.arctan((grid - edge_ev) / width_ev) / np.pi)
