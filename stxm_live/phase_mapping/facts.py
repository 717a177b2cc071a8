"""Facts about a result that its verdict rests on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.energy_axis import EnergyAxis
from stxm_live.core.mixed_reference import MixedReference
from stxm_live.core.quantity import Quantity
from stxm_live.core.specimen_change import SpecimenChange
from stxm_live.core.twins import Twins
from stxm_live.phase_mapping.layers import LayeredPhase
from stxm_live.phase_mapping.residuals import Residual
from stxm_live.phase_mapping.scan_errors.errors import SharedErrors

DISPERSED = 1.25
"""Variance over mean of the counts, or its inverse, that is worth a word."""


@dataclass(frozen=True)
class Facts:
    """Facts that the verdict rests on.

    Parameters
    ----------
    missing_ev : tuple of float
        Energies that the maps lack.
    quantity : Quantity
        What the stack recorded.
    copied_ev : tuple of float
        Those of them with an image that is a copy of another energy's.
    separation : float
        1 - PCC of the closest pair of references on the energies used.
    wrong_probability : ndarray or None
        Of the specimen pixels.
    median_counts : float
        Of the specimen's pixels, each averaged over the energies.
    misfit : float or None
        Variance of spectra about the best reference, over the counting noise.
    common_field : float
        Share of the field that every image shows.
    invalid_share : float
        Share of the specimen without a valid spectrum.
    n_specimen : int
    energy_axis : EnergyAxis or None
        What the scan says of its own energy axis, where it was looked for.
    i0_relative_std : float
        Largest standard uncertainty of I0 over I0; NaN if unknown.
    dispersion : float or None
        Variance of the counts over that of Poisson statistics.
    scatter : float or None
        Variance of the spectra about the references over that of photons, where nothing shows
        the noise that residuals are judged by.
    unidentified_share : float
        Share of the mapped specimen that no reference describes.
    largest_od : float
        Median over the specimen of each pixel's largest OD; NaN if unknown, as with an I0 that
        is not from these images and may have other units.
    specimen_in_box : float
        Share of the box for I0 that is specimen.
    axis_applies : bool
        Whether the references still cover the scan with the energy axis that was found.
    residual : Residual or None
        What the references leave of the spectra.
    phase_names : tuple of str
    energies_ev : tuple of float
        Of the maps.
    mixed_references : tuple of MixedReference
        Mapped phases that mixtures of others cannot be distinguished from.
    layered : tuple of LayeredPhase
        Those of them whose areas change gradually, as layers do.
    shared_errors : SharedErrors or None
        Errors of scan and references that explain what agreed with no reference.
    axis_fitted : bool
        An energy axis was fitted to the scan.
    twins : tuple of tuple of str
        Phases that the map does not distinguish.
    mixed_share : float
        Share of the identified pixels that hold two phases.
    change : SpecimenChange or None
        Change of the specimen during the scan, where an energy was measured twice.
    """

    missing_ev: tuple[float, ...]
    separation: float
    wrong_probability: NDArray[np.float32] | None
    median_counts: float
    misfit: float | None
    common_field: float
    invalid_share: float
    n_specimen: int
    energy_axis: EnergyAxis | None = None
    i0_relative_std: float = float("nan")
    dispersion: float | None = None
    scatter: float | None = None
    unidentified_share: float = 0.0
    largest_od: float = float("nan")
    specimen_in_box: float = 0.0
    axis_applies: bool = True
    residual: Residual | None = None
    phase_names: tuple[str, ...] = ()
    energies_ev: tuple[float, ...] = ()
    mixed_references: tuple[MixedReference, ...] = ()
    layered: tuple[LayeredPhase, ...] = ()
    change: SpecimenChange | None = None
    shared_errors: SharedErrors | None = None
    axis_fitted: bool = True
    copied_ev: tuple[float, ...] = ()
    quantity: Quantity = "counts"
    twins: Twins = ()
    mixed_share: float = 0.0

    @property
    def expected_wrong(self) -> float:
        """Mean probability of a wrong label; 0 where there is no label."""
        wrong = self.wrong_probability
        return 0.0 if wrong is None or not wrong.size else float(wrong.mean())

    @property
    def light(self) -> str:
        """The counts in words, and how noisy they are if not as photons."""
        if self.quantity != "counts":
            if self.dispersion is None:
                return "an unknown noise of the images"
            photons = self.median_counts / self.dispersion
            return f"a noise as of about {photons:.0f} photons per pixel"
        counts = f"about {self.median_counts:.0f} counts per pixel"
        if self.dispersion is None or 1 / DISPERSED < self.dispersion < DISPERSED:
            return counts
        return f"{counts} (variance {self.dispersion:.2g} times the mean)"
