"""The noise of a scan's spectra: from its empty support, or as photons have it."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.od_uncertainty import smoothing
from stxm_live.core.recipe import Recipe
from stxm_live.phase_mapping.correlation import Correlated
from stxm_live.phase_mapping.counted_spectra import CountedSpectra
from stxm_live.phase_mapping.spectrum_noise import (
    SpectrumNoise,
    spectrum_noise,
    variance_of_references,
)
from stxm_live.phase_mapping.stray_light import stray_share, without_stray_light
from stxm_live.preprocessing.normalization import ODStack

LIKE_PHOTONS = 1.5
"""Factor on the noise of photons, or its inverse, up to which spectra scatter as photons do."""


class NoisySpectra(NamedTuple):
    """Spectra of a scan as labels are made from them.

    ``spectra`` and ``photons`` (n_energies, n_spectra) are without the ``stray_light``, a share of
    the light that the specimen can absorb.
    """

    spectra: Correlated
    photons: NDArray[np.float32]
    noise: SpectrumNoise
    stray_light: float

    @property
    def counted(self) -> CountedSpectra:
        """Return what a likelihood needs of them."""
        return CountedSpectra(self.spectra.od, self.photons, self.spectra.references, self.noise)


def noisy_spectra(spectra: Correlated, stack: ODStack, recipe: Recipe) -> NoisySpectra:
    """Return the spectra of a scan without stray light, and their noise.

    Coefficients and references of ``spectra`` stay as they are.
    """
    photons = photons_of(stack, recipe)
    noise = noise_of(spectra, photons, stack, recipe)
    found = NoisySpectra(spectra, photons, noise, 0.0)
    if not _shows_transmission(stack, recipe):
        return found
    share = stray_share(found.counted, recipe.corrected_references, list(stack.energies_ev))
    if not share:
        return found
    passed = without_stray_light(found.counted, share)
    spectra = replace(spectra, od=passed.od)
    noise = noise_of(spectra, passed.photons, stack, recipe)
    return NoisySpectra(spectra, passed.photons, noise, share)


def _shows_transmission(stack: ODStack, recipe: Recipe) -> bool:
    """Return True if I over I0 is the transmission, on its own scale."""
    return stack.quantity != "yield" and recipe.i0.source not in ("spectrum", "monitor")


def photons_of(stack: ODStack, recipe: Recipe) -> NDArray[np.float32]:
    """Return the photons behind each value of the mapped spectra, (n_energies, n_spectra).

    0 where an image lacks a pixel.
    """
    return stack.photons(recipe.detector.photons_per_count)


def noise_of(
    spectra: Correlated, photons: NDArray[np.float32], stack: ODStack, recipe: Recipe
) -> SpectrumNoise:
    """Return what the spectra of a scan differ by besides their phase."""
    noise = spectrum_noise(
        spectra.od,
        photons,
        spectra.references,
        np.array(stack.energies_ev),
        recipe,
        gain=counts_per_photon(stack, recipe),
    )
    std = recipe.corrected_references.std_at(stack.energies_ev)
    if std is not None:
        noise = noise._replace(
            of_references=variance_of_references(
                spectra.od, spectra.references, std, spectra.best.first_index
            )
        )
    return noise


def counts_per_photon(stack: ODStack, recipe: Recipe) -> float | None:
    """Variance over mean of the aligned counts, in photons, as the empty support shows it."""
    if stack.dispersion is None:
        return None
    return stack.dispersion * recipe.detector.photons_per_count * photon_gain(stack)


def noise_for_residuals(noise: SpectrumNoise, stack: ODStack) -> SpectrumNoise | None:
    """Return the noise that residuals are judged by, None where nothing shows it.

    Without an empty support it is that of photons, if the spectra scatter as photons do. If they
    do not, it may be the counter or the references.
    """
    if noise.from_support:
        return noise
    if scatters_like_photons(noise.gain, stack):
        return noise._replace(gain=min(noise.gain, photon_gain(stack)))
    return None


def scatters_like_photons(gain: float, stack: ODStack) -> bool:
    """Return True if a variance over mean is that of photons, as the alignment smooths them.

    Images that are no counts have another scale, on which it would be by accident.
    """
    if stack.quantity != "counts":
        return False
    ratio = gain / photon_gain(stack)
    return 1 / LIKE_PHOTONS < ratio < LIKE_PHOTONS


def photon_gain(stack: ODStack) -> float:
    """Return the variance over mean of photons after the smoothing by the alignment."""
    return float(smoothing(stack.shifts_px).mean())
