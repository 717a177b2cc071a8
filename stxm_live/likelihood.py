"""Which phase a spectrum is, by counting statistics and the scan's own phase frequencies."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_CHUNK = 4096
"""Pixels taken at once: their float64 copies stay in the processor's cache."""

_EM_PIXELS = 20_000
"""Pixels that the phase frequencies are estimated from, evenly spread over the specimen."""


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
    baseline: bool = False,
) -> Fit:
    """Fit each reference alone, with a free thickness, to every spectrum.

    Parameters
    ----------
    od : ndarray of shape (n_energies, n_spectra)
        Optical density, finite.
    photons : ndarray of shape (n_energies, n_spectra)
        Detected photons behind each value; 1/photons is the variance of the OD.
    references : ndarray of shape (n_phases, n_energies)
    baseline : bool
        Whether each spectrum has a free constant beside its thickness.

    Returns
    -------
    Fit
        The thickness (not negative) and the constant are integrated out with flat priors, the
        thickness in units of the reference's own length, so that no phase is favoured by the
        scale of its reference.

    Notes
    -----
    ln n of n counts is too low by 1/(2n) on average, which is corrected to that order. The
    variance is taken from the spectrum that fits best rather than from the counts themselves,
    whose own noise would pull the fit. The counts' dispersion (gain, fluctuations of the beam,
    smoothing by the alignment) is taken from the median misfit of the scan.
    """
    n_phases, n_spectra = len(references), od.shape[1]
    scaled = references / np.linalg.norm(references, axis=1, keepdims=True)
    chi2 = np.empty((n_phases, n_spectra), dtype=np.float32)
    log_det = np.empty_like(chi2)
    for start in range(0, n_spectra, _CHUNK):
        part = slice(start, start + _CHUNK)
        n = photons[:, part].astype(np.float64)
        y = od[:, part] - 0.5 / n
        expected = _best_model_photons(y, n, scaled, baseline)
        y = od[:, part] - 0.5 / expected
        chi2[:, part], log_det[:, part], _, _ = _weighted_fit(y, expected, scaled, baseline)
    dispersion = _dispersion(chi2.min(axis=0), od.shape[0] - 1 - baseline)
    log_likelihood = np.multiply(log_det, np.float32(-0.5), out=log_det)
    log_likelihood -= chi2 * np.float32(0.5 / dispersion)
    return Fit(chi2, log_likelihood, dispersion)


def _weighted_fit(
    y: NDArray[np.float64], w: NDArray[np.float64], r: NDArray[np.float64], baseline: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Misfit, log determinant, thickness and constant of y = t r + b with weights w."""
    wy = w * y
    a, by = (r**2) @ w, r @ wy
    yy = np.einsum("ij,ij->j", wy, y)
    if not baseline:
        t = np.maximum(by / a, 0.0)
        return yy - t * (2 * by - t * a), np.log(a), t, np.zeros_like(t)
    s, sr, sy = w.sum(axis=0), r @ w, wy.sum(axis=0)
    variance = a - sr**2 / s
    t = np.maximum((by - sr * sy / s) / variance, 0.0)
    rest = yy - sy**2 / s
    b = (sy - t * sr) / s
    misfit = rest - t * (2 * (by - sr * sy / s) - t * variance)
    return misfit, np.log(variance) + np.log(s), t, b


def _best_model_photons(
    y: NDArray[np.float64], n: NDArray[np.float64], r: NDArray[np.float64], baseline: bool
) -> NDArray[np.float64]:
    """Photons as the best-fitting reference predicts them: n exp(y - model)."""
    chi2, _, t, b = _weighted_fit(y, n, r, baseline)
    best = chi2.argmin(axis=0)
    columns = np.arange(y.shape[1])
    model = r[best].T * t[best, columns] + b[best, columns]
    return np.asarray(n * np.exp(np.clip(y - model, -2.0, 2.0)))


def _dispersion(chi2: NDArray[np.floating], degrees: int) -> float:
    """Median misfit over the median of chi-squared with that many degrees of freedom."""
    if chi2.size == 0 or degrees < 1:
        return 1.0
    expected = degrees * (1 - 2 / (9 * degrees)) ** 3
    return max(float(np.median(chi2)) / expected, 1e-6)


def phase_frequencies(
    log_likelihood: NDArray[np.floating], *, tolerance: float = 1e-6, max_iterations: int = 1000
) -> NDArray[np.float64]:
    """How often each phase occurs in the scan, by expectation maximisation.

    Parameters
    ----------
    log_likelihood : ndarray of shape (n_phases, n_spectra)
        An even selection of at most 20 000 spectra is used.

    Returns
    -------
    ndarray of shape (n_phases,)
        Adds up to 1. Rare phases are underestimated when the noise is large.
    """
    n_phases, n_spectra = log_likelihood.shape
    if n_spectra == 0:
        return np.full(n_phases, 1 / n_phases)
    chosen = log_likelihood[:, :: max(1, -(-n_spectra // _EM_PIXELS))].astype(np.float64)
    weight = np.exp(chosen - chosen.max(axis=0))
    frequency = np.full(n_phases, 1 / n_phases)
    for _ in range(max_iterations):
        share = weight / (frequency @ weight)
        updated = frequency * share.mean(axis=1)
        change = np.abs(updated - frequency).max()
        frequency = updated
        if change < tolerance:
            break
    return np.asarray(frequency / frequency.sum())


def posterior(
    log_likelihood: NDArray[np.floating], frequencies: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Probability of each phase for every spectrum.

    Parameters
    ----------
    log_likelihood : ndarray of shape (n_phases, n_spectra)
    frequencies : ndarray of shape (n_phases,)

    Returns
    -------
    ndarray of shape (n_phases, n_spectra), float32
        Adds up to 1 over the phases.
    """
    with np.errstate(divide="ignore"):
        weight = log_likelihood + np.log(frequencies)[:, None]
    weight -= weight.max(axis=0)
    np.exp(weight, out=weight)
    weight /= weight.sum(axis=0)
    return weight.astype(np.float32)
