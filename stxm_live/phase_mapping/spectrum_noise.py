"""What spectra of a scan differ by besides phase and thickness: counting, and their baseline."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.recipe import Recipe
from stxm_live.phase_mapping.baseline_widths import learned_baseline
from stxm_live.phase_mapping.likelihood import counts_per_photon_of
from stxm_live.phase_mapping.weighted_products import Baseline


class SpectrumNoise(NamedTuple):
    """The noise of the spectra of a scan.

    ``gain`` is the variance of the photons over their mean; ``from_support`` says whether the
    empty support told it, or else the misfit of the spectra did. ``baseline`` is what each
    spectrum has besides its phase.
    """

    gain: float
    from_support: bool
    baseline: Baseline


def spectrum_noise(
    od: NDArray[np.floating],
    photons: NDArray[np.floating],
    references: NDArray[np.floating],
    energies_ev: NDArray[np.floating],
    recipe: Recipe,
    *,
    gain: float | None,
) -> SpectrumNoise:
    """The noise that label, probability, misfit and energy axis all reckon with.

    Parameters
    ----------
    od, photons : ndarray of shape (n_energies, n_spectra)
        Optical density, and detected photons behind each value.
    references : ndarray of shape (n_phases, n_energies)
    energies_ev : ndarray of shape (n_energies,)
    recipe : Recipe
        Its ``resolver.baseline``: "auto" learns constant and slope from the scan, the others say
        what there is.
    gain : float or None
        As the empty support shows it; estimated from the misfit where it does not.
    """
    kind, energies = recipe.resolver.baseline, np.asarray(energies_ev, dtype=np.float64)
    if kind == "none":
        baseline = Baseline.none(len(energies))
    elif kind == "constant":
        baseline = Baseline.constant(len(energies))
    else:
        baseline = Baseline.slope(energies)
    known = gain is not None
    if gain is None:
        gain = counts_per_photon_of(od, photons, references, baseline)
    if kind == "auto":
        baseline = learned_baseline(
            od, photons, references, energies, gain=gain, free_constant=has_free_constant(recipe)
        )
    return SpectrumNoise(gain, known, baseline)


def has_free_constant(recipe: Recipe) -> bool:
    """Whether a spectrum's constant may be anything: I0 has no scale, or the recipe says so."""
    if recipe.resolver.baseline == "auto":
        return recipe.i0.source in ("spectrum", "monitor")
    return recipe.resolver.baseline in ("constant", "slope")
