"""Spectra with all that their likelihood needs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.phase_mapping.spectrum_noise import SpectrumNoise


class CountedSpectra(NamedTuple):
    """Spectra, the photons behind them, the references, and the noise.

    Parameters
    ----------
    od, photons : ndarray of shape (n_energies, n_spectra)
        Optical density, and the detected photons of each value; 0 where it was not measured.
    references : ndarray of shape (n_phases, n_energies)
        Optical density of one unit of thickness.
    noise : SpectrumNoise
    """

    od: NDArray[np.floating]
    photons: NDArray[np.floating]
    references: NDArray[np.float64]
    noise: SpectrumNoise

    @property
    def n_spectra(self) -> int:
        """Return how many spectra there are."""
        return int(self.od.shape[1])

    def at(self, chosen: slice | NDArray[np.intp]) -> CountedSpectra:
        """Return some of the spectra."""
        od, photons = self.od[:, chosen], self.photons[:, chosen]
        return CountedSpectra(od, photons, self.references, self.noise.at(chosen))
