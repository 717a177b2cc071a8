"""A field of several battery particles with known truth: what an overview scan sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from stxm_live.sim.phantom import STATES_OF_CHARGE, Particle, make_particle

_SIZES = (0.24, 0.5)
"""Smallest and largest side of a particle's own field, relative to that of the landscape."""

_CHANGING = 0.5
"""Chance that a particle is in the middle of a change, with domains and lamellae."""

_RIM = 0.03
"""Share of another phase in a particle that has changed as a whole."""

_THIN = 0.2
"""The thinnest particle relative to one as `make_particle` makes it."""

_GAP_PX = 3
"""Empty support between two particles, at least."""

_ATTEMPTS = 60
"""Places that are tried."""


@dataclass(frozen=True, eq=False)
class Landscape:
    """Several particles on an empty support.

    Parameters
    ----------
    particle : Particle
        Thickness and fractions of the whole field.
    particle_index : ndarray of int, shape (ny, nx)
        Which particle a pixel is of, from 0 on; -1 for none.
    """

    particle: Particle
    particle_index: NDArray[np.int16]

    @property
    def n_particles(self) -> int:
        """How many there are."""
        return int(self.particle_index.max()) + 1


def make_landscape(
    shape: tuple[int, int],
    *,
    rng: np.random.Generator,
    n_particles: int = 6,
    changing: float = _CHANGING,
) -> Landscape:
    """Particles of different size, thickness and state of charge, none touching another.

    Some have changed as a whole, but for a rim; others are caught changing, with domains of
    several phases. That charge is so uneven from particle to particle is what is seen in
    battery electrodes; the numbers are an own choice.

    Parameters
    ----------
    shape : (int, int)
        (ny, nx), 96 pixels a side at least.
    rng : numpy.random.Generator
    n_particles : int
        Fewer if they do not fit; at least one.
    changing : float
        Chance of a particle to be changing.

    Raises
    ------
    ValueError
        If the field is too small.
    """
    if min(shape) < 96:
        raise ValueError(f"shape {shape} is too small for particles; 96 pixels a side at least")
    n_phases = len(STATES_OF_CHARGE)
    thickness = np.zeros(shape)
    fractions = np.zeros((n_phases, *shape))
    index = np.full(shape, -1, dtype=np.int16)
    found = 0
    for _ in range(_ATTEMPTS):
        if found == n_particles:
            break
        one = _particle(round(min(shape) * rng.uniform(*_SIZES)), changing, rng)
        place = _place(one, index >= 0, rng)
        if place is None:
            continue
        where = one.specimen
        thickness[place][where] = one.thickness_nm[where]
        fractions[:, *place][:, where] = one.fractions[:, where]
        index[place][where] = found
        found += 1
    return Landscape(Particle(thickness, fractions), index)


def _particle(side: int, changing: float, rng: np.random.Generator) -> Particle:
    """One particle in a field of its own, of its own thickness."""
    states = list(STATES_OF_CHARGE)
    state = int(rng.integers(len(states)))
    if rng.random() < changing:
        weights = STATES_OF_CHARGE[states[state]]
        one = make_particle((side, side), phase_weights=weights, rng=rng)
    else:
        one = _changed(make_particle((side, side), phase_weights=_rim(state), rng=rng), state)
    return Particle(one.thickness_nm * rng.uniform(_THIN, 1.0), one.fractions)


def _rim(state: int) -> list[float]:
    """Shares of one phase and a little of the next."""
    weights = [0.0] * len(STATES_OF_CHARGE)
    weights[state] = 1 - _RIM
    weights[state - 1 if state else 1] = _RIM
    return weights


def _changed(one: Particle, state: int) -> Particle:
    """Without the lamellae: all of one phase but for the rim, where there is another's domain."""
    rim = ndimage.distance_transform_edt(one.specimen) <= 2
    whole = np.zeros_like(one.fractions)
    whole[state] = one.specimen
    return Particle(one.thickness_nm, np.where(rim, one.fractions, whole))


def _place(
    one: Particle, taken: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[slice, slice] | None:
    """Rows and columns where a particle fits; None if the one that was tried is taken."""
    high, wide = one.specimen.shape
    top = int(rng.integers(taken.shape[0] - high + 1))
    left = int(rng.integers(taken.shape[1] - wide + 1))
    place = (slice(top, top + high), slice(left, left + wide))
    around = ndimage.binary_dilation(one.specimen, iterations=_GAP_PX)
    return None if np.any(around & taken[place]) else place
