"""The spectra of the specimen that are explored, with gaps filled and their noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.od_uncertainty import smoothing
from stxm_live.core.references import listed_ev
from stxm_live.core.stack import StackKey
from stxm_live.preprocessing.gaps import filled_for_specimen
from stxm_live.preprocessing.noise import normal_std
from stxm_live.preprocessing.normalization import ODStack

if TYPE_CHECKING:
    from sklearn.decomposition import PCA

_ROUNDS, _RANK = 20, 4
"""Rounds of filling the gaps from the components of all spectra, and their largest number."""


@dataclass(frozen=True, eq=False)
class ExploredSpectra:
    """Spectra of the specimen of one stack.

    Parameters
    ----------
    key : StackKey
    extent_um : tuple of float
        First and last pixel centre in x, then in y.
    energies_ev : ndarray of shape (n_energies,)
        Ascending.
    pixels : ndarray of bool, shape (ny, nx)
        Specimen with two energies or more.
    od : ndarray of shape (n_pixels, n_energies)
        Optical density; values that were not measured follow from those of the same pixel.
    measured : ndarray of bool, shape (n_pixels, n_energies)
    noise_std : ndarray of shape (n_pixels, n_energies)
        Standard deviation of the noise, as alignment smooths it.
    raw_noise_std : ndarray of shape (n_pixels, n_energies)
        The same before images were moved.
    i0_std : ndarray of shape (n_energies,)
        Error in OD that all pixels of an image share, that of I0.
    notes : tuple of str
    """

    key: StackKey
    extent_um: tuple[float, float, float, float]
    energies_ev: NDArray[np.float64]
    pixels: NDArray[np.bool_]
    od: NDArray[np.float64]
    measured: NDArray[np.bool_]
    noise_std: NDArray[np.float64]
    raw_noise_std: NDArray[np.float64]
    i0_std: NDArray[np.float64]
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, stack: ODStack) -> ExploredSpectra:
        """Return the spectra of the specimen.

        Raises
        ------
        ValueError
            If there is no specimen, or fewer than two energies.
        """
        if len(stack.energies_ev) < 2:
            raise ValueError(
                f"{stack.key}: there is nothing to explore, because the scan has one usable image, "
                f"at {stack.energies_ev[0]:g} eV; record at least two energies"
            )
        if not stack.mapped.any():
            raise ValueError(
                f"{stack.key}: no specimen in the field, so there is nothing to explore; give a "
                "mask of the specimen if you see one"
            )
        measured = np.isfinite(stack.spectra).T
        od, notes = _without_gaps(stack, measured), list(stack.notes)
        if not measured.all():
            notes.append(
                f"{100 * (1 - measured.mean()):.1f} % of the values were not measured and were "
                "estimated from the other energies of the same pixels"
            )
        if stack.missing_ev:
            n_announced = len(stack.energies_ev) + len(stack.missing_ev)
            notes.append(
                f"{len(stack.missing_ev)} of {n_announced} announced energies are missing: "
                f"{listed_ev(stack.missing_ev)} eV"
            )
        if stack.dispersion is None:
            notes.append(
                "nothing empty shows the noise; it was estimated from differences of neighbors"
            )
        return cls(
            key=stack.key,
            extent_um=stack.extent_um,
            energies_ev=np.array(stack.energies_ev, dtype=np.float64),
            pixels=stack.mapped,
            od=od,
            measured=measured,
            noise_std=_noise_std(stack, smoothing(stack.shifts_px)),
            raw_noise_std=_noise_std(stack, np.ones(len(stack.energies_ev))),
            i0_std=stack.i0_std / stack.i0,
            notes=tuple(notes),
        )

    @property
    def n_pixels(self) -> int:
        """Return the number of spectra."""
        return len(self.od)

    def image(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return one value per spectrum as an image (ny, nx), NaN beside the specimen."""
        image = np.full(self.pixels.shape, np.nan)
        image[self.pixels] = values
        return image

    @property
    def cube(self) -> NDArray[np.float64]:
        """Return the optical density as (n_energies, ny, nx), NaN beside the specimen."""
        cube = np.full((len(self.energies_ev), *self.pixels.shape), np.nan)
        cube[:, self.pixels] = self.od.T
        return cube


def _without_gaps(stack: ODStack, measured: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the spectra (n_pixels, n_energies), with gaps filled by the components of all."""
    if measured.all():
        return stack.spectra.T.astype(np.float64)
    from sklearn.decomposition import PCA

    od = filled_for_specimen(stack.od, stack.shifts_px)[:, stack.mapped].T.astype(np.float64)
    some = np.flatnonzero(~measured.all(axis=1))
    rank = min(_RANK, od.shape[1] // 2, len(od) - 1)
    for _ in range(_ROUNDS if rank else 0):
        pca = PCA(rank, svd_solver="full").fit(od)
        expected = _expected(od[some], measured[some], pca)
        od[some] = np.where(measured[some], od[some], expected)
    return od


def _expected(
    od: NDArray[np.float64], measured: NDArray[np.bool_], pca: PCA
) -> NDArray[np.float64]:
    """Return the spectra (n, n_energies) as their measured values and the components have it.

    The scores are those of probabilistic PCA, so that what was not measured does not run away.
    """
    components, weights = pca.components_, measured.astype(np.float64)
    away = np.where(measured, od - pca.mean_, 0.0)
    squares = np.einsum("pe,ae,be->pab", weights, components, components, optimize=True)
    variance = np.maximum(pca.explained_variance_, np.finfo(np.float64).tiny)
    squares += np.diag(max(pca.noise_variance_, 1e-9) / variance)
    scores = np.linalg.solve(squares, (away @ components.T)[..., None])[..., 0]
    return np.asarray(pca.mean_ + scores @ components)


def _noise_std(stack: ODStack, smoothed: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the noise of the spectra (n_pixels, n_energies), from the support if there is any."""
    if stack.dispersion is not None:
        counts = stack.intensity[:, stack.mapped].T.astype(np.float64)
        return np.sqrt(stack.dispersion * smoothed / np.where(np.isfinite(counts), counts, np.inf))
    od = np.where(stack.mapped, stack.od, np.nan)
    difference = np.diff(od, axis=2).reshape(len(od), -1) / np.sqrt(2)
    std = np.array([normal_std(row[np.isfinite(row)]) for row in difference])
    return np.tile(np.nan_to_num(std), (int(stack.mapped.sum()), 1))
