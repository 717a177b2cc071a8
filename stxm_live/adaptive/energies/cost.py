"""Expected wrong labels for a list of energies: in closed form, and by simulated spectra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.products import product
from stxm_live.core.references import ReferenceSpectra
from stxm_live.phase_mapping.baseline_widths import USUAL_STD
from stxm_live.phase_mapping.likelihood import fit_references
from stxm_live.phase_mapping.mixed_references import expected_baseline
from stxm_live.phase_mapping.weighted_products import Baseline, Raw

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
    baseline : {"auto", "none", "constant", "slope"}
        What each spectrum has beside its unknown thickness, as the recipe's ``resolver.baseline``:
        "auto" is a constant and a slope of the usual sizes, "constant" and "slope" of any size.
    """

    photons: float
    od: float = 1.0
    axis_error_ev: float = 0.1
    baseline: str = "auto"

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
    baseline = background(energies_ev, conditions)
    # a coefficient of any size changes no label
    sizes = rng.standard_normal((len(baseline.shapes), len(pixels)))
    sizes *= np.array([std or 0.0 for std in baseline.std])[:, None]
    beside = product(sizes.T, baseline.shapes)
    labels = []
    for offset in offsets:
        seen = references.at(np.clip(np.add(energies_ev, offset), low, high))
        light = np.exp(-product(pixels, seen) - beside)
        # a pixel without a count has no OD; one count is the nearest to it
        photons = np.maximum(rng.poisson(conditions.photons * light), 1).T
        fit = fit_references(
            np.log(conditions.photons / photons),
            photons,
            references.at(energies_ev),
            baseline=baseline,
            gain=1.0,
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
    """Return the products of references that each energy adds to those of the likelihood.

    Parameters
    ----------
    references : ReferenceSpectra
    energies_ev : ndarray of shape (n_energies,)
    amounts : ndarray of shape (n_thicknesses,)
    photons : float

    Returns
    -------
    ndarray of shape (n_energies, n_rows, n_phases * n_thicknesses)
        `stxm_live.phase_mapping.weighted_products.Raw` of one energy each, in one array: columns
        are weighted by the photons behind a pixel of each phase and thickness, and the spectrum is
        the slope of that phase, which an error of the axis adds.
    """
    low, high = references.energies_ev[[0, -1]]
    below = np.maximum(energies_ev - _SLOPE_STEP_EV, low)
    above = np.minimum(energies_ev + _SLOPE_STEP_EV, high)
    r = references.at(energies_ev)
    slope = (references.at(above) - references.at(below)) / (above - below)
    weight = photons * np.exp(-r.T[:, :, None] * amounts)
    beside, rows = Baseline.slope(energies_ev), []
    for k, w in enumerate(weight):
        one = slice(k, k + 1)
        steep = np.repeat(slope[:, one].T, len(amounts), axis=1)
        raw = Raw.of(steep, w.reshape(1, -1), r[:, one], beside.at(one))
        rows.append(np.concatenate([part.reshape(-1, w.size) for part in raw]))
    return np.array(rows)


def confusion_error(
    sums: NDArray[np.float64],
    amounts: NDArray[np.float64],
    conditions: Conditions,
) -> NDArray[np.float64]:
    """Return the probability that a rival fits better, summed over rivals and averaged.

    Parameters
    ----------
    sums : ndarray of shape (n_sets, n_rows, n_phases * n_thicknesses)
        `energy_terms` summed over the energies of each set.
    amounts : ndarray of shape (n_thicknesses,)
    conditions : Conditions

    Returns
    -------
    ndarray of shape (n_sets,)

    Notes
    -----
    For phases that are equally likely and close to each other, without an axis error, this is
    `stxm_live.adaptive.mistaken_phases.mistaken`: signal over spread is d/2 except for a factor
    sqrt(1 - gap/2). That function has no axis error.
    """
    from scipy.special import ndtr

    n_sets, _, n_columns = sums.shape
    n = n_columns // len(amounts)
    raw = _raw(np.moveaxis(sums, 1, 0).reshape(sums.shape[1], -1), n)
    found = raw.less_baseline(_precision(conditions))
    every = np.arange(n_sets * n_columns)
    own = np.tile(np.repeat(np.arange(n), len(amounts)), n_sets)
    thickness = np.tile(amounts, n_sets * n)
    gram = found.gram()
    square = np.einsum("kkn->kn", gram)
    # a phase that is flat on these energies has no variance but for rounding
    length = np.sqrt(np.where(square > 2 * Raw.rounding(raw.weight), square, np.inf))
    own_length = length[own, every]
    gap = np.maximum(1 - gram[own, :, every].T / (own_length * length), 0.0)  # 1 - cos of the angle
    signal = np.where(np.isfinite(own_length), thickness * own_length * gap, 0.0)
    drift = thickness * (found.along[own, every] / own_length - found.along / length)
    spread = np.hypot(np.sqrt(2 * gap), conditions.axis_error_ev * drift)
    z = -signal / np.maximum(spread, np.finfo(np.float64).tiny)
    wrong = np.mean([ndtr(contrast * z) for contrast in CONTRASTS], axis=0)
    wrong[own, every] = 0.0
    return np.asarray(wrong.sum(axis=0).reshape(n_sets, -1).mean(axis=1))


def background(energies_ev: Sequence[float], conditions: Conditions) -> Baseline:
    """Return what the likelihood expects of each spectrum before a scan shows how much it has."""
    if conditions.baseline != "auto":
        return expected_baseline(energies_ev, conditions.baseline)
    constant_std, slope_std = USUAL_STD
    energies = np.asarray(energies_ev, dtype=np.float64)
    return Baseline.slope(energies, constant_std=constant_std, slope_std=slope_std)


def _precision(conditions: Conditions) -> NDArray[np.float64]:
    """Return one over the expected squares of constant and slope; infinite if there is none."""
    expected = background((), conditions).precision
    return np.concatenate([expected, np.full(2 - len(expected), np.inf)])


def _raw(rows: NDArray[np.float64], n_phases: int) -> Raw:
    """Return the products of `energy_terms` from their rows, shape (n_rows, n_columns)."""
    pairs = n_phases * (n_phases + 1) // 2
    shapes: tuple[tuple[int, ...], ...] = (
        (2, 2),
        (2, n_phases),
        (pairs,),
        (2,),
        (n_phases,),
        (),
        (),
    )
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    parts = np.split(rows, ends[:-1])
    return Raw(*(p.reshape(*s, rows.shape[1]) for p, s in zip(parts, shapes, strict=True)))
