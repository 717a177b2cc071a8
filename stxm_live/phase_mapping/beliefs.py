"""How probable each phase is for every spectrum, by itself and by its neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.recipe import Recipe
from stxm_live.phase_mapping.hypotheses import Hypotheses, effective_photons
from stxm_live.phase_mapping.latent_space.model import LatentModel
from stxm_live.phase_mapping.likelihood import Fit
from stxm_live.phase_mapping.mixtures import fit_mixtures, unidentified
from stxm_live.phase_mapping.phase_frequencies import by_frequencies
from stxm_live.phase_mapping.spatial_prior import potts_mixed

MIXED_FROM = 0.5
"""Probability of being a mixture from which a pixel is called mixed."""


@dataclass(frozen=True, eq=False)
class Beliefs:
    """What is believed of every spectrum, and what there is to say of how.

    Parameters
    ----------
    probability : ndarray of shape (n_phases, n_spectra), float32
        That a phase is the commonest of its pixel.
    mixed : ndarray of shape (n_spectra,), float32
        Probability that the pixel holds two phases.
    unidentified : ndarray of bool, shape (n_spectra,)
        No phase and no mixture of two agrees with the spectrum.
    method : {"likelihood", "posterior"}
    notes : tuple of str
    """

    probability: NDArray[np.float32]
    mixed: NDArray[np.float32]
    unidentified: NDArray[np.bool_]
    method: str
    notes: tuple[str, ...] = ()

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
    model: LatentModel | None = None,
    latent: NDArray[np.float32] | None = None,
) -> Beliefs:
    """Probabilities as the recipe's resolver asks for them.

    Parameters
    ----------
    od, photons : ndarray of shape (n_energies, n_spectra)
    references : ndarray of shape (n_phases, n_energies)
    mapped : ndarray of bool, shape (ny, nx)
        Where the spectra are from.
    recipe : Recipe
        Its ``resolver.method`` "posterior" asks for the model's head; all others, and spectra
        without a latent place, get the likelihood.
    fit : Fit
        Of `fit_references`, for the dispersion of the counts.
    baseline : bool
        Whether each spectrum has a free constant.
    model, latent : optional
        What encoded the spectra, and their places (n_spectra, n_latent).
    """
    fitted = fit_mixtures(od, photons, references, dispersion=fit.dispersion, baseline=baseline)
    hypotheses, method, notes = fitted.hypotheses, "likelihood", []
    if recipe.resolver.method == "posterior" and model is not None and latent is not None:
        problem = _unfit_head(model, recipe)
        if model.head is None or model.bundle.info.head is None or problem:
            notes.append(f"{problem}: probabilities are by likelihood instead of posterior")
        else:
            method, known = "posterior", model.bundle.info.head.photons
            hypotheses = Hypotheses.of_head(
                model.head, latent, od, photons, dispersion=fit.dispersion, photon_range=known
            )
            notes.extend(_beyond(known, effective_photons(od, photons, fit.dispersion)))
    if recipe.resolver.spatial == "potts":
        assigned = potts_mixed(hypotheses, mapped)
    else:
        assigned = by_frequencies(hypotheses)
    return Beliefs(assigned.probability, assigned.mixed, unidentified(fitted), method, tuple(notes))


def _unfit_head(model: LatentModel, recipe: Recipe) -> str:
    """Why the posterior head must not be asked; empty if it may."""
    if model.head is None or model.bundle.info.head is None:
        return "the model has no posterior head (train it again)"
    if recipe.energy_offset_ev or recipe.energy_width_ev:
        return (
            "the model's posterior head was trained with references as they are, the recipe "
            f"corrects their energy axis (offset {recipe.energy_offset_ev:+g} eV, width "
            f"{recipe.energy_width_ev:g} eV)"
        )
    return ""


def _beyond(known: tuple[float, float], photons: NDArray[np.float64]) -> list[str]:
    """A warning if the scan has other photon numbers than the head was trained for."""
    typical = float(np.median(photons)) if photons.size else known[0]
    if known[0] <= typical <= known[1]:
        return []
    return [
        f"the scan has about {typical:.0f} effective photons, the model's head was trained for "
        f"{known[0]:g} to {known[1]:g}: its probabilities are those of the nearest it knows"
    ]
