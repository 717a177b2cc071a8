"""Fields of view in which the incident intensity is hard to find, with their truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from stxm_live.core.references import ReferenceSpectra
from stxm_live.sim.phantom import STATES_OF_CHARGE, Particle, make_particle, od_cube

_Make = Callable[["FieldOfView", np.random.Generator], "FieldOfView"]


@dataclass(frozen=True, eq=False)
class FieldOfView:
    """What an ideal detector would count, and what is true of it.

    Parameters
    ----------
    transmission : ndarray of shape (n_energies, ny, nx)
        Light behind the specimen for one photon before it.
    specimen : ndarray of bool, shape (ny, nx)
    support : ndarray of shape (ny, nx)
        Light behind the empty support; 1 without a film.
    faults : ndarray of shape (ny, nx)
        Factor on the counts: 0 where the detector was dead, many where it is hot, 1.1 in a
        bright fringe.
    """

    transmission: NDArray[np.float64]
    specimen: NDArray[np.bool_]
    support: NDArray[np.float64]
    faults: NDArray[np.float64]

    def counts(
        self, i0: NDArray[np.float64], rng: np.random.Generator, *, gain: float = 1.0
    ) -> NDArray[np.float32]:
        """Counts of variance ``gain`` times their mean for an incident beam (n_energies,)."""
        light = self.transmission * self.support * self.faults
        photons = rng.poisson(light * i0[:, None, None] / gain)
        return np.asarray(photons * gain, dtype=np.float32)

    @property
    def level(self) -> float:
        """Mean light behind the empty support: what I0 is in units of the beam; NaN without any."""
        return float(self.support[~self.specimen].mean()) if not self.specimen.all() else np.nan


def field_of_view(
    case: str,
    references: ReferenceSpectra,
    energies_ev: Sequence[float],
    *,
    side: int,
    rng: np.random.Generator,
) -> FieldOfView:
    """One of the `CASES`, side x side pixels."""
    window, change = CASES[case]
    weights = STATES_OF_CHARGE["Na2VPF"]
    size, top, left = (round(share * side) for share in window)
    whole = make_particle((size, size), phase_weights=weights, rng=rng)
    part = (slice(top, top + side), slice(left, left + side))
    particle = Particle(whole.thickness_nm[part], whole.fractions[(slice(None), *part)])
    od = od_cube(particle, references, energies_ev)
    ones = np.ones((side, side))
    field = FieldOfView(np.exp(-od), particle.specimen, ones, ones)
    return change(field, rng)


def _unchanged(field: FieldOfView, rng: np.random.Generator) -> FieldOfView:
    return field


def _cleared(field: FieldOfView, where: NDArray[np.bool_]) -> FieldOfView:
    """Nothing but support where asked."""
    transmission = np.where(where, 1.0, field.transmission)
    return replace(field, transmission=transmission, specimen=field.specimen & ~where)


def _filled(field: FieldOfView, rng: np.random.Generator) -> FieldOfView:
    """No pore is left: what is empty becomes like the specimen next to it."""
    rows, columns = ndimage.distance_transform_edt(
        ~field.specimen, return_distances=False, return_indices=True
    )
    everywhere = np.ones_like(field.specimen)
    return replace(field, transmission=field.transmission[:, rows, columns], specimen=everywhere)


def _corner(field: FieldOfView, rng: np.random.Generator) -> FieldOfView:
    """One per cent of the field is empty."""
    field = _filled(field, rng)
    where = np.zeros_like(field.specimen)
    edge = round(0.1 * len(where))
    where[:edge, -edge:] = True
    return _cleared(field, where)


def _holes(field: FieldOfView, rng: np.random.Generator) -> FieldOfView:
    """Three round holes through the particle, an eighth of the field wide at most."""
    side = len(field.specimen)
    y, x = np.indices(field.specimen.shape) / side
    centres = ((0.45, 0.42, 0.06), (0.55, 0.6, 0.04), (0.38, 0.6, 0.03))
    holes = [np.hypot(y - cy, x - cx) < radius for cy, cx, radius in centres]
    return _cleared(field, np.logical_or.reduce(holes))


def _two(field: FieldOfView, rng: np.random.Generator) -> FieldOfView:
    """A lane of support cuts the particle in two."""
    side = len(field.specimen)
    y, x = np.indices(field.specimen.shape) / side
    return _cleared(field, np.abs(x - 0.55 + 0.3 * (y - 0.5)) < 0.05)


def _film(field: FieldOfView, rng: np.random.Generator) -> FieldOfView:
    return replace(field, support=np.full_like(field.support, np.exp(-0.15)))


def _slope(field: FieldOfView, rng: np.random.Generator) -> FieldOfView:
    """The film's OD rises by 0.12 from one corner to the other."""
    along = np.add.outer(*2 * [np.linspace(0, 0.5, len(field.support))])
    return replace(field, support=np.exp(-0.08 - 0.12 * along))


def _fringes(field: FieldOfView, rng: np.random.Generator) -> FieldOfView:
    """Two pixels around the particle are brighter by 12 per cent, the next two by 5."""
    from_edge = ndimage.distance_transform_edt(~field.specimen)
    fringe = np.select([from_edge == 0, from_edge <= 2.3, from_edge <= 4.3], [1, 1.12, 1.05], 1.0)
    return replace(field, faults=fringe)


def _dead_and_hot(field: FieldOfView, rng: np.random.Generator) -> FieldOfView:
    """A dead row, a dead column, and one pixel in 500 five times too bright."""
    faults = np.where(rng.random(field.support.shape) < 0.002, 5.0, 1.0)
    faults[len(faults) // 3] = faults[:, len(faults) // 4] = 0.0
    return replace(field, faults=faults)


def _thin(field: FieldOfView, rng: np.random.Generator) -> FieldOfView:
    """A flake of one thickness whose mean OD is 0.1."""
    od = -np.log(field.transmission)
    per_pixel = np.where(field.specimen, od.mean(axis=0), 1.0)
    return replace(field, transmission=np.exp(-0.1 * od / per_pixel))


def _above_the_edge(field: FieldOfView, rng: np.random.Generator) -> FieldOfView:
    """A thin particle that does not absorb before the edge (the first image)."""
    od = -np.log(field.transmission)
    return replace(field, transmission=np.exp(-0.25 * (od - od[:1])))


CASES: dict[str, tuple[tuple[float, float, float], _Make]] = {
    "whole particle": ((1.0, 0, 0), _unchanged),
    "touches one side": ((1.3, 0.3, 0.15), _unchanged),
    "touches two sides": ((1.5, 0.4, 0.4), _unchanged),
    "touches three sides": ((1.6, 0.3, 0.55), _unchanged),
    "corner of 1 % empty": ((3.0, 0.9, 0.9), _corner),
    "film": ((1.0, 0, 0), _film),
    "film of uneven thickness": ((1.0, 0, 0), _slope),
    "bright fringes": ((1.0, 0, 0), _fringes),
    "dead row and column, hot pixels": ((1.0, 0, 0), _dead_and_hot),
    "holes": ((1.0, 0, 0), _holes),
    "two particles": ((1.0, 0, 0), _two),
    "thin, OD 0.1": ((1.0, 0, 0), _thin),
    "seen above the edge only": ((1.0, 0, 0), _above_the_edge),
    "fills the field": ((3.0, 0.9, 0.9), _filled),
}
"""Window (size of the particle's own field, top, left; in units of the side) and change."""
