"""What the light passes: optical densities of a specimen with its faults."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.composite.faults import Faults
from benchmarks.accuracy.composite.materials import Material
from benchmarks.accuracy.composite.scenes import Scene


def true_energies(energies_ev: NDArray[np.float64], faults: Faults) -> NDArray[np.float64]:
    """Energies at which the images were really taken."""
    n = len(energies_ev)
    true = energies_ev + faults.offset_ev + faults.walk_ev * np.linspace(0, 1, n)
    true[n // 2] += faults.slip_ev
    if faults.swapped:
        true[[n // 2, n // 2 + 1]] = true[[n // 2 + 1, n // 2]]
    return np.asarray(true)


def optical_density(
    material: Material, scene: Scene, faults: Faults, largest_od: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """OD of the specimen on the fine grid, (n_energies, n_fine, n_fine)."""
    energies = np.array(material.energies_ev)
    n = len(energies)
    time, place = np.linspace(0, 1, n), (energies - energies[0]) / np.ptp(energies)
    spectra = material.at(true_energies(energies, faults), faults.width_ev)
    spectra = spectra * largest_od / spectra[:-1].max()
    od = np.tensordot(_damaged(spectra.T, faults.damage * time), scene.amount, axes=1)
    lines = np.tensordot(spectra.T - spectra[:, 0], scene.amount, axes=1)
    period, start = rng.uniform(0.2, 0.6), rng.uniform(0, 2 * np.pi)
    turned = np.cos(rng.uniform(0, 2 * np.pi, int(scene.grain.max()) + 1))[scene.grain]
    wave = np.sin(2 * np.pi * place / period + start)
    od += faults.dichroism * turned * wave[:, None, None] * lines
    od *= (1 - faults.mass_loss * time)[:, None, None]
    common = faults.slope * place + faults.deposit_od * time
    common = common + faults.i0_error * rng.standard_normal(n)
    binder = faults.carbon_od * (1 + faults.carbon_slope * (0.5 - place))
    od += common[:, None, None] * scene.specimen
    return np.asarray(od + binder[:, None, None] * _patch(scene, faults.carbon_share))


def _damaged(of_phase: NDArray[np.float64], share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spectra (n_energies, n_phases + 1) of phases that become the one before them."""
    before = of_phase[:, [0, *range(of_phase.shape[1] - 1)]].copy()
    before[:, -1] = of_phase[:, -1]  # the unknown phase does not change
    return np.asarray((1 - share)[:, None] * of_phase + share[:, None] * before)


def _patch(scene: Scene, share: float) -> NDArray[np.float64]:
    """From 0 to 1, with soft borders, on a share of the specimen."""
    inside = scene.specimen
    level = np.quantile(scene.patch[inside], 1 - share)
    return np.asarray(np.clip((scene.patch - level) / 0.2 + 0.5, 0, 1) * inside)
