"""Worlds: a material, a specimen, faults and a number of photons, and the scan of all that."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.accuracy.composite.detector import binned, counted, drift
from benchmarks.accuracy.composite.faults import Faults, drawn_faults, references_of
from benchmarks.accuracy.composite.materials import Material, drawn_material
from benchmarks.accuracy.composite.scenes import Layout, drawn_layout, make_scene
from benchmarks.accuracy.composite.specimens import optical_density
from benchmarks.accuracy.composite.textures import FINE
from stxm_live import ReferenceSpectra

FEWEST_PHOTONS, MOST_PHOTONS = 300.0, 10_000.0

THINNEST = 0.02
"""Thickness over the largest below which a pixel has no true phase."""

LEAD = 0.02
"""By how much of a column the commonest phase must exceed the next, or there is no truth."""


@dataclass(frozen=True, eq=False)
class World:
    """All that a scan depends on. Worlds of one seed share scene, noise and binder's place.

    ``photons`` are the mean counts per pixel of the empty support; with ``repeated`` an energy
    of the scan's first half comes once more at its end.
    """

    material: Material
    layout: Layout
    faults: Faults = field(default_factory=Faults)
    photons: float = 1000.0
    seed: int = 0
    repeated: bool = False


@dataclass(frozen=True, eq=False)
class Scan:
    """What a user has, and what is true.

    Parameters
    ----------
    counts : ndarray of shape (n_energies, ny, nx)
    energies_ev : tuple of float
        Nominal ones.
    references : ReferenceSpectra
        As the recipe has them.
    amount : ndarray of shape (n_phases + 1, n_fine, n_fine)
        Thickness of each phase at the start of the scan; the unknown phase is the last.
    drift_px : ndarray of shape (n_energies, 2)
        By how much each image shows the specimen further down and to the right.
    """

    counts: NDArray[np.float64]
    energies_ev: tuple[float, ...]
    references: ReferenceSpectra
    amount: NDArray[np.float64]
    drift_px: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Truth:
    """Truth on the pixels of a map.

    Parameters
    ----------
    index : ndarray of shape (ny, nx), int8
        Phase that makes most of the column's thickness; that of the unknown phase is the number
        of phases; -1 where there is hardly anything, or no phase leads.
    share : ndarray of shape (n_phases + 1, ny, nx)
        Of the column's thickness; NaN where there is hardly anything.
    """

    index: NDArray[np.int8]
    share: NDArray[np.float64]

    @property
    def unknown(self) -> NDArray[np.bool_]:
        """Where the phase without a reference makes most of the column."""
        return np.asarray(self.index == len(self.share) - 1)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where a phase with a reference does."""
        return np.asarray((self.index >= 0) & ~self.unknown)


def drawn_world(seed: int, photons: float | None = None) -> World:
    """A random world; the same for the same seed."""
    material = drawn_material(stream(seed, "material"))
    faults = drawn_faults(stream(seed, "faults"))
    exponent = stream(seed, "photons").uniform(np.log(FEWEST_PHOTONS), np.log(MOST_PHOTONS))
    layout = drawn_layout(material.n_phases, stream(seed, "layout"))
    return World(material, layout, faults, photons or float(np.exp(exponent)), seed)


def scanned(world: World) -> Scan:
    """The scan of a world; the same for the same world."""
    material, faults, seed = world.material, world.faults, world.seed
    if world.repeated:
        material = _with_repeat(material)
    scene = make_scene(world.layout, stream(seed, "scene"))
    od = optical_density(material, scene, faults, world.layout.largest_od, stream(seed, "od"))
    moved = drift(len(material.energies_ev), faults, stream(seed, "drift"))
    return Scan(
        counts=counted(od, moved, world.photons, faults, stream(seed, "counts")),
        energies_ev=material.energies_ev,
        references=references_of(world.material, faults, stream(seed, "references")),
        amount=scene.amount,
        drift_px=moved,
    )


def truth_on(scan: Scan, shifts_px: NDArray[np.float64]) -> Truth:
    """The truth where the maps see it, of images that were moved by ``shifts_px`` (n, 2)."""
    moved = np.median(_left(scan, shifts_px), axis=0) * FINE
    amount = scan.amount
    if np.abs(moved).max() > 0.01:
        amount = np.array([ndimage.shift(a, moved, order=1, mode="nearest") for a in amount])
    pixels = binned(amount)
    total = pixels.sum(axis=0)
    share = np.where(total > THINNEST, pixels / np.maximum(total, 1e-12), np.nan)
    second, first = np.sort(np.nan_to_num(share), axis=0)[-2:]
    is_told = (total > THINNEST) & (first - second > LEAD)
    return Truth(np.where(is_told, pixels.argmax(axis=0), -1).astype(np.int8), share)


def misplaced(scan: Scan, shifts_px: NDArray[np.float64]) -> float:
    """Largest distance in pixels of an image from where most of them are."""
    left = _left(scan, shifts_px)
    return float(np.hypot(*(left - np.median(left, axis=0)).T).max())


def _left(scan: Scan, shifts_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the maps left of the drift; the image of a repeated energy comes last."""
    return np.asarray(scan.drift_px[: len(shifts_px)] + shifts_px)


_STREAMS = (
    "material",
    "layout",
    "faults",
    "photons",
    "scene",
    "od",
    "drift",
    "counts",
    "references",
)


def stream(seed: int, name: str) -> np.random.Generator:
    """Random numbers of one purpose, so that a change of one leaves the others."""
    return np.random.default_rng([20_260, seed, _STREAMS.index(name)])


def _with_repeat(material: Material) -> Material:
    energies = material.energies_ev
    return Material(
        material.name,
        material.phase_names,
        material.grid_ev,
        material.spectra,
        (*energies, energies[len(energies) // 3]),
    )
