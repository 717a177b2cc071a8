"""Simulated scans of known particles: a matched world, and worlds that no trainer saw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from benchmarks.accuracy.truth_table.particles import SHARES, Particle, make_particle, phase_shares
from stxm_live import ReferenceSpectra

LARGEST_OD = 2.6
"""Of the thickest part; the edges have 6 % of it."""


@dataclass(frozen=True)
class World:
    """What the scan has and the resolver is not told.

    Parameters
    ----------
    offset_ev, width_ev : float
        True energy minus nominal, and extra Gaussian broadening (standard deviation).
    slope : float
        OD added from the first to the last energy.
    fano : float
        Variance over mean of the photons; with ``gain`` counts per photon.
    blur_px : float
        Gaussian point spread of the transmitted light.
    leak : float
        Share of I0 that reaches the detector without passing the specimen.
    absent : bool
        Whether there is a phase that has no reference.
    told : bool
        Whether the resolver has the references as the monochromator shows them.
    """

    offset_ev: float = 0.0
    width_ev: float = 0.0
    slope: float = 0.0
    fano: float = 1.0
    gain: float = 1.0
    blur_px: float = 0.0
    leak: float = 0.0
    absent: bool = False
    told: bool = False


WORLDS = {
    "matched": World(),
    "offset": World(offset_ev=0.1),
    "width": World(width_ev=0.2),
    "offset-told": World(offset_ev=0.1, told=True),
    "width-told": World(width_ev=0.2, told=True),
    "slope": World(slope=0.05),
    "fano": World(fano=2.0, gain=3.0),
    "blur": World(blur_px=0.7),
    "leak": World(leak=0.04),
    "absent": World(absent=True),
}


@dataclass(frozen=True, eq=False)
class Scan:
    """What a resolver sees, and the truth it does not.

    Parameters
    ----------
    od, photons : ndarray of shape (n_energies, n_spectra), float32
    mask : ndarray of shape (ny, nx)
        Where the spectra are from, in row-major order.
    references : ndarray of shape (n_phases, n_energies)
    particle : Particle
    absent : ndarray of shape (n_spectra,)
        Mostly the phase without a reference.
    """

    od: NDArray[np.float32]
    photons: NDArray[np.float32]
    mask: NDArray[np.bool_]
    references: NDArray[np.float64]
    particle: Particle
    absent: NDArray[np.bool_]

    @property
    def truth(self) -> NDArray[np.int8]:
        """Commonest phase of every spectrum."""
        return self.particle.phase_index[self.mask]

    @property
    def lamella_px(self) -> NDArray[np.int8]:
        """Width of the lamella of every spectrum, 0 for none."""
        return self.particle.lamella_px[self.mask]


def make_scan(
    references: ReferenceSpectra,
    energies_ev: tuple[float, ...],
    world: World,
    *,
    state: str,
    photons: float,
    seed: int,
    side: int,
) -> Scan:
    """One scan, without drift."""
    number = list(SHARES).index(state)
    rng = np.random.default_rng([seed, number, 2026])
    shares = phase_shares(state, references.n_phases)
    particle = make_particle(side, shares, rng)
    seen = distorted(references, energies_ev, world)
    nominal = seen if world.told else references.at(energies_ev)
    fractions, absent = particle.fractions, np.zeros(particle.thickness.shape, dtype=bool)
    if world.absent:
        fractions, absent = _with_absent(fractions, particle.thickness > 0, rng)
        seen = np.vstack([seen, absent_phase(references, energies_ev)])
    scale = LARGEST_OD / seen.max()
    od = scale * np.tensordot(seen.T, fractions * particle.thickness, axes=1)
    energies = np.array(energies_ev)
    ramp = world.slope * (energies - energies[0]) / np.ptp(energies)
    od = od + ramp[:, None, None] * (particle.thickness > 0)
    i0 = photons * (1 + 0.1 * np.tanh((energies - 520) / 20))
    light = (np.exp(-od) + world.leak) / (1 + world.leak)
    if world.blur_px:
        light = gaussian_filter(light, (0, world.blur_px, world.blur_px))
    counts = world.gain * _counted(light * i0[:, None, None], world.fano, rng)
    measured_i0 = world.gain * i0 * (1 + rng.normal(0, 1 / np.sqrt(i0 * 4000)))
    mask = (particle.thickness > 0) & (counts > 0).all(axis=0)
    measured = np.log(measured_i0[:, None] / counts[:, mask])
    return Scan(
        od=measured.astype(np.float32),
        photons=counts[:, mask].astype(np.float32),
        mask=mask,
        references=nominal,
        particle=particle,
        absent=absent[mask],
    )


def distorted(
    references: ReferenceSpectra, energies_ev: tuple[float, ...], world: World
) -> NDArray[np.float64]:
    """The references as the world's monochromator sees them, (n_phases, n_energies)."""
    grid = np.linspace(-4, 4, 33) * world.width_ev if world.width_ev else np.zeros(1)
    weight = np.exp(-0.5 * (grid / world.width_ev) ** 2) if world.width_ev else np.ones(1)
    at = np.array(energies_ev)[:, None] + world.offset_ev + grid
    table = references.at(at.ravel()).reshape(references.n_phases, *at.shape)
    return np.asarray(table @ (weight / weight.sum()))


def absent_phase(
    references: ReferenceSpectra, energies_ev: tuple[float, ...]
) -> NDArray[np.float64]:
    """The middle phase with its edges 0.8 eV lower and a third less pronounced."""
    moved = references.at(np.array(energies_ev) + 0.8)[references.n_phases // 2]
    return np.asarray(moved.mean() + 0.67 * (moved - moved.mean()))


def _with_absent(
    fractions: NDArray[np.float64], specimen: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """A round domain of an (n + 1)th phase, about a tenth of the specimen."""
    centre = np.argwhere(specimen)[rng.integers(specimen.sum())]
    y, x = np.indices(specimen.shape)
    distance = np.hypot(y - centre[0], x - centre[1])
    radius = np.quantile(distance[specimen], 0.1)
    inside = specimen & (distance < radius)
    return np.concatenate([np.where(inside, 0.0, fractions), inside[None] * 1.0]), inside


def _counted(
    mean: NDArray[np.float64], fano: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Photons with a variance of ``fano`` times their mean."""
    if fano > 1:
        return np.asarray(rng.negative_binomial(mean / (fano - 1), 1 / fano), dtype=np.float64)
    return np.asarray(rng.poisson(mean), dtype=np.float64)
