"""Sizes of constant and slope of a scan's spectra, from the scan itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.even_selection import at_most
from stxm_live.phase_mapping.likelihood import best_model_photons, of_length_one, unbiased
from stxm_live.phase_mapping.weighted_products import Baseline, Raw

CONSTANT_STD = (0.01, 0.03, 0.1, 0.3, 1.0)
"""Standard deviations of the constant, in optical density, that are compared."""

SLOPE_STD = (0.005, 0.02, 0.06, 0.2, 0.6)
"""The same of the change of optical density from the first energy to the last."""

USUAL_STD = (0.1, 0.03)
"""Constant and slope where the energies are too few to show them."""

FEWEST_ENERGIES = 6

_SPECTRA = 600
"""An even selection."""

_MIXED = 0.2
"""Share of spectra that are taken to be mixtures of two phases."""


def learned_baseline(
    od: NDArray[np.floating],
    photons: NDArray[np.floating],
    references: NDArray[np.floating],
    energies_ev: NDArray[np.floating],
    *,
    gain: float,
    free_constant: bool = False,
) -> Baseline:
    """Return a constant and a slope for each spectrum, as large as those of this scan are.

    Parameters
    ----------
    od, photons : ndarray of shape (n_energies, n_spectra)
        Optical density, and detected photons behind each value.
    references : ndarray of shape (n_phases, n_energies)
    energies_ev : ndarray of shape (n_energies,)
    gain : float
        Variance of the photons over their mean.
    free_constant : bool
        Whether the constant may be anything, as where the scale of I0 is not known.

    Returns
    -------
    Baseline

    Notes
    -----
    Both are normal about zero with standard deviations for which an even selection of the
    spectra is most probable, whatever their phase, thickness and mixture of two phases
    (empirical Bayes). A scan that has neither loses nothing, and one with carbon, with references
    whose pre-edge is subtracted or with an I0 that leans gets what it needs.
    """
    free = np.inf if free_constant else None
    if len(energies_ev) < FEWEST_ENERGIES or od.shape[1] == 0:
        return Baseline.slope(
            energies_ev, constant_std=free or USUAL_STD[0], slope_std=USUAL_STD[1]
        )
    chosen = at_most(_SPECTRA, od.shape[1])
    evidence = _Evidence(od[:, chosen], photons[:, chosen], references, energies_ev, gain)
    constants = (free,) if free else CONSTANT_STD
    widths = [(constant, slope) for constant in constants for slope in SLOPE_STD]
    constant, slope = max(widths, key=evidence)
    return Baseline.slope(energies_ev, constant_std=constant, slope_std=slope)


class _Evidence:
    """Log probability of some spectra for given widths of constant and slope."""

    def __init__(
        self,
        od: NDArray[np.floating],
        photons: NDArray[np.floating],
        references: NDArray[np.floating],
        energies_ev: NDArray[np.floating],
        gain: float,
    ) -> None:
        scaled, free = of_length_one(references), Baseline.slope(energies_ev)
        y, n = od.astype(np.float64), photons.astype(np.float64)
        expected = best_model_photons(unbiased(y, n, gain), n, scaled, free)
        self._raw = Raw.of(unbiased(y, expected, gain), expected / gain, scaled, free)
        self._shares, self._log_weight = _templates(len(scaled))

    def __call__(self, widths: tuple[float, float]) -> float:
        precision = np.array(widths, dtype=np.float64) ** -2
        found = self._raw.copy().less_baseline(precision)
        along, square = found.of_shares(self._shares)
        each = 0.5 * (along**2 / square - np.log(square)) + self._log_weight[:, None]
        most = each.max(axis=0)
        total = most + np.log(np.exp(each - most).sum(axis=0)) - 0.5 * found.rest
        finite = precision[:, None] > 0
        scale = np.log(np.where(finite, precision[:, None], 1.0) / found.pivots)
        return float((total + 0.5 * scale.sum(axis=0)).sum())


def _templates(n_phases: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pure phases and mixtures with a quarter of another, and the logarithms of their shares."""
    pure = np.eye(n_phases)
    pairs = [
        0.75 * pure[k] + 0.25 * pure[j] for k in range(n_phases) for j in range(n_phases) if k != j
    ]
    weight = [(1 - _MIXED) / n_phases] * n_phases + [_MIXED / max(len(pairs), 1)] * len(pairs)
    return np.array([*pure, *pairs]), np.log(weight)
