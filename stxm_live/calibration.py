"""Energy offset and extra width of a scan against its references, with their uncertainties."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.axis_likelihood import FREE_PER_SPECTRUM, AxisLikelihood, compositions, thinning
from stxm_live.references import ReferenceSpectra, listed_ev

REACH_EV = 0.8
"""Offsets are looked for this far on either side."""

WIDTHS_EV = (0.0, 0.15, 0.3, 0.45, 0.6)
"""Extra widths of the first search."""

_OFFSET_STEP_EV = 0.1

_SPECTRA, _FIRST_SPECTRA, _JACKKNIFE_SPECTRA = 1600, 300, 300
"""Even selections for the estimate, for the first search and for leaving energies out."""

_GROUPS = 13
"""At most so many groups of energies are left out in turn."""

_LEAST_SPECTRA = 30

_LEAST_SIGNAL = 4.0
"""Noise alone reaches about 2 with the best of all templates."""

_STEPS = ((0.06, 0.1), (0.025, 0.05), (0.02, 0.035))
"""Stencils of the refinement in eV: offset and width, which counts alike below and above zero."""

_ONE_COMPOSITION = 0.004
"""Variance of the spectra below which the field has one composition; see `_spread`."""


class EnergyAxisError(ValueError):
    """The scan cannot tell its energy axis; the message says why."""


@dataclass(frozen=True, eq=False)
class EnergyAxis:
    """What a scan says of its own energy axis.

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
        Where the first search looked.
    log_likelihood : ndarray of shape (n_widths, n_offsets)
        Mean over the spectra, 0 at the best place.
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

    def has_offset(self, known_ev: float, at_least_ev: float) -> bool:
        """Whether the offset differs from a known one by more than that and two deviations."""
        return abs(self.offset_ev - known_ev) > max(at_least_ev, 2 * self.offset_std_ev)

    def has_width(self, known_ev: float, at_least_ev: float) -> bool:
        """Whether the beam is wider, or narrower, than known by more than that; as for offsets."""
        return abs(self.width_ev - known_ev) > max(at_least_ev, 2 * self.width_std_ev)


class _Place(NamedTuple):
    """An offset, a width, and the curvature of the log likelihood there."""

    offset_ev: float
    width_ev: float
    hessian: NDArray[np.float64]


def fit_energy_axis(
    od: NDArray[np.floating],
    photons: NDArray[np.floating],
    references: ReferenceSpectra,
    energies_ev: NDArray[np.float64],
    *,
    baseline: bool = False,
    around_ev: float = 0.0,
) -> EnergyAxis:
    """Offset and extra width together, by the marginal likelihood of the whole scan.

    Parameters
    ----------
    od, photons : ndarray of shape (n_energies, n_spectra)
        Optical density, and detected photons behind each value. Spectra with a value that is not
        finite, or without a photon, are left out; of the others an even selection is used.
    references : ReferenceSpectra
        As measured: with no offset and no extra width.
    energies_ev : ndarray of shape (n_energies,)
        Nominal, ascending.
    baseline : bool
        Whether each spectrum has a free constant beside its thickness.
    around_ev : float
        Offsets are looked for `REACH_EV` on either side of this one, never so far that the
        references would have to be extrapolated.

    Returns
    -------
    EnergyAxis

    Raises
    ------
    EnergyAxisError
        With too few energies or spectra, with spectra that hardly stand out of the noise, or if
        the references do not reach beyond the scan.

    Notes
    -----
    Phase frequencies, thickness and, for each pixel, mixtures of two phases are free: with pure
    phases only, compositions halfway between two references shift the offset by 0.13 eV.
    """
    nominal = np.asarray(energies_ev, dtype=np.float64)
    used, offsets, notes = _search_range(nominal, references, around_ev, baseline)
    usable = np.isfinite(od).all(axis=0) & (np.isfinite(photons) & (photons > 0)).all(axis=0)
    if usable.sum() < _LEAST_SPECTRA:
        raise EnergyAxisError(
            f"{usable.sum()} whole spectra; the energy axis needs {_LEAST_SPECTRA} at least"
        )
    chosen = np.flatnonzero(usable)[:: thinning(int(usable.sum()), _SPECTRA)]
    likelihood = AxisLikelihood(
        od[np.ix_(used, chosen)],
        photons[np.ix_(used, chosen)],
        references,
        nominal[used],
        compositions(references.n_phases),
        baseline=baseline,
    )
    first = likelihood.thinned(_FIRST_SPECTRA)
    surface = _surface(first, offsets, around_ev)
    k, i = np.unravel_index(int(surface.argmax()), surface.shape)
    place = _Place(float(offsets[i]), WIDTHS_EV[k], np.zeros((2, 2)))
    signal = first.signal_to_noise(place.offset_ev, place.width_ev)
    if signal < _LEAST_SIGNAL:
        raise EnergyAxisError(
            f"the median spectrum stands out of its noise by {signal:.1f} deviations only, "
            f"{_LEAST_SIGNAL:g} are needed: too thin, or too few photons"
        )
    bounds = (float(offsets[0]), float(offsets[-1]))
    for steps in _STEPS:
        likelihood.reweight(place.offset_ev, place.width_ev)
        place = _refined(likelihood, place, steps, bounds)
    return _with_uncertainty(likelihood, place, offsets, surface / first.od.shape[1], notes)


def _search_range(
    energies_ev: NDArray[np.float64],
    references: ReferenceSpectra,
    around_ev: float,
    baseline: bool,
) -> tuple[NDArray[np.bool_], NDArray[np.float64], list[str]]:
    """Which energies take part, the offsets of the first search, and what is to be said of it."""
    notes = []
    low, high = references.energies_ev[0], references.energies_ev[-1]
    least = FREE_PER_SPECTRUM + 2 + baseline
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
    if last - first < _OFFSET_STEP_EV:
        raise EnergyAxisError(
            f"the references cover {low:g} to {high:g} eV and hardly reach beyond the scan "
            f"({energies_ev[0]:g} to {energies_ev[-1]:g} eV): no offset can be tried"
        )
    n = int(np.ceil((last - first) / _OFFSET_STEP_EV - 1e-9)) + 1
    return used, np.linspace(first, last, n), notes


def _surface(
    likelihood: AxisLikelihood, offsets_ev: NDArray[np.float64], around_ev: float
) -> NDArray[np.float64]:
    """Log likelihood (n_widths, n_offsets) minus its largest value, templates equally frequent."""
    start = float(np.clip(around_ev, offsets_ev[0], offsets_ev[-1]))
    for _ in range(2):  # weights from where it is likely
        likelihood.reweight(start, 0.0)
        line = [likelihood.flat_value(float(o), 0.15) for o in offsets_ev]
        start = float(offsets_ev[int(np.argmax(line))])
    likelihood.reweight(start, 0.15)
    surface = np.array(
        [[likelihood.flat_value(float(o), w) for o in offsets_ev] for w in WIDTHS_EV]
    )
    return np.asarray(surface - surface.max())


def _refined(
    likelihood: AxisLikelihood,
    start: _Place,
    steps: tuple[float, float],
    bounds: tuple[float, float],
    most_moves: int = 8,
) -> _Place:
    """The top of a quadratic through a stencil that follows it."""
    place = start
    for _ in range(most_moves):
        centre = place[:2]
        place = _top(likelihood, centre, steps, bounds)
        moved = np.abs(np.subtract(place[:2], centre))
        if np.all(moved <= np.multiply(0.4, steps)):
            break
    return place


def _top(
    likelihood: AxisLikelihood,
    centre: tuple[float, float],
    steps: tuple[float, float],
    bounds: tuple[float, float],
) -> _Place:
    """The top of a quadratic through nine points, at most 1.5 steps away."""
    low, high = bounds
    o = float(np.clip(centre[0], low + steps[0], max(low + steps[0], high - steps[0])))
    w = centre[1]
    likelihood.settle(o, w)
    points = np.array([(i, k) for i in (-1, 0, 1) for k in (-1, 0, 1)], dtype=np.float64)
    values = np.array(
        [likelihood.value(o + i * steps[0], abs(w + k * steps[1])) for i, k in points]
    )
    x, y = points.T
    design = np.column_stack([np.ones(9), x, y, x * x / 2, x * y, y * y / 2])
    c = np.linalg.lstsq(design, values, rcond=None)[0]
    hessian = np.array([[c[3], c[4]], [c[4], c[5]]])
    if c[3] < 0 and np.linalg.det(hessian) > 0:
        move = np.clip(-np.linalg.solve(hessian, c[1:3]), -1.5, 1.5)
    else:
        move = points[values.argmax()]
    offset = float(np.clip(o + move[0] * steps[0], low, high))
    width = abs(w + float(move[1]) * steps[1])
    return _Place(offset, width if width > 1e-3 else 0.0, hessian / np.outer(steps, steps))


def _with_uncertainty(
    likelihood: AxisLikelihood,
    place: _Place,
    offsets_ev: NDArray[np.float64],
    surface: NDArray[np.float64],
    notes: list[str],
) -> EnergyAxis:
    """The estimate with every term of its uncertainty, and what is to be said of it."""
    bounds = (float(offsets_ev[0]), float(offsets_ev[-1]))
    formal = _formal_std(place, bounds)
    jackknife = _energies_left_out(likelihood, place, bounds)
    pure = likelihood.of_templates(np.eye(likelihood.references.n_phases))
    of_pure = _refined(pure, place, _STEPS[0], bounds)
    mixture = np.abs(np.subtract(of_pure[:2], place[:2])) / 2
    likelihood.settle(place.offset_ev, place.width_ev)
    alike_ev, words = _one_composition(likelihood, place, offsets_ev)
    total = np.sqrt(formal**2 + jackknife**2 + mixture**2)
    if min(place.offset_ev - bounds[0], bounds[1] - place.offset_ev) < 0.02:
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


def _formal_std(place: _Place, bounds: tuple[float, float]) -> NDArray[np.float64]:
    """Of offset and width, from the curvature; where there is none, the whole range."""
    range_std = np.array([bounds[1] - bounds[0], WIDTHS_EV[-1]]) / np.sqrt(12)
    information = -place.hessian + np.diag(range_std**-2.0)
    if np.any(np.linalg.eigvalsh(information) <= 0):
        return np.asarray(range_std)
    return np.asarray(np.sqrt(np.diag(np.linalg.inv(information))))


def _energies_left_out(
    likelihood: AxisLikelihood, place: _Place, bounds: tuple[float, float]
) -> NDArray[np.float64]:
    """Jackknife deviation of offset and width over groups of energies."""
    few = likelihood.thinned(_JACKKNIFE_SPECTRA)
    n = len(few.energies_ev)
    least = FREE_PER_SPECTRUM + 2 + few.baseline
    groups = [slice(k, None, _GROUPS) for k in range(min(n, _GROUPS))] if n > least else []
    found = [
        _top(few.without_energies(group), place[:2], _STEPS[1], bounds)[:2] for group in groups
    ]
    if not found:
        return np.zeros(2)
    return np.asarray(np.sqrt((len(found) - 1) * np.var(found, axis=0)))


def _one_composition(
    likelihood: AxisLikelihood, place: _Place, offsets_ev: NDArray[np.float64]
) -> tuple[float, list[str]]:
    """How far off a scan of one composition may be: 0 for others, and what to say of it.

    It is half the way to the offset at which another reference looks most like this composition.
    """
    references, frequencies = likelihood.references, likelihood.frequencies
    shares = frequencies @ likelihood.templates
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
    return float(max(away[other], _OFFSET_STEP_EV)) / 2, [note]


def _spread(spectra: NDArray[np.float64], frequencies: NDArray[np.float64], n_phases: int) -> float:
    """Variance of the spectra over the scan, in squares of the distance of the farthest phases."""
    pure = spectra[:n_phases]
    farthest = ((pure[:, None] - pure) ** 2).sum(axis=2).max()
    variance = frequencies @ ((spectra - frequencies @ spectra) ** 2).sum(axis=1)
    return float(variance / farthest)


def _likeness(spectra: NDArray[np.float64], to: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson coefficient of each spectrum with one."""
    centred = spectra - spectra.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(centred, axis=1)
    return np.asarray(centred @ (to - to.mean()) / np.where(norm > 0, norm, 1.0))
