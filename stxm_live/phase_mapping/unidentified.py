"""Spectra that agree with no reference, by counting noise alone and by their neighbors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.even_selection import at_most
from stxm_live.phase_mapping.mixtures import Misfit, MixtureFit
from stxm_live.phase_mapping.spatial_prior import neighbor_sum

_FACTORS = (2.0, 3.0, 5.0, 10.0, 30.0)
"""Largest misfit, relative to noise, of spectra that no reference describes."""

_NEIGHBOR = 0.6
"""Log-odds that one certain neighbor gives its own kind."""

_FEWEST = 5.0
"""Neighbors that speak against a pixel which has fewer."""

_COMMON = 0.3
"""Weight of the scan's own odds in each of its pixels, if most of it is unidentified."""

_SWEEPS = 8

_SPECTRA = 20_000
"""An even selection, from which the factor and the share are found."""

_LEAST_SHARE = 0.002

KNOWN_TO = 0.01
"""Optical densities are known to that much, and references to that share: a misfit which so
small an error makes is none."""


class Strangeness(NamedTuple):
    """Misfits as two kinds: noise, and noise times ``factor`` for a ``share`` of the spectra."""

    factor: float
    share: float
    degrees: int | NDArray[np.intp]

    @classmethod
    def of(cls, misfit: NDArray[np.floating], degrees: int | NDArray[np.intp]) -> Strangeness:
        """Return the kinds for which an even selection of misfits is most probable.

        Parameters
        ----------
        misfit : ndarray of shape (n_spectra,)
            Chi-squared in units of the counting noise.
        degrees : int or ndarray of shape (n_spectra,)
            Degrees of freedom; below 1 a misfit says nothing.
        """
        chosen = at_most(_SPECTRA, len(misfit))
        some = misfit[chosen].astype(np.float64)
        if not some.size or np.all(degrees < 1):
            return cls(_FACTORS[0], _LEAST_SHARE, degrees)
        own = degrees[chosen] if isinstance(degrees, np.ndarray) else degrees
        found = []
        for factor in _FACTORS:
            ratio, share = np.exp(np.minimum(_log_odds(some, factor, own), 500)), 0.05
            for _ in range(20):
                each = share * ratio / (1 - share + share * ratio)
                share = float(np.clip(each.mean(), _LEAST_SHARE, 1 - _LEAST_SHARE))
            value = float(np.log(1 - share + share * ratio).sum())
            found.append((value, factor, share))
        return cls(*max(found)[1:], degrees)

    def log_odds(self, misfit: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the log odds that a misfit is of the larger kind, both kinds alike before."""
        return _log_odds(misfit, self.factor, self.degrees).astype(np.float32)


def _log_odds(
    misfit: NDArray[np.floating], factor: float, degrees: int | NDArray[np.intp]
) -> NDArray[np.floating]:
    """Two chi-squared distributions of one shape, the second wider by a factor.

    A misfit of no degree of freedom is rounding, and says nothing.
    """
    odds = misfit * (0.5 - 0.5 / factor) - 0.5 * degrees * np.log(factor)
    return np.asarray(np.where(degrees < 1, 0.0, odds) if np.any(degrees < 1) else odds)


def unidentified(
    fit: Misfit | MixtureFit, mask: NDArray[np.bool_], *, gain: float = 1.0, allowance: float = 0.0
) -> NDArray[np.bool_]:
    """Find the spectra with which no phase and no mixture of two agrees.

    Parameters
    ----------
    fit : Misfit or MixtureFit
        Of n_spectra spectra.
    mask : ndarray of bool, shape (ny, nx)
        Where they are from, in row-major order.
    gain : float
        Factor on the misfit: the gain of the fit where that came from the misfit itself and not
        from the empty support. The misfit is then that of photons, for one that is compared with
        its own median would find nothing where all is unknown.
    allowance : float
        Misfit for each degree of freedom that is none, beside that of noise; see
        `misfit_allowed`.

    Returns
    -------
    ndarray of bool, shape (n_spectra,)

    Notes
    -----
    Noise makes a misfit follow chi-squared. Whatever the references do not describe has one that is
    larger by a factor of 2 at least, found from the scan as its share is. What is beside such
    pixels is likely to be of that kind too (mean fields over eight neighbors): one pixel of few
    photons cannot be told from noise, a place of many can.
    """
    misfit = fit.misfit * np.float32(gain / (1 + allowance))
    kinds = Strangeness.of(misfit, fit.degrees)
    odds = np.zeros((1, *mask.shape), dtype=np.float32)
    mostly = max(0.0, float(np.log(kinds.share / (1 - kinds.share))))
    odds[0, mask] = np.clip(kinds.log_odds(misfit) + np.float32(_COMMON * mostly), -50, 50)
    window = mask[None].astype(np.float32)
    odds -= np.float32(_NEIGHBOR) * np.maximum(neighbor_sum(window), np.float32(_FEWEST))
    around = np.zeros_like(odds)
    for _ in range(_SWEEPS if misfit.size else 0):
        each = window / (1 + np.exp(-(odds + around)))
        around = np.float32(2 * _NEIGHBOR) * neighbor_sum(each)
    return np.asarray((odds + around)[0, mask] > 0)


def misfit_allowed(od: NDArray[np.floating], photons: NDArray[np.floating], gain: float) -> float:
    """Misfit for each degree of freedom that errors of `KNOWN_TO` make, beside that of noise.

    Parameters
    ----------
    od, photons : ndarray of shape (n_energies, n_spectra)
    gain : float
        Variance of the photons over their mean.
    """
    if not photons.size:
        return 0.0
    some = at_most(_SPECTRA, photons.shape[1])
    weighted = photons[:, some] * (1 + np.square(np.clip(od[:, some], 0, 3)))
    measured = np.count_nonzero(photons[:, some]) / weighted.size
    return float(KNOWN_TO**2 * weighted.mean(dtype=np.float64) / gain / max(measured, 1e-9))
