"""Drifting particles whose true shifts are known, and how well they can be known at all.

Synthetic. A particle is made on a grid four times finer than the image. Light of a spot with a
Gaussian profile goes through it and is added up over each pixel; the drift moves the spot, so that
nothing is interpolated and the truth carries no error of an image shift.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from stxm_live import Recipe
from stxm_live.sim.phantom import STATES_OF_CHARGE, make_particle, od_cube

FINER = 4
"""Points per pixel along each side at which the particle is given."""

SPOT_PX = 1.0
"""Full width at half maximum of the light."""

FIRST_SEED = 20
"""No method was tuned on particles of this seed or later ones."""

DRIFT_PX = 2.0
"""Standard deviation of the step from one image to the next, along y and along x."""


@dataclass(frozen=True, eq=False)
class Drifting:
    """The truth of one stack.

    Parameters
    ----------
    transmission : ndarray of shape (n_energies, ny, nx)
        Of the drifting particle.
    drift_px : ndarray of shape (n_energies, 2)
        (y, x).
    od : ndarray of shape (n_energies, ny, nx)
        -ln of the transmission without drift.
    seed : int
        Of the noise; together with the photon number it names the counts.
    """

    transmission: NDArray[np.float64]
    drift_px: NDArray[np.float64]
    od: NDArray[np.float64]
    seed: int

    def counts(self, photons: float) -> NDArray[np.float32]:
        """Poisson counts, float32, with so many photons in a pixel beside the particle."""
        rng = np.random.default_rng([self.seed, int(photons)])
        return rng.poisson(photons * self.transmission).astype(np.float32)


def drifting_particles(recipe: Recipe, side: int, n_seeds: int) -> Iterator[Drifting]:
    """Particles at five states of charge for each seed, on a random walk."""
    n = len(recipe.energies_ev or ())
    for seed in range(FIRST_SEED, FIRST_SEED + n_seeds):
        for state in range(len(STATES_OF_CHARGE)):
            drift = np.cumsum(np.random.default_rng([seed, state]).normal(0, DRIFT_PX, (n, 2)), 0)
            yield rendered(recipe, side, drift, seed=seed, state=state)


def rendered(
    recipe: Recipe, side: int, drift_px: NDArray[np.float64], *, seed: int, state: int = 2
) -> Drifting:
    """A particle of side x side pixels under the given drift (n_energies, 2)."""
    weights = list(STATES_OF_CHARGE.values())[state]
    rng = np.random.default_rng(seed)
    particle = make_particle((FINER * side, FINER * side), phase_weights=weights, rng=rng)
    od = od_cube(particle, recipe.reference_spectra, recipe.energies_ev or ())
    absorbed = -np.expm1(-od)
    moved = [1 - _seen(plane, shift) for plane, shift in zip(absorbed, drift_px, strict=True)]
    still = np.stack([1 - _seen(plane, (0.0, 0.0)) for plane in absorbed])
    return Drifting(np.stack(moved), drift_px, -np.log(still), seed * 10 + state)


def _seen(fine: NDArray[np.float64], shift_px: Sequence[float]) -> NDArray[np.float64]:
    """What the pixels see of a quantity that is zero outside the fine grid."""
    rows, columns = (_light(n, shift) for n, shift in zip(fine.shape, shift_px, strict=True))
    return np.asarray(rows @ fine @ columns.T)


def _light(n_fine: int, shift_px: float) -> NDArray[np.float64]:
    """Share of each pixel's light (n_pixels, n_fine) that goes through each point."""
    point = (np.arange(n_fine) + 0.5) / FINER + shift_px
    border = np.arange(n_fine // FINER + 1)[:, None]
    width = SPOT_PX / np.sqrt(8 * np.log(2))
    below = (1 + erf((border - point) / (np.sqrt(2) * width))) / 2
    return np.asarray(np.diff(below, axis=0) / FINER)


def cramer_rao_px(od: NDArray[np.float64], rank: int | None) -> float:
    """Least RMS distance by which unbiased shifts are off for one photon, common offset removed.

    It falls with the square root of the photons. With a ``rank`` the maps and the spectra of the
    images' leading components are unknown, and a constant of each image.
    """
    n = len(od)
    weights = np.exp(-od.reshape(n, -1))
    slopes = [np.gradient(od, axis=axis).reshape(n, -1) for axis in (1, 2)]
    if rank is None:
        unknowns = np.stack(slopes, axis=1)
        spectra = np.zeros((n, 0))
    else:
        u, s, v = np.linalg.svd(od.reshape(n, -1), full_matrices=False)
        spectra, maps = u[:, :rank], s[:rank, None] * v[:rank]
        further = np.concatenate([maps, np.ones((1, maps.shape[1]))])
        unknowns = np.concatenate(
            [np.stack(slopes, axis=1), np.broadcast_to(further, (n, *further.shape))], axis=1
        )
    information = _information(unknowns, weights, spectra)
    inverse = np.linalg.pinv(information, rcond=1e-9, hermitian=True)
    m = unknowns.shape[1]
    shift = (np.arange(n)[:, None] * m + np.arange(2)).ravel()
    common = np.eye(2 * n) - np.kron(np.full((n, n), 1 / n), np.eye(2))
    covariance = common @ inverse[np.ix_(shift, shift)] @ common
    return float(np.sqrt(np.trace(covariance) / n))


def _information(
    unknowns: NDArray[np.float64], weights: NDArray[np.float64], spectra: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fisher information of the unknowns (n, m, p) of each image, free maps eliminated."""
    n, m, _ = unknowns.shape
    information = np.zeros((n, m, n, m))
    free = np.einsum("kr,kp,ks->prs", spectra, weights, spectra, optimize=True)
    inverse = np.linalg.inv(free)
    for k in range(n):
        weighted = unknowns[k] * weights[k]
        information[k, :, k] += weighted @ unknowns[k].T
        for j in range(n if spectra.size else 0):
            shared = np.einsum("r,prs,s->p", spectra[k], inverse, spectra[j], optimize=True)
            information[k, :, j] -= (weighted * shared) @ (unknowns[j] * weights[j]).T
    return information.reshape(n * m, n * m)
