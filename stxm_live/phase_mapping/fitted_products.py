"""Products of references and spectra with the weights that the best reference predicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from stxm_live.core.threads import in_threads
from stxm_live.phase_mapping.counted_spectra import CountedSpectra
from stxm_live.phase_mapping.likelihood import best_model_photons, photons_worth, unbiased
from stxm_live.phase_mapping.weighted_products import Products, products

_T = TypeVar("_T")

_CHUNK = 4096
"""Spectra taken at once: few enough for the cache, many enough that threads seldom wait for each
other. The result does not depend on the number of threads."""


def fitted_products(spectra: CountedSpectra) -> Products:
    """Return `products` in units of photons."""
    od, photons, references, noise = spectra
    baseline, n = noise.baseline.in_units_of(noise.gain), photons.astype(np.float64)
    expected = best_model_photons(unbiased(od, n, noise.gain), n, references, baseline)
    y = unbiased(od, expected, noise.gain)
    del n
    if noise.of_references is not None:
        expected = photons_worth(expected, noise.of_references, noise.gain)
    return products(y, expected, references, baseline)


def each_part(use: Callable[[slice, Products], _T], spectra: CountedSpectra) -> list[_T]:
    """Return what a function makes of the products of each part of the spectra, in order.

    The function is called from several threads.
    """

    def of_part(start: int) -> _T:
        part = slice(start, start + _CHUNK)
        return use(part, fitted_products(spectra.at(part)))

    return in_threads(of_part, range(0, spectra.n_spectra, _CHUNK))
