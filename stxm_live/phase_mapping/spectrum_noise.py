"""Differences of spectra besides phase and thickness: counting noise and baseline."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.file_arrays import bands, empty_as, in_bands
from stxm_live.core.products import product
from stxm_live.core.recipe import Recipe
from stxm_live.phase_mapping.baseline_widths import learned_baseline
from stxm_live.phase_mapping.likelihood import counts_per_photon_of
from stxm_live.phase_mapping.weighted_products import Baseline


class SpectrumNoise(NamedTuple):
    """The noise of the spectra of a scan.

    ``gain`` is the variance of the photons over their mean; ``from_support`` says whether the
    empty support told it, or else the misfit of the spectra did. ``baseline`` is what each
    spectrum has besides its phase. ``of_references`` is the variance of the OD that comes from the
    references' standard errors, (n_energies, n_spectra); None if they count as exact.
    """

    gain: float
    from_support: bool
    baseline: Baseline
    of_references: NDArray[np.float32] | None = None

    def at(self, chosen: slice | NDArray[np.intp]) -> SpectrumNoise:
        """Return the same of some of the spectra."""
        if self.of_references is None:
            return self
        return self._replace(of_references=self.of_references[:, chosen])


def spectrum_noise(
    od: NDArray[np.floating],
    photons: NDArray[np.floating],
    references: NDArray[np.floating],
    energies_ev: NDArray[np.floating],
    recipe: Recipe,
    *,
    gain: float | None,
) -> SpectrumNoise:
    """Return the noise that label, probability, misfit and energy axis all use.

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


def variance_of_references(
    od: NDArray[np.floating],
    references: NDArray[np.floating],
    reference_std: NDArray[np.floating],
    index: NDArray[np.integer],
) -> NDArray[np.float32]:
    """Return the variance of the OD that comes from the references' errors.

    Parameters
    ----------
    od : ndarray of shape (n_energies, n_spectra)
    references, reference_std : ndarray of shape (n_phases, n_energies)
    index : ndarray of shape (n_spectra,)
        The phase whose errors count for a spectrum, as thick as the spectrum's slope along the
        reference says, whatever its constant.

    Returns
    -------
    ndarray of shape (n_energies, n_spectra), float32
    """
    variance = empty_as(od, od.shape)
    variance[...] = 0
    for k, (reference, std) in enumerate(zip(references, reference_std, strict=True)):
        centred = (reference - reference.mean()).astype(np.float32)
        chosen = np.flatnonzero(index == k)
        spectra = in_bands(partial(_columns, od, chosen), empty_as(od, (len(od), len(chosen))))
        along = product(centred[None], spectra)[0]
        thickness = np.maximum(along, 0) / np.float32(np.square(centred).sum())
        for part in bands(len(chosen)):
            of_part = std.astype(np.float32)[:, None] * thickness[part]
            variance[:, chosen[part]] = np.square(of_part)
    return variance


def _columns(
    od: NDArray[np.floating], chosen: NDArray[np.intp], part: slice
) -> NDArray[np.floating]:
    """Return some of the chosen spectra."""
    return od[:, chosen[part]]


def has_free_constant(recipe: Recipe) -> bool:
    """Return True if a spectrum's constant has no prior: I0 has no scale, or the recipe says so."""
    if recipe.resolver.baseline == "auto":
        return recipe.i0.source in ("spectrum", "monitor")
    return recipe.resolver.baseline in ("constant", "slope")
