"""Energy offset and extra width of a scan against its references, with their uncertainties."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.energy_axis import AT_THE_END_EV, EnergyAxis
from stxm_live.core.even_selection import at_most
from stxm_live.core.references import ReferenceSpectra, listed_ev
from stxm_live.phase_mapping.energy_calibration.likelihood import (
    FREE_PER_SPECTRUM,
    AxisLikelihood,
    compositions,
)
from stxm_live.phase_mapping.energy_calibration.search import (
    OFFSET_STEP_EV,
    STEPS,
    WIDTHS_EV,
    Place,
    log_likelihood_surface,
    refined_place,
)
from stxm_live.phase_mapping.energy_calibration.uncertainty import (
    energies_left_out,
    formal_std,
    mixtures_forbidden,
    one_composition,
)
from stxm_live.phase_mapping.weighted_products import Baseline

REACH_EV = 0.8
"""Offsets are looked for this far on either side."""

_SPECTRA, _FIRST_SPECTRA = 1600, 300
"""Even selections for the estimate and for the first search."""

_LEAST_SPECTRA = 30

_MOST_ENERGIES = 0.7
"""Share of the energies that a spectrum has at least, where hardly any has all."""

_MOSTLY = 0.8
"""Share of spectra that agree with no reference, from which the axis cannot be judged."""

_LEAST_SIGNAL = 4.0
"""Noise alone reaches about 2 with the best of all templates."""


class EnergyAxisError(ValueError):
    """The scan cannot tell its energy axis; the message says why."""


def fit_energy_axis(
    od: NDArray[np.floating],
    photons: NDArray[np.floating],
    references: ReferenceSpectra,
    energies_ev: NDArray[np.float64],
    *,
    baseline: Baseline | None = None,
    gain: float | None = None,
    around_ev: float = 0.0,
) -> EnergyAxis:
    """Offset and extra width together, by the marginal likelihood of the whole scan.

    Parameters
    ----------
    od, photons : ndarray of shape (n_energies, n_spectra)
        Optical density, and detected photons behind each value. Spectra with a value that is not
        finite are left out, and those that lack energies, without photons, unless too few are
        whole; of the others an even selection is used.
    references : ReferenceSpectra
        As measured: with no offset and no extra width.
    energies_ev : ndarray of shape (n_energies,)
        Nominal, ascending.
    baseline : Baseline, optional
        What each spectrum has besides its thickness, in units of the photons
        (`Baseline.in_units_of`); nothing by default.
    gain : float, optional
        Variance over mean of the photons, where the empty support shows it. Spectra that agree
        with no reference at the most probable place are then left out of a second fit.
    around_ev : float
        Offsets are looked for `REACH_EV` on either side of this one, never so far that the
        references would have to be extrapolated.

    Returns
    -------
    EnergyAxis

    Raises
    ------
    EnergyAxisError
        With too few energies or spectra, with spectra that hardly stand out of the noise or
        agree with no reference whatever the offset, or if the references do not reach beyond
        the scan.

    Notes
    -----
    Phase frequencies, thickness and, for each pixel, mixtures of two phases are free: with pure
    phases only, compositions halfway between two references shift the offset by 0.13 eV.
    """
    nominal = np.asarray(energies_ev, dtype=np.float64)
    baseline = baseline or Baseline.none(len(nominal))
    used, offsets, notes = _search_range(nominal, references, around_ev, baseline.n_free)
    finite = np.isfinite(od).all(axis=0) & np.isfinite(photons).all(axis=0)
    usable = finite & (photons > 0).all(axis=0)
    if usable.sum() < _LEAST_SPECTRA:
        usable = finite & ((photons > 0).mean(axis=0) >= _MOST_ENERGIES)
    if usable.sum() < _LEAST_SPECTRA:
        raise EnergyAxisError(
            f"{usable.sum()} nearly whole spectra; the energy axis needs {_LEAST_SPECTRA} at least"
        )
    chosen = np.flatnonzero(usable)[at_most(_SPECTRA, int(usable.sum()))]
    likelihood = AxisLikelihood(
        od[np.ix_(used, chosen)],
        photons[np.ix_(used, chosen)],
        references,
        nominal[used],
        compositions(references.n_phases),
        baseline=baseline.at(used),
    )
    surface, place = _most_probable(likelihood, offsets, around_ev)
    if gain is not None:
        strange = likelihood.strangeness(place.offset_ev, place.width_ev, gain)
        known = int((~strange).sum())
        if strange.mean() > _MOSTLY or known < _LEAST_SPECTRA:
            raise EnergyAxisError(
                f"with any offset {100 * strange.mean():.0f} % of the spectra agree with no "
                "reference; what makes them differ has to be found first"
            )
        if strange.any():
            likelihood = likelihood.of_spectra(~strange)
            surface, place = _most_probable(likelihood, offsets, around_ev)
    return _with_uncertainty(likelihood, place, offsets, surface, notes)


def _most_probable(
    likelihood: AxisLikelihood, offsets_ev: NDArray[np.float64], around_ev: float
) -> tuple[NDArray[np.float64], Place]:
    """Log likelihood of one spectrum over widths and offsets, and its top."""
    first = likelihood.thinned(_FIRST_SPECTRA)
    surface = log_likelihood_surface(first, offsets_ev, around_ev)
    k, i = np.unravel_index(int(surface.argmax()), surface.shape)
    place = Place(float(offsets_ev[i]), WIDTHS_EV[k], np.zeros((2, 2)))
    signal = first.signal_to_noise(place.offset_ev, place.width_ev)
    if signal < _LEAST_SIGNAL:
        raise EnergyAxisError(
            f"the median spectrum stands out of its noise by {signal:.1f} deviations only, "
            f"{_LEAST_SIGNAL:g} are needed: too thin, or too few photons"
        )
    bounds = (float(offsets_ev[0]), float(offsets_ev[-1]))
    for steps in STEPS:
        likelihood.reweight(place.offset_ev, place.width_ev)
        place = refined_place(likelihood, place, steps, bounds)
    return surface / first.od.shape[1], place


def _search_range(
    energies_ev: NDArray[np.float64],
    references: ReferenceSpectra,
    around_ev: float,
    n_free: int,
) -> tuple[NDArray[np.bool_], NDArray[np.float64], list[str]]:
    """Return the energies that take part, the offsets of the first search, and notes."""
    notes = []
    low, high = references.energies_ev[0], references.energies_ev[-1]
    least = FREE_PER_SPECTRUM + 3 + n_free  # offset and width are still found without one
    first, last = around_ev - REACH_EV, around_ev + REACH_EV
    used = (energies_ev + first >= low) & (energies_ev + last <= high)
    if used.sum() < max(least, 0.75 * len(energies_ev)):
        used = np.ones(len(energies_ev), dtype=bool)
    if used.sum() < least:
        raise EnergyAxisError(
            f"{len(energies_ev)} energies; the energy axis needs {least} at least"
        )
    if not used.all():
        notes.append(
            "the energy axis is fitted without "
            f"{listed_ev(energies_ev[~used])} eV, where the references end"
        )
    first = max(first, float(low - energies_ev[used][0]))
    last = min(last, float(high - energies_ev[used][-1]))
    if last - first < OFFSET_STEP_EV:
        raise EnergyAxisError(
            f"the references cover {low:g} to {high:g} eV and hardly reach beyond the scan "
            f"({energies_ev[0]:g} to {energies_ev[-1]:g} eV): no offset can be tried"
        )
    n = int(np.ceil((last - first) / OFFSET_STEP_EV - 1e-9)) + 1
    return used, np.linspace(first, last, n), notes


def _with_uncertainty(
    likelihood: AxisLikelihood,
    place: Place,
    offsets_ev: NDArray[np.float64],
    surface: NDArray[np.float64],
    notes: list[str],
) -> EnergyAxis:
    """Return the estimate with every term of its uncertainty, and the notes on it."""
    bounds = (float(offsets_ev[0]), float(offsets_ev[-1]))
    formal = formal_std(place, bounds)
    jackknife = energies_left_out(likelihood, place, bounds)
    mixture = mixtures_forbidden(likelihood, place, bounds)
    likelihood.settle(place.offset_ev, place.width_ev)
    alike_ev, words = one_composition(likelihood, place, offsets_ev)
    total = np.sqrt(formal**2 + jackknife**2 + mixture**2)
    if min(place.offset_ev - bounds[0], bounds[1] - place.offset_ev) < AT_THE_END_EV:
        words.append(
            f"the energy offset lies at the end of what was tried, {bounds[0]:+.2f} to "
            f"{bounds[1]:+.2f} eV: it may be larger"
        )
    return EnergyAxis(
        offset_ev=place.offset_ev,
        offset_std_ev=float(np.hypot(total[0], alike_ev)),
        width_ev=place.width_ev,
        width_std_ev=float(total[1]),
        formal_std_ev=float(formal[0]),
        energies_std_ev=float(jackknife[0]),
        mixture_std_ev=float(mixture[0]),
        composition_std_ev=alike_ev,
        offsets_ev=offsets_ev,
        widths_ev=np.array(WIDTHS_EV),
        log_likelihood=surface,
        notes=(*notes, *words),
    )
