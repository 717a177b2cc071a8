"""Calibration of the energy axis that is estimated from a scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

AT_THE_END_EV = 0.02


@dataclass(frozen=True, eq=False)
class EnergyAxis:
    """Calibration of the energy axis, estimated from the scan itself.

    Parameters
    ----------
    offset_ev, offset_std_ev : float
        True minus nominal energy, and its standard uncertainty, all terms included.
    width_ev, width_std_ev : float
        Standard deviation of the Gaussian by which the beam is wider in energy than that of the
        references; not negative.
    formal_std_ev, energies_std_ev, mixture_std_ev, composition_std_ev : float
        The terms of ``offset_std_ev``: counting noise alone; leaving energies out in turn
        (references of another shape); whether pixels may be mixtures; and a field of one
        composition, where a shift and another oxidation state look alike.
    offsets_ev, widths_ev : ndarray
        Grid of the first search.
    log_likelihood : ndarray of shape (n_widths, n_offsets)
        Mean over the spectra, 0 at the maximum.
    notes : tuple of str
    """

    offset_ev: float
    offset_std_ev: float
    width_ev: float
    width_std_ev: float
    formal_std_ev: float
    energies_std_ev: float
    mixture_std_ev: float
    composition_std_ev: float
    offsets_ev: NDArray[np.float64]
    widths_ev: NDArray[np.float64]
    log_likelihood: NDArray[np.float64]
    notes: tuple[str, ...] = ()

    @property
    def at_the_end(self) -> bool:
        """Return True if the offset is at the end of the search range, and so not determined."""
        low, high = float(self.offsets_ev[0]), float(self.offsets_ev[-1])
        return min(self.offset_ev - low, high - self.offset_ev) < AT_THE_END_EV

    def has_offset(self, known_ev: float, at_least_ev: float) -> bool:
        """Return True if the offset differs from a known one by more than it and two deviations."""
        return abs(self.offset_ev - known_ev) > max(at_least_ev, 2 * self.offset_std_ev)

    def has_width(self, known_ev: float, at_least_ev: float) -> bool:
        """Return True if the beam width differs from a known one; the rule is that of offsets."""
        return abs(self.width_ev - known_ev) > max(at_least_ev, 2 * self.width_std_ev)
