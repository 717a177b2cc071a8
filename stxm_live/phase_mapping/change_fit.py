"""Weighted fit of a change of the specimen to the difference of two images of one energy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.products import inner_product
from stxm_live.core.specimen_change import Kind, SpecimenChange

_SIGNIFICANT: Mapping[Kind, float] = {"before": 2.6, "after": 2.6, "amount": 3.5}
"""Significance from which a change is reported: together about 1 % of unchanged specimens."""

BEYOND_NOISE: Mapping[Kind, float] = {"before": 0.005, "after": 0.005, "amount": 0.003}
"""Standard uncertainty of a share or an amount by labels and interpolation, however large the
field."""

MIN_PIXELS = 100
"""Fewest pixels of the specimen that are compared."""


@dataclass(frozen=True, eq=False)
class Expected:
    """Specimen at one energy as the images of the other energies predict it.

    Parameters
    ----------
    label : ndarray of shape (n_pixels,), int8
    total : ndarray of shape (n_pixels,)
        OD with a constant.
    od : ndarray of shape (n_pixels,)
        OD of the labelled phase, without constant.
    before, after : ndarray of shape (n_pixels,)
        Change of the OD if the phase becomes the one before or after it in the recipe's list.
    per_ev : ndarray of shape (n_pixels,)
        Change of the OD with the energy.
    slopes : ndarray of shape (3, n_pixels)
        Slopes of the predicted image along y and x, and its curvature.
    block : ndarray of shape (n_pixels,), int
        Number of the block of neighbors that the pixel belongs to.
    """

    label: NDArray[np.int8]
    total: NDArray[np.float64]
    od: NDArray[np.float64]
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    per_ev: NDArray[np.float64]
    slopes: NDArray[np.float64]
    block: NDArray[np.intp]


def fitted_change(
    difference: NDArray[np.float64],
    variance: NDArray[np.float64],
    expected: Expected,
    energy_ev: float,
    i0_std: float,
    energy_std_ev: float,
    n_phases: int,
) -> SpecimenChange:
    """Return the most significant change that a difference of two images shows.

    Parameters
    ----------
    difference, variance : ndarray of shape (n_pixels,)
        OD of the repeated image less that of the first, and its variance by counting.
    expected : Expected
    energy_ev : float
    i0_std : float
        Standard uncertainty of a constant in all differences.
    energy_std_ev : float
        Standard uncertainty of the difference of the two energies.
    n_phases : int
    """
    errors = [np.ones_like(difference), expected.per_ev, *expected.slopes]
    known = np.array([1 / i0_std**2, 1 / energy_std_ev**2, 0.0, 0.0, 0.0])
    fits: dict[Kind, _Fit] = {
        "before": _Fit.of(difference, variance, [*errors, expected.before], known, expected.block),
        "after": _Fit.of(difference, variance, [*errors, expected.after], known, expected.block),
        "amount": _Fit.of(difference, variance, [*errors, expected.od], known, expected.block),
    }
    stds = {kind: float(np.hypot(fit.last_std, BEYOND_NOISE[kind])) for kind, fit in fits.items()}
    sigmas = {kind: fit.last / stds[kind] for kind, fit in fits.items()}
    sigmas["amount"] = abs(sigmas["amount"])
    kind = max(sigmas, key=lambda k: sigmas[k] / _SIGNIFICANT[k])
    fit = fits[kind]
    left = difference - (fit.coefficients[: len(errors)] * fit.columns[:, : len(errors)]).sum(1)
    mean, std = _mean(left, variance, fit, np.ones(len(left), dtype=bool))
    of_phases = [
        _mean(left, variance, fit, members) if members.sum() >= MIN_PIXELS // 4 else (None, None)
        for members in (expected.label == k for k in range(n_phases))
    ]
    assert mean is not None
    assert std is not None
    return SpecimenChange(
        energy_ev=energy_ev,
        od_change=mean,
        od_change_std=std,
        phase_od_change=tuple(change for change, _ in of_phases),
        phase_od_change_std=tuple(error for _, error in of_phases),
        kind=kind,
        share=fit.last,
        share_std=stds[kind],
        sigma=sigmas[kind],
        needed_sigma=_SIGNIFICANT[kind],
    )


@dataclass(frozen=True, eq=False)
class _Fit:
    """Weighted least squares; the last coefficient is the one that is looked for."""

    columns: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    covariance: NDArray[np.float64]
    scale: float

    @classmethod
    def of(
        cls,
        values: NDArray[np.float64],
        variance: NDArray[np.float64],
        columns: list[NDArray[np.float64]],
        known: NDArray[np.float64],
        block: NDArray[np.intp],
    ) -> _Fit:
        """Fit columns, the first of which are known to 1 / ``known`` about 0 (variances).

        What is left may be alike in neighbors, as where an image was not moved exactly: then the
        scatter of whole blocks makes the covariance larger than that of single pixels.
        """
        x = np.stack(columns, axis=1)
        weighted = x / variance[:, None]
        normal = inner_product(weighted.T, x.T)
        normal[np.arange(len(known)), np.arange(len(known))] += known
        length = np.sqrt(np.diag(normal))
        length[length == 0] = 1.0
        inverse = np.linalg.pinv(normal / np.outer(length, length), rcond=1e-10, hermitian=True)
        inverse /= np.outer(length, length)
        found = (inverse * (weighted * values[:, None]).sum(axis=0)).sum(axis=1)
        left = values - (x * found).sum(axis=1)
        misfit = float((left**2 / variance).sum() / max(len(values) - x.shape[1], 1))
        of_blocks = [np.bincount(block, w * left) for w in weighted.T]
        score = (inverse[-1][:, None] * np.array(of_blocks)).sum(axis=0)
        clustered = float((score**2).sum() + (inverse[-1, : len(known)] ** 2 * known).sum())
        scale = max(misfit, clustered / max(float(inverse[-1, -1]), 1e-300), 1.0)
        return cls(x, found, inverse * scale, scale)

    @property
    def last(self) -> float:
        return float(self.coefficients[-1])

    @property
    def last_std(self) -> float:
        """Infinite if the data do not say anything about it."""
        variance = float(self.covariance[-1, -1])
        return float(np.sqrt(variance)) if variance > 0 else float("inf")


def _mean(
    left: NDArray[np.float64], variance: NDArray[np.float64], fit: _Fit, members: NDArray[np.bool_]
) -> tuple[float | None, float | None]:
    """Return the weighted mean of some pixels, and its standard error with that of I0."""
    weight = 1 / variance[members]
    total = float(weight.sum())
    mean = float((weight * left[members]).sum() / total)
    return mean, float(np.sqrt(fit.scale / total + fit.covariance[0, 0]))
