"""How well each reference alone explains a spectrum, by counting statistics."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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
    baseline: bool = False,
    gain: float | None = None,
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
    gain : float, optional
        Variance over mean of ``photons``, where the empty support tells it
        (``stxm_live.preprocessing.noise.dispersion``); estimated from the misfit where not.

    Returns
    -------
    Fit
        The thickness (not negative) and the constant are integrated out with flat priors, the
        thickness in units of the reference's own length, so that no phase is favoured by the
        scale of its reference.

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
    length = np.linalg.norm(references, axis=1, keepdims=True)
    scaled = references / np.where(length > 0, length, 1.0)
    if gain is None:
        gain = _counts_per_photon(od, photons, scaled, baseline)
    chi2, log_det = _fit(od, photons, scaled, baseline, gain)
    dispersion = dispersion_of(chi2.min(axis=0), od.shape[0] - 1 - baseline)
    log_likelihood = np.multiply(log_det, np.float32(-0.5), out=log_det)
    log_likelihood -= chi2 * np.float32(0.5 / dispersion)
    # a reference that is flat at these energies says nothing, and no spectrum is told to be it
    flat = np.ptp(scaled, axis=1) == 0 if baseline else length[:, 0] == 0
    log_likelihood[flat] = -np.inf
    return Fit(chi2, log_likelihood, dispersion)


def _fit(
    od: NDArray[np.floating],
    photons: NDArray[np.floating],
    scaled: NDArray[np.float64],
    baseline: bool,
    gain: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Misfit and log determinant, each (n_phases, n_spectra), in units of ``photons``."""
    chi2 = np.empty((len(scaled), od.shape[1]), dtype=np.float32)
    log_det = np.empty_like(chi2)
    for start in range(0, od.shape[1], _CHUNK):
        part = slice(start, start + _CHUNK)
        n = photons[:, part].astype(np.float64)
        expected = best_model_photons(od[:, part] - 0.5 * gain / n, n, scaled, baseline)
        y = od[:, part] - 0.5 * gain / expected
        chi2[:, part], log_det[:, part], _, _ = weighted_fit(y, expected, scaled, baseline)
    return chi2, log_det


def _counts_per_photon(
    od: NDArray[np.floating],
    photons: NDArray[np.floating],
    scaled: NDArray[np.float64],
    baseline: bool,
) -> float:
    """Variance over mean of the counts, from an even selection of the spectra.

    The first estimate leaves the bias of ln n out, the next ones take it as found before.
    """
    chosen = slice(None, None, max(1, -(-od.shape[1] // _GAIN_PIXELS)))
    y, n = od[:, chosen], photons[:, chosen]
    gain = 0.0
    for _ in range(_GAIN_ROUNDS):
        chi2, _ = _fit(y, n, scaled, baseline, gain)
        gain = dispersion_of(chi2.min(axis=0), od.shape[0] - 1 - baseline)
    return gain


def weighted_fit(
    y: NDArray[np.float64], w: NDArray[np.float64], r: NDArray[np.float64], baseline: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Misfit, log determinant, thickness and constant of y = t r + b with weights w.

    Parameters
    ----------
    y, w : ndarray of shape (n_energies, n_spectra)
        Optical density, and one over its variance.
    r : ndarray of shape (n_phases, n_energies)
    baseline : bool
        Whether there is a constant b; zero otherwise.

    Returns
    -------
    tuple of four ndarrays of shape (n_phases, n_spectra)
    """
    rest, by, a, sums = normal_equations(y, w, r, baseline)
    t = by / a
    if sums is None:
        return rest - t * by, np.log(a), t, np.zeros_like(t)
    s, sr, sy = sums
    return rest - t * by, np.log(a) + np.log(s), t, (sy - t * sr) / s


class Sums(NamedTuple):
    """Sums over the energies of the weights, of them times the references, and times y."""

    s: NDArray[np.float64]
    sr: NDArray[np.float64]
    sy: NDArray[np.float64]


def normal_equations(
    y: NDArray[np.float64], w: NDArray[np.float64], r: NDArray[np.float64], baseline: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], Sums | None]:
    """What `weighted_fit` is made from: it says less and takes less time.

    Returns
    -------
    rest : ndarray of shape (n_spectra,)
        Misfit of nothing but the constant, if there is one.
    by : ndarray of shape (n_phases, n_spectra)
        Weighted product of spectrum and reference, 0 where negative: the misfit is
        rest - by^2 / a, the thickness by / a.
    a : ndarray of shape (n_phases, n_spectra)
        Weighted square of the reference, positive.
    sums : Sums or None
        Those a constant needs; ``by`` and ``a`` are without it.
    """
    wy = w * y
    a, by = (r**2) @ w, r @ wy
    rest = np.einsum("ij,ij->j", wy, y)
    sums = None
    if baseline:
        sums = s, sr, sy = Sums(w.sum(axis=0), r @ w, wy.sum(axis=0))
        # a constant reference has no variance but for rounding
        a = np.maximum(a - sr**2 / s, 1e-12 * a + np.finfo(np.float64).tiny)
        by -= sr * sy / s
        rest -= sy**2 / s
    elif not r.any(axis=1).all():
        a[a == 0] = 1.0
    return rest, np.maximum(by, 0.0, out=by), a, sums


def best_model_photons(
    y: NDArray[np.float64], n: NDArray[np.float64], r: NDArray[np.float64], baseline: bool
) -> NDArray[np.float64]:
    """Photons as the best-fitting reference predicts them: n exp(y - model)."""
    _, by, a, sums = normal_equations(y, n, r, baseline)
    best = (by**2 / a).argmax(axis=0)
    columns = np.arange(y.shape[1])
    t = by[best, columns] / a[best, columns]
    model = r.T[:, best] * t
    if sums is not None:
        model += (sums.sy - t * sums.sr[best, columns]) / sums.s
    return np.asarray(n * np.exp(np.clip(y - model, -2.0, 2.0)))


def dispersion_of(chi2: NDArray[np.floating], degrees: int) -> float:
    """Median misfit over the median of chi-squared with that many degrees of freedom."""
    if chi2.size == 0 or degrees < 1:
        return 1.0
    expected = degrees * (1 - 2 / (9 * degrees)) ** 3
    return max(float(np.median(chi2)) / expected, float(np.finfo(np.float32).tiny))
