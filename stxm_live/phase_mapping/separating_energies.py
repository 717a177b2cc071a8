"""Energies that would distinguish a phase from the mixtures of others that look like it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.references import ReferenceSpectra, listed_ev
from stxm_live.phase_mapping.mixed_references import WITHIN_SIGMA, TypicalPixel
from stxm_live.phase_mapping.weighted_products import Baseline

_STEP_EV = 0.2
"""Distance of the energies that are tried."""

_MOST_TRIED = 400
"""A range so wide that it has more steps is divided into this many."""

_NO_DOSE = 1e9
"""Photons that no specimen survives."""

_FURTHER = 2
"""Energies that are proposed."""


@dataclass(frozen=True)
class FurtherEnergies:
    """The best further energies for a phase, and the distance from other phases' mixtures.

    Parameters
    ----------
    phase : str
    energies_ev : tuple of float
        The best one, and the best one beside it.
    sigma : tuple of float
        Distance of the nearest mixture with the first of them, with the first two, and so on.
    sigma_with_all : float
        With all energies that were tried.
    range_ev : tuple of float
        Lowest and highest energy that was tried.
    photons : float
        That separate the phase with the energies as they are.
    """

    phase: str
    energies_ev: tuple[float, ...]
    sigma: tuple[float, ...]
    sigma_with_all: float
    range_ev: tuple[float, float]
    photons: float

    def __str__(self) -> str:
        low, high = self.range_ev
        enough = [n for n, sigma in enumerate(self.sigma, 1) if sigma >= WITHIN_SIGMA]
        if enough:
            n = enough[0]
            reached = f"{self.sigma[n - 1]:.1f} sigma"
            return f"measure {listed_ev(sorted(self.energies_ev[:n]))} eV in addition ({reached})"
        dose = f"1 sigma takes {float(f'{self.photons:.2g}'):,.0f} photons per pixel and energy"
        if self.photons > _NO_DOSE:
            dose = "no dose is enough"
        if self.sigma_with_all < WITHIN_SIGMA:
            return (
                f"no further energy from {low:g} to {high:g} eV is enough "
                f"({self.sigma_with_all:.2f} sigma with all of them); {dose}"
            )
        return (
            f"{listed_ev(sorted(self.energies_ev))} eV in addition are not enough "
            f"({max(self.sigma, default=0.0):.2f} sigma), all energies from {low:g} to {high:g} eV "
            f"are ({self.sigma_with_all:.1f} sigma); {dose}"
        )


def further_energies(
    phase: str,
    spectra: ReferenceSpectra,
    energies_ev: Sequence[float],
    *,
    photons: float,
    od: float,
    baseline: Baseline,
) -> FurtherEnergies:
    """Find the energies that separate a phase best from all mixtures of the others.

    Parameters
    ----------
    phase : str
    spectra : ReferenceSpectra
        Their range is searched in steps of 0.2 eV.
    energies_ev : sequence of float
        Those that are measured anyway.
    photons, od : float
        As for `TypicalPixel.expected`; further energies get as many photons.
    baseline : Baseline
        At ``energies_ev``.
    """
    k = spectra.phase_names.index(phase)
    others = [j for j in range(spectra.n_phases) if j != k]

    def sigma(energies: Sequence[float]) -> float:
        wider = baseline.stretched(np.asarray(energies, dtype=np.float64))
        pixel = TypicalPixel.expected(spectra, energies, photons=photons, od=od, baseline=wider)
        return pixel.distance(k, others)[1]

    low, high = float(spectra.energies_ev[0]), float(spectra.energies_ev[-1])
    tried = _tried(low, high, energies_ev)
    chosen: list[float] = []
    reached: list[float] = []
    while len(chosen) < _FURTHER and len(tried):
        each = [sigma([*energies_ev, *chosen, e]) for e in tried]
        best = int(np.argmax(each))
        chosen.append(float(tried[best]))
        reached.append(each[best])
        tried = np.delete(tried, best)
    with_all = sigma([*energies_ev, *chosen, *tried])
    now = sigma(energies_ev)
    needed = photons * (WITHIN_SIGMA / now) ** 2 if now > 0 else np.inf
    return FurtherEnergies(
        phase, tuple(chosen), tuple(reached), with_all, (low, high), float(needed)
    )


def _tried(low: float, high: float, measured_ev: Sequence[float]) -> NDArray[np.float64]:
    """Return energies of the range that are not among those measured."""
    n_steps = min(max(1, round((high - low) / _STEP_EV)), _MOST_TRIED)
    tried = np.round(np.linspace(low, high, n_steps + 1), 4).clip(low, high)
    apart = np.abs(tried[:, None] - np.asarray(measured_ev, dtype=np.float64))
    return np.asarray(tried[apart.min(axis=1, initial=np.inf) > _STEP_EV / 4])
