"""Expected wrong labels for a list of energies: in closed form, and by simulated spectra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.references import ReferenceSpectra
from stxm_live.phase_mapping.likelihood import fit_references
from stxm_live.phase_mapping.weighted_products import Baseline

THICKNESSES = (0.4, 0.7, 1.0, 1.3, 1.6)
"""Thicknesses that are averaged over, relative to the typical one."""

CONTRASTS = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Difference of the shares of true phase and rival in a pixel; 1 is a pure pixel."""

_SLOPE_STEP_EV = 0.05

_SPECTRA = 400
"""Simulated spectra for each phase, thickness and offset of `expect`."""

_OFFSETS = (-1.2816, -0.5244, 0.0, 0.5244, 1.2816)
"""Quantiles 0.1, 0.3 ... 0.9 of a normal distribution, which represent the axis error."""


@dataclass(frozen=True)
class Conditions:
    """Conditions for which energies are chosen.

    Parameters
    ----------
    photons : float
        Photons detected per pixel and energy beside the specimen.
    od : float
        Optical density of a typical pixel where the mean of the references is largest.
    axis_error_ev : float
        Standard deviation of an unknown, uncorrected offset of the energy axis; it makes energies
        where the references are steep less useful.
    baseline : bool
        True if each spectrum has an unknown constant beside its unknown thickness, as for
        Pearson's coefficient or an I0 that does not come from the same image.
    """

    photons: float
    od: float = 1.0
    axis_error_ev: float = 0.1
    baseline: bool = True

    def __post_init__(self) -> None:
        for name, value in (("photons", self.photons), ("od", self.od)):
            if not 0 < value < np.inf:
                raise ValueError(f"{name} = {value:g}: expected a number above 0")
        if not 0 <= self.axis_error_ev < np.inf:
            raise ValueError(f"axis_error_ev = {self.axis_error_ev:g}: expected 0 or more eV")


class Expected(NamedTuple):
    """Result expected from a list of energies, by simulated spectra.

    ``accuracy`` is the share of right labels of pixels of one phase, with equal weight for every
    phase and thickness. ``mixed_accuracy`` is that of pixels of two phases in any proportion, where
    the larger share is the right label. ``confusion`` of shape (n_phases, n_phases) is the share of
    each pure phase (row) that is taken for each phase (column).
    """

    accuracy: float
    mixed_accuracy: float
    confusion: NDArray[np.float64]

    def worst_pair(self) -> tuple[int, int, float]:
        """Return the two phases most often confused with each other, and how often on average."""
        mutual = (self.confusion + self.confusion.T) / 2
        mutual[np.tril_indices(len(mutual))] = -1.0
        first, second = np.unravel_index(int(mutual.argmax()), mutual.shape)
        return int(first), int(second), float(mutual[first, second])


def expect(
    references: ReferenceSpectra,
    energies_ev: Sequence[float],
    conditions: Conditions,
    rng: np.random.Generator,
) -> Expected:
    """Simulate pixels and label them by counting statistics.

    Parameters
    ----------
    references : ReferenceSpectra
    energies_ev : sequence of float
    conditions : Conditions
    rng : numpy.random.Generator

    Returns
    -------
    Expected
        All phases are assumed to be equally frequent; a real map is better, because it uses
        neighboring pixels and the scan's own frequencies.
    """
    n_phases = references.n_phases
    shape = (len(THICKNESSES), n_phases, _SPECTRA)
    truth = np.broadcast_to(np.arange(n_phases)[:, None], shape).ravel()
    amounts = np.broadcast_to(amounts_of(references, conditions)[:, None, None], shape).ravel()
    pure = np.eye(n_phases)[truth]
    rivals = (truth + rng.integers(1, n_phases, truth.size)) % n_phases
    contrast = rng.uniform(0, 1, (truth.size, 1))
    mixed = (1 + contrast) / 2 * pure + (1 - contrast) / 2 * np.eye(n_phases)[rivals]
    labeled = [
        _labels(pixels, references, energies_ev, conditions, rng)
        for pixels in (pure * amounts[:, None], mixed * amounts[:, None])
    ]
    confusion = np.zeros((n_phases, n_phases))
    for labels in labeled[0]:
        np.add.at(confusion, (truth, labels), 1 / len(labeled[0]))
    confusion /= confusion.sum(axis=1, keepdims=True)
    mixed_accuracy = float(np.mean([labels == truth for labels in labeled[1]]))
    return Expected(float(np.diag(confusion).mean()), mixed_accuracy, confusion)


def _labels(
    pixels: NDArray[np.float64],
    references: ReferenceSpectra,
    energies_ev: Sequence[float],
    conditions: Conditions,
    rng: np.random.Generator,
) -> list[NDArray[np.intp]]:
    """Return labels of pixels (n_pixels, n_phases), amounts of each phase, for each axis offset."""
    low, high = references.energies_ev[[0, -1]]
    offsets = np.multiply(conditions.axis_error_ev, _OFFSETS if conditions.axis_error_ev else (0,))
    labels = []
    for offset in offsets:
        seen = references.at(np.clip(np.add(energies_ev, offset), low, high))
        # a pixel without a count has no OD; one count is the nearest to it
        photons = np.maximum(rng.poisson(conditions.photons * np.exp(-(pixels @ seen))), 1).T
        fit = fit_references(
            np.log(conditions.photons / photons),
            photons,
            references.at(energies_ev),
            baseline=Baseline.constant(len(energies_ev)) if conditions.baseline else None,
        )
        labels.append(fit.log_likelihood.argmax(axis=0))
    return labels


def amounts_of(references: ReferenceSpectra, conditions: Conditions) -> NDArray[np.float64]:
    """Return factors on the references for each of `THICKNESSES`."""
    largest = float(references.od.mean(axis=0).max())
    if largest <= 0:
        raise ValueError(
            "the mean of the references is nowhere positive, so the thickness of a pixel does "
            "not follow from its OD; give optical densities"
        )
    return np.array(THICKNESSES) * conditions.od / largest


def energy_terms(
    references: ReferenceSpectra,
    energies_ev: NDArray[np.float64],
    amounts: NDArray[np.float64],
    photons: float,
) -> NDArray[np.float64]:
    """Return the terms that each energy adds to the error.

    The shape is (n_energies, n_phases, n_thicknesses, 4 n_phases + 2). In this order, each times
    the photons w behind phase i: w, slope of i, every r_j, every r_j^2, every r_i r_j, and r_j
    times the slope of i.
    """
    low, high = references.energies_ev[[0, -1]]
    below = np.maximum(energies_ev - _SLOPE_STEP_EV, low)
    above = np.minimum(energies_ev + _SLOPE_STEP_EV, high)
    r = references.at(energies_ev).T  # (n_energies, n_phases)
    slope = ((references.at(above) - references.at(below)) / (above - below)).T
    each = np.broadcast_to(r[:, None, :], (*r.shape, r.shape[1]))
    columns = np.concatenate(
        [
            np.ones((*r.shape, 1)),
            slope[:, :, None],
            each,
            each**2,
            r[:, :, None] * each,
            slope[:, :, None] * each,
        ],
        axis=2,
    )
    weight = photons * np.exp(-np.multiply.outer(r, amounts))
    return np.asarray(weight[..., None] * columns[:, :, None, :])


def confusion_error(
    sums: NDArray[np.float64], amounts: NDArray[np.float64], conditions: Conditions
) -> NDArray[np.float64]:
    """Return the probability that a rival fits better, summed over rivals and averaged.

    Parameters
    ----------
    sums : ndarray of shape (..., n_phases, n_thicknesses, 4 n_phases + 2)
        `energy_terms` summed over the energies.
    amounts : ndarray of shape (n_thicknesses,)
    conditions : Conditions

    Returns
    -------
    ndarray of shape (...)

    Notes
    -----
    For phases that are equally likely and close to each other, without an axis error, this is
    `stxm_live.adaptive.mistaken_phases.mistaken`: signal over spread is d/2 except for a factor
    sqrt(1 - gap/2). That function has no axis error.
    """
    from scipy.special import ndtr

    n = sums.shape[-3]
    w, slope, mean, square, product, steep = np.split(
        sums, [1, 2, 2 + n, 2 + 2 * n, 2 + 3 * n], axis=-1
    )
    if conditions.baseline:  # take the weighted means away
        w = np.where(w > 0, w, 1.0)
        square = square - mean**2 / w
        product = product - mean * _of_own_phase(mean) / w
        steep = steep - mean * slope / w
    # a phase that is flat on these energies has no variance but for rounding
    length = np.sqrt(np.where(square > 1e-12 * w, square, np.inf))
    own_length = _of_own_phase(length)
    gap = np.maximum(1 - product / (own_length * length), 0.0)  # 1 - cos of the angle
    signal = np.where(np.isfinite(own_length), amounts[:, None] * own_length * gap, 0.0)
    drift = amounts[:, None] * (_of_own_phase(steep) / own_length - steep / length)
    spread = np.hypot(np.sqrt(2 * gap), conditions.axis_error_ev * drift)
    z = -signal / np.maximum(spread, np.finfo(np.float64).tiny)
    wrong = np.mean([ndtr(contrast * z) for contrast in CONTRASTS], axis=0)
    rivals = ~np.eye(n, dtype=bool)[:, None, :]
    return np.asarray((wrong * rivals).sum(axis=-1).mean(axis=(-1, -2)))


def _of_own_phase(terms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return from terms (..., n_phases, n_thicknesses, n_phases) those of i with i."""
    return np.asarray(np.einsum("...iqi->...iq", terms)[..., None])
