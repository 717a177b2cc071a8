"""How probable each phase is for every spectrum, by itself and by its neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.recipe import Recipe
from stxm_live.phase_mapping.likelihood import Fit
from stxm_live.phase_mapping.mixtures import fit_mixtures, unidentified
from stxm_live.phase_mapping.phase_frequencies import by_frequencies
from stxm_live.phase_mapping.spatial_prior import potts_mixed

MIXED_FROM = 0.5
"""Probability of being a mixture from which a pixel is called mixed."""


@dataclass(frozen=True, eq=False)
class Beliefs:
    """What is believed of every spectrum.

    Parameters
    ----------
    probability : ndarray of shape (n_phases, n_spectra), float32
        That a phase is the commonest of its pixel.
    mixed : ndarray of shape (n_spectra,), float32
        Probability that the pixel holds two phases.
    unidentified : ndarray of bool, shape (n_spectra,)
        No phase and no mixture of two agrees with the spectrum.
    """

    probability: NDArray[np.float32]
    mixed: NDArray[np.float32]
    unidentified: NDArray[np.bool_]

    @property
    def products(self) -> dict[str, NDArray[Any]]:
        """As flat products of `PhaseMaps`."""
        return {
            "probability": self.probability,
            "entropy": entropy(self.probability),
            "mixed": self.mixed > MIXED_FROM,
        }


def entropy(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of the phase probabilities (n_phases, n_spectra): 0 if one is certain, 1 if none is known.

    Examples
    --------
    >>> entropy(np.array([[1.0, 0.5], [0.0, 0.5]], dtype=np.float32))
    array([0., 1.], dtype=float32)
    """
    log = np.log(np.maximum(probability, np.float32(1e-30)))
    total = -(probability * log).sum(axis=0, dtype=np.float64) / np.log(len(probability))
    return np.asarray(np.maximum(total, 0), dtype=np.float32)


def believe(
    od: NDArray[np.float32],
    photons: NDArray[np.float32],
    references: NDArray[np.float64],
    mapped: NDArray[np.bool_],
    recipe: Recipe,
    *,
    fit: Fit,
    baseline: bool,
) -> Beliefs:
    """Probabilities as the recipe's resolver asks for them.

    Parameters
    ----------
    od, photons : ndarray of shape (n_energies, n_spectra)
    references : ndarray of shape (n_phases, n_energies)
    mapped : ndarray of bool, shape (ny, nx)
        Where the spectra are from.
    recipe : Recipe
        Its ``resolver.spatial`` says whether neighbours count.
    fit : Fit
        Of `fit_references`, for the dispersion of the counts.
    baseline : bool
        Whether each spectrum has a free constant.
    """
    fitted = fit_mixtures(od, photons, references, dispersion=fit.dispersion, baseline=baseline)
    if recipe.resolver.spatial == "potts":
        assigned = potts_mixed(fitted.hypotheses, mapped)
    else:
        assigned = by_frequencies(fitted.hypotheses)
    return Beliefs(assigned.probability, assigned.mixed, unidentified(fitted))
