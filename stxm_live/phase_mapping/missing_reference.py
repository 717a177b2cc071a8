"""The spectrum of a phase without a reference, from the spectra that agree with none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.products import sum_over
from stxm_live.phase_mapping.weighted_products import Baseline

FEWEST, LEAST_SHARE = 15, 0.01
"""Number and share of spectra that agree with no reference, from which their mean is one."""

NO_MIXTURE = 0.08
"""Distance of that mean from every mixture of the references, over its contrast, from which it is
a phase of its own; other errors of a scan leave a twentieth at most."""

MORE_THAN_OTHERS = 1.75
"""The same distance over that of the mean of all other spectra, from which it is one: where
references fit badly, what misfits most is not another phase."""

MOST = 0.5
"""Share of spectra that agree with no reference, above which the others are no measure."""

NOT_SAID_BY_NEIGHBORS = 0.5
"""Part of the log-odds of a common missing phase that its neighbors have not said already; what is
left of composite worlds that are of no known phase promises .12 with 0 and .02 with this
(decision 61; ``benchmarks/accuracy/promises.py`` prints it)."""

SURE = 0.9
"""Probability of the missing phase from which a pixel has none of the others."""


def missing_reference(
    od: NDArray[np.floating],
    photons: NDArray[np.floating],
    references: NDArray[np.floating],
    strange: NDArray[np.bool_],
    baseline: Baseline,
) -> NDArray[np.float64] | None:
    """Return the mean spectrum of what agrees with no reference, if it is a phase of its own.

    Parameters
    ----------
    od, photons : ndarray of shape (n_energies, n_spectra)
        Optical density, and the photons behind each value; 0 where not measured.
    references : ndarray of shape (n_phases, n_energies)
    strange : ndarray of bool, shape (n_spectra,)
        Spectra that agree with no reference.
    baseline : Baseline
        What each spectrum has besides its phase.

    Returns
    -------
    ndarray of shape (n_energies,), or None
        None where the spectra are few, where an energy was not measured in any of them, or where
        their mean is a mixture of the references with some background, nearly so or about as the
        mean of all others is: then other errors than a missing reference are the reason.

    Notes
    -----
    One pixel of few photons hardly shows that it agrees with no reference: its misfit counts all
    energies alike. With the mean of those that do as one more reference it is compared along one
    direction only.
    """
    if strange.sum() < max(FEWEST, LEAST_SHARE * strange.size):
        return None
    if not photons[:, strange].any(axis=1).all():
        return None
    mean = mean_spectrum(od, photons, strange)
    away = _away(mean, references, baseline)
    if away < NO_MIXTURE:
        return None
    if strange.mean() < MOST:
        others = mean_spectrum(od, photons, ~strange)
        if away < MORE_THAN_OTHERS * _away(others, references, baseline):
            return None
    return mean


def mean_spectrum(
    od: NDArray[np.floating], photons: NDArray[np.floating], chosen: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the mean spectrum of some, by photons; 0 at energies that none of them has."""
    pixels = np.flatnonzero(chosen)

    def both(part: slice) -> NDArray[np.float64]:
        weight = photons[:, pixels[part]].astype(np.float64)
        return np.concatenate([weight, weight * od[:, pixels[part]]])

    total, weighted = np.split(sum_over(both, 2 * len(od), len(pixels)), 2)
    return np.asarray(np.divide(weighted, total, out=np.zeros_like(total), where=total > 0))


def as_common_as_found(
    chance: NDArray[np.float32], without_reference: NDArray[np.bool_], n_references: int
) -> NDArray[np.float32]:
    """Return the probability of the missing phase if it is about as common as the scan shows.

    Parameters
    ----------
    chance : ndarray of shape (n_spectra,), float32
        The probability if it is as common as each phase with a reference.
    without_reference : ndarray of bool, shape (n_spectra,)
        Spectra that were identified as the missing phase.
    n_references : int
        Number of the other phases.

    Returns
    -------
    ndarray of shape (n_spectra,), float32

    Notes
    -----
    The odds of a spectrum of this scan are higher than those of one phase of several that are
    alike, and neighbors have said a part of it (`NOT_SAID_BY_NEIGHBORS`). One spectrum more of
    each phase is counted than there are, so that none is impossible.

    Examples
    --------
    >>> chance = np.array([0.2], dtype=np.float32)
    >>> as_common_as_found(chance, np.arange(400) < 380, 4).round(2)
    array([0.67], dtype=float32)
    >>> as_common_as_found(chance, np.arange(400) < 80, 4).round(2)
    array([0.2], dtype=float32)
    """
    found = int(without_reference.sum())
    odds = (found + 1) * n_references / (len(without_reference) - found + n_references)
    more = np.float32(odds**NOT_SAID_BY_NEIGHBORS)
    return np.asarray(more * chance / (1 + (more - 1) * chance))


def _away(mean: NDArray[np.float64], references: NDArray[np.floating], baseline: Baseline) -> float:
    """Return the distance from all mixtures of the references with background, over contrast."""
    from scipy.optimize import nnls

    parts = np.concatenate([references, baseline.shapes, -baseline.shapes])
    left = float(nnls(parts.T, mean)[1]) / float(np.sqrt(len(mean)))
    return left / max(float(mean.std()), float(np.finfo(np.float64).tiny))
