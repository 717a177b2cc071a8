"""The fit of each reference alone to a spectrum, by counting statistics."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.even_selection import at_most
from stxm_live.core.products import product
from stxm_live.phase_mapping.weighted_products import Baseline, each_alone

_CHUNK = 4096
"""Pixels taken at once: their float64 copies stay in the processor's cache."""

_GAIN_PIXELS = 4_000
"""Pixels that the counter's gain is estimated from."""

_GAIN_ROUNDS = 4
"""Estimates of the gain, each from the one before."""


class Fit(NamedTuple):
    """Every reference fitted to every spectrum.

    ``chi2`` and ``log_likelihood`` have shape (n_phases, n_spectra); ``dispersion`` is the
    variance of the counts over that of the expected photons.
    """

    chi2: NDArray[np.float32]
    log_likelihood: NDArray[np.float32]
    dispersion: float


def fit_references(
    od: NDArray[np.floating],
    photons: NDArray[np.floating],
    references: NDArray[np.floating],
    *,
    baseline: Baseline | None = None,
    gain: float | None = None,
    more_variance: NDArray[np.floating] | None = None,
) -> Fit:
    """Fit each reference alone, with a free thickness, to every spectrum.

    Parameters
    ----------
    od : ndarray of shape (n_energies, n_spectra)
        Optical density, finite.
    photons : ndarray of shape (n_energies, n_spectra)
        Detected photons behind each value; gain/photons is the variance of the OD. 0 where a
        spectrum was not measured: whatever OD stands there does not count.
    references : ndarray of shape (n_phases, n_energies)
    baseline : Baseline, optional
        What each spectrum has besides its thickness; nothing by default.
    gain : float, optional
        Variance over mean of ``photons``, where the empty support tells it
        (``stxm_live.preprocessing.noise.dispersion``); estimated from the misfit where not.
    more_variance : ndarray of shape (n_energies, n_spectra), optional
        Of the OD, besides that of counting.

    Returns
    -------
    Fit
        Thickness (not negative) and baseline are integrated out, the thickness with a flat prior
        in units of the reference's own length, so that no phase is favoured by the scale of its
        reference.

    Notes
    -----
    The dispersion of the result (gain, fluctuations of the beam, smoothing by the alignment) is
    taken from the median misfit of the scan, so that the unit of the counts does not matter. It
    is larger than ``gain`` where the references do not fit, and makes the probabilities as much
    less sure. ln n of n photons is too low by 1/(2n) on average, which is corrected to that order
    with the gain alone. The variance is
    taken from the spectrum that fits best rather than from the counts themselves, whose own
    noise would pull the fit.
    """
    scaled = of_length_one(references)
    baseline = baseline or Baseline.none(len(od))
    if gain is None:
        gain = counts_per_photon_of(od, photons, references, baseline)
    chi2, log_det = _fit(od, photons, scaled, baseline.in_units_of(gain), gain, more_variance)
    degrees = n_measured(photons) - 1 - baseline.n_free
    dispersion = dispersion_of(chi2.min(axis=0), degrees, otherwise=gain)
    log_likelihood = np.multiply(log_det, np.float32(-0.5), out=log_det)
    log_likelihood -= chi2 * np.float32(0.5 / dispersion)
    # a reference that is flat at these energies says nothing, and no spectrum is told to be it
    log_likelihood[says_nothing(references, baseline)] = -np.inf
    return Fit(chi2, log_likelihood, dispersion)


def of_length_one(references: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return references (n_phases, n_energies) over their length; zeros stay."""
    length = np.linalg.norm(references, axis=1, keepdims=True)
    return np.asarray(references / np.where(length > 0, length, 1.0), dtype=np.float64)


def says_nothing(references: NDArray[np.floating], baseline: Baseline) -> NDArray[np.bool_]:
    """Return True for references that are nothing but baseline, shape (n_phases,)."""
    if not len(baseline.shapes):
        return np.asarray(~np.any(references, axis=1))
    return np.asarray(np.ptp(references, axis=1) == 0)


def _fit(
    od: NDArray[np.floating],
    photons: NDArray[np.floating],
    scaled: NDArray[np.float64],
    baseline: Baseline,
    gain: float,
    more_variance: NDArray[np.floating] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Misfit and log determinant, each (n_phases, n_spectra), in units of ``photons``.

    The misfit counts what a coefficient of the baseline costs by its prior, so that such a
    coefficient takes no degree of freedom.
    """
    chi2 = np.empty((len(scaled), od.shape[1]), dtype=np.float32)
    log_det = np.empty_like(chi2)
    for start in range(0, od.shape[1], _CHUNK):
        part = slice(start, start + _CHUNK)
        n = photons[:, part].astype(np.float64)
        expected = best_model_photons(unbiased(od[:, part], n, gain), n, scaled, baseline)
        y = unbiased(od[:, part], expected, gain)
        if more_variance is not None:
            expected = photons_worth(expected, more_variance[:, part], gain)
        found = each_alone(y, expected, scaled, baseline)
        chi2[:, part] = found.rest - found.along**2 / found.square
        log_det[:, part] = np.log(found.square)
    return chi2, log_det


def unbiased(
    od: NDArray[np.floating], photons: NDArray[np.float64], gain: float
) -> NDArray[np.float64]:
    """Return optical densities less what the logarithm of a mean of so many photons is too low.

    Where there are no photons the optical density stays, for it has no weight.

    Examples
    --------
    >>> unbiased(np.array([1.0, 1.0]), np.array([100.0, 0.0]), gain=1.0)
    array([0.995, 1.   ])
    """
    excess = np.zeros_like(photons)
    return np.asarray(od - np.divide(0.5 * gain, photons, out=excess, where=photons > 0))


def n_measured(photons: NDArray[np.floating]) -> int | NDArray[np.intp]:
    """Return how many energies each spectrum has; one number if it is all of them.

    Examples
    --------
    >>> n_measured(np.ones((3, 2))), n_measured(np.array([[1.0, 1.0], [0.0, 1.0]]))
    (3, array([1, 2]))
    """
    found = np.count_nonzero(photons, axis=0)
    return len(photons) if np.all(found == len(photons)) else np.asarray(found)


def typical_photons(photons: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the median of each energy's photons, (n_energies,), where they were measured."""
    if photons.all():
        return np.asarray(np.median(photons, axis=1))
    each = [energy[energy > 0] for energy in photons]
    return np.array([np.median(energy) if energy.size else 1e-9 for energy in each])


def photons_worth(
    photons: NDArray[np.float64], more_variance: NDArray[np.floating], gain: float
) -> NDArray[np.float64]:
    """Return the photons that would scatter as much as these with another variance of the OD.

    Examples
    --------
    >>> photons_worth(np.array([100.0]), np.array([0.01]), gain=1.0)
    array([50.])
    """
    return np.asarray(photons / (1 + photons * more_variance / gain))


def counts_per_photon_of(
    od: NDArray[np.floating],
    photons: NDArray[np.floating],
    references: NDArray[np.floating],
    baseline: Baseline,
) -> float:
    """Variance over mean of the counts, from an even selection of the spectra.

    The first estimate leaves the bias of ln n out, the next ones take it as found before.
    """
    chosen = at_most(_GAIN_PIXELS, od.shape[1])
    y, n, scaled = od[:, chosen], photons[:, chosen], of_length_one(references)
    gain = 0.0
    for _ in range(_GAIN_ROUNDS):
        chi2, _ = _fit(y, n, scaled, baseline.in_units_of(gain), gain)
        gain = dispersion_of(chi2.min(axis=0), n_measured(n) - 1 - baseline.n_free)
    return gain


def best_model(
    y: NDArray[np.float64], n: NDArray[np.float64], r: NDArray[np.float64], baseline: Baseline
) -> NDArray[np.float64]:
    """Return the OD of the best-fitting reference with its baseline; see `best_model_photons`."""
    found = each_alone(y, n, r, baseline)
    best = (found.along**2 / found.square).argmax(axis=0)
    columns = np.arange(y.shape[1])
    t = found.along[best, columns] / found.square[best, columns]
    model = np.take(r.T, best, axis=1)  # in the order of y, unlike r[best].T
    model *= t
    if len(baseline.shapes):
        model += product(baseline.shapes.T, found.coefficients(t, best))
    return np.asarray(model)


def best_model_photons(
    y: NDArray[np.float64], n: NDArray[np.float64], r: NDArray[np.float64], baseline: Baseline
) -> NDArray[np.float64]:
    """Photons as the best-fitting reference predicts them: n exp(y - model).

    Parameters
    ----------
    y, n : ndarray of shape (n_energies, n_spectra)
        Optical density, and the photons behind it.
    r : ndarray of shape (n_phases, n_energies)
    baseline : Baseline
        In units of the photons (`Baseline.in_units_of`).
    """
    photons = best_model(y, n, r, baseline)
    np.subtract(y, photons, out=photons)
    np.clip(photons, -2.0, 2.0, out=photons)
    np.exp(photons, out=photons)
    photons *= n
    return photons


def dispersion_of(
    chi2: NDArray[np.floating],
    degrees: float | NDArray[np.floating] | NDArray[np.intp],
    *,
    otherwise: float = 1.0,
) -> float:
    """Median misfit over the median of chi-squared with that many degrees of freedom.

    Parameters
    ----------
    chi2 : ndarray of shape (n_spectra,)
    degrees : float or ndarray of shape (n_spectra,)
        A number for each spectrum where some lack energies.
    otherwise : float
        Result if no spectrum has a degree of freedom: then its misfit says nothing.
    """
    if isinstance(degrees, np.ndarray):
        some = degrees >= 1
        most = float(degrees.max(initial=0))
        chi2 = chi2[some] * (_middle(max(most, 1.0)) / _middle(degrees[some]))
        degrees = most
    if chi2.size == 0 or degrees < 1:
        return otherwise
    ratio = float(np.median(chi2)) / float(_middle(degrees))
    return max(ratio, float(np.finfo(np.float32).tiny))


def _middle(degrees: Any) -> Any:
    """Return the median of chi-squared with these degrees of freedom."""
    return degrees * (1 - 2 / (9 * degrees)) ** 3
