"""Uncertainty of an energy offset and an extra width, term by term."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.products import product
from stxm_live.phase_mapping.energy_calibration.likelihood import AxisLikelihood
from stxm_live.phase_mapping.energy_calibration.search import (
    OFFSET_STEP_EV,
    STEPS,
    WIDTHS_EV,
    Place,
    refined_place,
    top,
)

_JACKKNIFE_SPECTRA = 300
"""An even selection, enough for leaving energies out."""

_GROUPS = 13
"""At most so many groups of energies are left out in turn."""

_ONE_COMPOSITION = 0.004
"""Variance of the spectra below which the field has one composition; see `_spread`."""


def mixtures_forbidden(
    likelihood: AxisLikelihood, place: Place, bounds_ev: tuple[float, float]
) -> NDArray[np.float64]:
    """Half of what pure phases alone change in offset and width."""
    pure = likelihood.of_templates(np.eye(likelihood.references.n_phases))
    return np.asarray(
        np.abs(np.subtract(refined_place(pure, place, STEPS[0], bounds_ev)[:2], place[:2])) / 2
    )


def formal_std(place: Place, bounds: tuple[float, float]) -> NDArray[np.float64]:
    """Return those of offset and width from the curvature, or the whole range without one."""
    range_std = np.array([bounds[1] - bounds[0], WIDTHS_EV[-1]]) / np.sqrt(12)
    information = -place.hessian + np.diag(range_std**-2.0)
    if np.any(np.linalg.eigvalsh(information) <= 0):
        return np.asarray(np.maximum(np.diag(information), range_std**-2.0) ** -0.5)
    return np.asarray(np.sqrt(np.diag(np.linalg.inv(information))))


def energies_left_out(
    likelihood: AxisLikelihood, place: Place, bounds: tuple[float, float]
) -> NDArray[np.float64]:
    """Jackknife deviation of offset and width over groups of energies."""
    few = likelihood.thinned(_JACKKNIFE_SPECTRA)
    groups = [slice(k, None, _GROUPS) for k in range(min(len(few.energies_ev), _GROUPS))]
    found = [top(few.without_energies(group), place[:2], STEPS[1], bounds)[:2] for group in groups]
    return np.asarray(np.sqrt((len(found) - 1) * np.var(found, axis=0)))


def one_composition(
    likelihood: AxisLikelihood, place: Place, offsets_ev: NDArray[np.float64]
) -> tuple[float, list[str]]:
    """Return the possible error of a scan of one composition, 0 for others, and a note.

    It is half the way to the offset at which another reference looks most like this composition.
    """
    references, frequencies = likelihood.references, likelihood.frequencies
    shares = product(frequencies[None], likelihood.templates)[0]
    spectra = likelihood.spectra_at(place.offset_ev, place.width_ev)
    if _spread(spectra, frequencies, references.n_phases) > _ONE_COMPOSITION:
        return 0.0, []
    main = int(shares.argmax())
    here = shares @ spectra[: len(shares)]
    likeness = np.array(
        [_likeness(likelihood.spectra_at(float(o), place.width_ev), here) for o in offsets_ev]
    )[:, : len(shares)]
    away = np.abs(offsets_ev[likeness.argmax(axis=0)] - place.offset_ev)
    away[main] = np.inf
    other = int(away.argmin())
    note = (
        f"one composition only in the field ({references.phase_names[main]}): energy offset and "
        f"oxidation cannot be told apart; {references.phase_names[other]} at an offset of "
        f"{offsets_ev[likeness[:, other].argmax()]:+.1f} eV looks most like it"
    )
    return float(max(away[other], OFFSET_STEP_EV)) / 2, [note]


def _spread(spectra: NDArray[np.float64], frequencies: NDArray[np.float64], n_phases: int) -> float:
    """Variance of the spectra over the scan, in squares of the distance of the farthest phases.

    Infinite if all phases have the same spectrum.
    """
    pure = spectra[:n_phases]
    farthest = ((pure[:, None] - pure) ** 2).sum(axis=2).max()
    mean = product(frequencies[None], spectra)
    variance = frequencies @ ((spectra - mean) ** 2).sum(axis=1)
    return float(variance / farthest) if farthest > 0 else np.inf


def _likeness(spectra: NDArray[np.float64], to: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson coefficient of each spectrum with one."""
    centred = spectra - spectra.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(centred, axis=1)
    along = product(centred, (to - to.mean())[:, None])[:, 0]
    return np.asarray(along / np.where(norm > 0, norm, 1.0))
