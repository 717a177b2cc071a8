"""Components of spectra by scikit-learn: principal ones with their noise floor, non-negative ones.

Both are scikit-learn's own on the spectra of `ExploredSpectra`; nothing is scaled before.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stxm_live.phase_mapping.exploration.spectra import ExploredSpectra

_AT_ONCE = 20_000
"""Spectra of simulated noise at once."""

_NMF_ROUNDS = 300


@dataclass(frozen=True, eq=False)
class Principal:
    """Principal components of the spectra, about their mean.

    Parameters
    ----------
    mean : ndarray of shape (n_energies,)
        Mean OD.
    components : ndarray of shape (n_components, n_energies)
        Eigenspectra of unit length; each has its largest value up.
    scores : ndarray of shape (n_pixels, n_components)
    eigenvalues : ndarray of shape (n_components,)
        Variance of the scores.
    noise_floor : float
        Largest eigenvalue that noise alone gives.
    """

    mean: NDArray[np.float64]
    components: NDArray[np.float64]
    scores: NDArray[np.float64]
    eigenvalues: NDArray[np.float64]
    noise_floor: float

    @property
    def n_above_noise(self) -> int:
        """Return the number of components before the first one at the noise floor."""
        above = self.eigenvalues > self.noise_floor
        return int(above.argmin()) if not above.all() else len(above)

    def restored(self, n: int) -> NDArray[np.float64]:
        """Return the spectra (n_pixels, n_energies) that the first ``n`` components give."""
        return np.asarray(self.mean + self.scores[:, :n] @ self.components[:n])


@dataclass(frozen=True, eq=False)
class NonNegative:
    """Spectra of which all others are sums, with factors that are not negative.

    Parameters
    ----------
    spectra : ndarray of shape (n_components, n_energies)
        Scaled so that a pixel with the mean amount has an amount of 1.
    amounts : ndarray of shape (n_pixels, n_components)
    residual : float
        Root mean square difference from the spectra, in OD.
    """

    spectra: NDArray[np.float64]
    amounts: NDArray[np.float64]
    residual: float


def principal_components(spectra: ExploredSpectra, *, seed: int = 0) -> Principal:
    """Return all principal components, by scikit-learn.

    Parameters
    ----------
    spectra : ExploredSpectra
    seed : int
        Of the simulated noise.

    Notes
    -----
    The noise floor is the largest eigenvalue of as many spectra that consist of nothing but the
    noise of the pixels and energies (parallel analysis after Horn, 1965).
    """
    from sklearn.decomposition import PCA

    pca = PCA().fit(spectra.od)
    peaks = np.abs(pca.components_).argmax(axis=1)
    sign = np.sign(pca.components_[np.arange(len(peaks)), peaks])
    return Principal(
        mean=pca.mean_,
        components=pca.components_ * sign[:, None],
        scores=pca.transform(spectra.od) * sign,
        eigenvalues=pca.explained_variance_,
        noise_floor=_largest_of_noise(spectra.noise_std, np.random.default_rng(seed)),
    )


def _largest_of_noise(noise_std: NDArray[np.float64], rng: np.random.Generator) -> float:
    """Return the largest eigenvalue of noise of these standard deviations."""
    n_pixels, n_energies = noise_std.shape
    squares, total = np.zeros((n_energies, n_energies)), np.zeros(n_energies)
    for start in range(0, n_pixels, _AT_ONCE):
        std = noise_std[start : start + _AT_ONCE]
        noise = std * rng.standard_normal(std.shape)
        squares += noise.T @ noise
        total += noise.sum(axis=0)
    covariance = (squares - np.outer(total, total) / n_pixels) / max(n_pixels - 1, 1)
    return float(np.linalg.eigvalsh(covariance)[-1])


def non_negative_components(
    spectra: ExploredSpectra, n: int, *, seed: int = 0
) -> tuple[NonNegative, tuple[str, ...]]:
    """Return ``n`` non-negative components by scikit-learn's NMF, and notes.

    Negative optical densities, which noise makes, count as zero.
    """
    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning

    nmf = NMF(n, init="nndsvda", random_state=seed, max_iter=_NMF_ROUNDS)
    positive = np.clip(spectra.od, 0, None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        amounts = nmf.fit_transform(positive)
    scale = amounts.mean(axis=0)
    scale[scale == 0] = 1.0
    notes = []
    if any(issubclass(w.category, ConvergenceWarning) for w in caught):
        notes.append(
            f"the non-negative components still changed a little after {_NMF_ROUNDS} rounds"
        )
    residual = nmf.reconstruction_err_ / np.sqrt(spectra.od.size)
    found = NonNegative(nmf.components_ * scale[:, None], amounts / scale, float(residual))
    return found, tuple(notes)
