"""The search for errors that a scan's spectra share: whatever explains most comes first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.products import inner_product
from stxm_live.core.references import ReferenceSpectra
from stxm_live.core.twins import SAME
from stxm_live.phase_mapping.counted_spectra import CountedSpectra
from stxm_live.phase_mapping.missing_reference import FEWEST, LEAST_SHARE, mean_spectrum
from stxm_live.phase_mapping.scan_errors.errors import Cause, SharedErrors, moved
from stxm_live.phase_mapping.scan_errors.evidence import Evidence, Explained

LEAST_GAIN = 0.05
"""Log probability per spectrum that an explanation must add, beyond what its numbers cost."""

FEWEST_SPECTRA, FEWEST_ENERGIES = 100, 6

OFFSET_STD_EV, AXES_STD_EV, IMAGES_STD, LINES_STD = 0.15, 0.08, 0.03, 0.1
"""Expected sizes of an energy offset, of those of single references, of errors of images in optical
density, and of strengths of lines."""

MOST_SUSPECTED = 4
"""Images with the largest residuals, any two of which may be exchanged."""

LEAST_ORDER = 0.2
"""Log probability per spectrum that another order of the images must add."""

MOST_OFFSET_EV, MOST_IMAGES_OD, MOST_LINES = 0.3, 0.15, 0.25
"""Beyond these it is more likely to be another phase."""

_FREQUENT = 0.05
"""Share of the scan from which a phase counts; errors of references show in two at least."""

_ALIKE = 0.5
"""Strengths of lines are off in all phases: the second largest error over the largest."""

_BESIDE_MISSING = 0.15
"""Gain of another explanation over that of a missing reference, from which it is one."""

_NEARLY = 0.95
"""Explanations with a missing reference are taken if they explain as much as others but for that,
so that it is not overlooked."""

_ROUNDS = 6
_MOST_CAUSES = 3

Candidate = tuple[Cause, float, SharedErrors]


def shared_errors(
    spectra: CountedSpectra,
    strange: NDArray[np.bool_],
    references: ReferenceSpectra,
    energies_ev: list[float],
) -> SharedErrors | None:
    """Find what explains spectra that agree with no reference, by errors that all pixels share.

    Parameters
    ----------
    spectra : CountedSpectra
    strange : ndarray of bool, shape (n_spectra,)
        Spectra that agree with no reference.
    references : ReferenceSpectra
        The same references, also beside the scan's energies.
    energies_ev : list of float

    Returns
    -------
    SharedErrors or None
        None where nothing is strange, where spectra or energies are few, or if only a missing
        reference, or nothing, explains the scan.

    Notes
    -----
    An energy offset, one for each reference, an error of each image and lines of other strengths
    are compared with a reference that is missing, by the probability of the scan (Laplace's
    approximation: with what its numbers cost). The best is taken, and the others are tried
    again beside it.
    """
    few = strange.sum() < max(FEWEST, LEAST_SHARE * strange.size)
    if few or len(energies_ev) < FEWEST_ENERGIES:
        return None
    search = _Search(spectra, strange, references, energies_ev)
    found = search.best() if search.evidence.n_spectra >= FEWEST_SPECTRA else None
    return found if found is not None and found.causes else None


class _Search:
    """Explanations of one scan."""

    def __init__(
        self,
        spectra: CountedSpectra,
        strange: NDArray[np.bool_],
        references: ReferenceSpectra,
        energies_ev: list[float],
    ) -> None:
        self.evidence = Evidence(spectra)
        self._spectra, self._energies = references, energies_ev
        self._unit = np.linalg.norm(spectra.references, axis=1, keepdims=True)
        self._pure = spectra.references / self._unit
        self._mean = mean_spectrum(spectra.od, spectra.photons, strange)

    def best(self) -> SharedErrors:
        """Return the best explanation of those that begin with a missing reference, or do not.

        Once lines of references are free, one of them may have become what is missing.
        """
        nothing = SharedErrors.none(self._pure.shape, self.evidence.n_spectra)
        greedy = self._greedy(nothing)
        if greedy.missing is not None:
            return greedy
        cause, value, found = self._missing(nothing)
        gain = (value - self._value(nothing)) / self.evidence.n_spectra
        if gain < LEAST_GAIN:
            return greedy
        beside = self._greedy(replace(found, gains={cause: gain}))
        total = sum(greedy.gains.values())
        return beside if sum(beside.gains.values()) >= _NEARLY * total else greedy

    def _greedy(self, errors: SharedErrors) -> SharedErrors:
        """Return the best explanation beside those that were found, and what adds to it."""
        value = self._value(errors)
        for _ in range(_MOST_CAUSES - len(errors.gains)):
            tried = list(self._candidates(errors))
            if not tried:
                break
            cause, best, others = max(tried, key=lambda one: one[1])
            gain = (best - value) / self.evidence.n_spectra
            if gain < max(LEAST_GAIN, _BESIDE_MISSING * errors.gains.get("missing", 0.0)):
                break
            errors = replace(others, gains=errors.gains | {cause: gain})
            value = self._value(errors)
        return errors

    def _candidates(self, errors: SharedErrors) -> Iterator[Candidate]:
        """Yield each explanation beside those found before, with its log probability."""
        if "order" not in errors.gains:
            yield self._order(errors)
        if "images" not in errors.gains:
            yield self._images(errors)
        if errors.missing is None:
            yield self._missing(errors)
        frequency = self._explained(errors).frequency[: len(self._pure)]
        frequent = frequency > _FREQUENT
        if frequent.sum() < 2:
            return
        # an error of one of two equal references would make them different phases
        each = self._spectra.smallest_separation(self._energies) > SAME
        lines = self._lines(errors, frequent)
        alike = _are_alike(lines[2].lines, self._pure, frequent)
        if each and "lines" not in errors.gains and alike:
            yield lines
        if {"axis", "axes"}.isdisjoint(errors.gains):
            offset = self._axis(errors)
            yield offset
            if each:
                yield self._axes(offset[2])

    def _references(self, errors: SharedErrors) -> NDArray[np.float64]:
        change = moved(self._spectra, self._energies, errors.shift_ev) / self._unit
        known = (self._pure + change)[:, errors.order] * (1 + errors.lines)
        return known if errors.missing is None else np.vstack([known, errors.missing])

    def _explained(self, errors: SharedErrors) -> Explained:
        return self.evidence.explained(self._references(errors), errors.images_od)

    def _value(self, errors: SharedErrors) -> float:
        return self.evidence.of(self._references(errors), errors.images_od)

    def _missing(self, errors: SharedErrors) -> Candidate:
        found = replace(errors, missing=_of_length_one(self._mean - errors.images_od))
        return "missing", self._value(found) - (len(self._mean) + 1) * self._cost, found

    @property
    def _cost(self) -> float:
        """Return what a number costs that may have any value."""
        return 0.5 * float(np.log(self.evidence.n_spectra * len(self._energies)))

    def _order(self, errors: SharedErrors) -> Candidate:
        """Return the best of images at other energies: two exchanged, one elsewhere, or all."""
        now, here = self._explained(errors), np.arange(len(self._energies))
        worst = np.argsort(-(now.weight * now.left**2).sum(axis=1), kind="stable")[:MOST_SUSPECTED]
        tried = [here[::-1], np.roll(here, 1), np.roll(here, -1)]
        for one, other in combinations(worst, 2):
            tried.append(here.copy())
            tried[-1][[one, other]] = other, one
        for other in here[here != worst[0]]:
            tried.append(here.copy())
            tried[-1][worst[0]] = other
        values = [self._value(replace(errors, order=order)) for order in tried]
        best = int(np.argmax(values))
        value = values[best] - 2 * float(np.log(len(here)))
        is_clear = value - now.log_probability > LEAST_ORDER * self.evidence.n_spectra
        return "order", value if is_clear else -np.inf, replace(errors, order=tried[best])

    def _images(self, errors: SharedErrors) -> Candidate:
        found = errors
        for _ in range(_ROUNDS):
            now = self._explained(found)
            precision = now.weight.sum(axis=1) + IMAGES_STD**-2
            step = (now.weight * now.left).sum(axis=1) - found.images_od / IMAGES_STD**2
            found = replace(found, images_od=found.images_od + step / precision)
        cost = np.square(found.images_od / IMAGES_STD) + np.log(precision * IMAGES_STD**2)
        value = self._if_small(found, self._value(found))
        return "images", value - 0.5 * float(cost.sum()), found

    def _lines(self, errors: SharedErrors, frequent: NDArray[np.bool_]) -> Candidate:
        found, counted = errors, frequent[:, None]
        pure = self._references(replace(errors, lines=np.zeros_like(self._pure), missing=None))
        for _ in range(_ROUNDS):
            now = self._explained(found)
            thickness = now.thickness[: len(pure)]
            along = inner_product(thickness, now.weight * now.left) * pure
            precision = inner_product(thickness**2, now.weight) * pure**2 + LINES_STD**-2
            step = np.where(counted, (along - found.lines / LINES_STD**2) / precision, 0.0)
            found = replace(found, lines=found.lines + step)
        cost = np.square(found.lines / LINES_STD) + np.log(precision * LINES_STD**2)
        value = self._value(found) - 0.5 * float((counted * cost).sum())
        return "lines", value, found

    def _axis(self, errors: SharedErrors) -> Candidate:
        def value(shift: float) -> float:
            moved_by = replace(errors, shift_ev=np.full(len(self._pure), shift))
            return self._value(moved_by) - 0.5 * (shift / OFFSET_STD_EV) ** 2

        best = 0.0
        for step, n in ((0.1, 3), (0.03, 2), (0.01, 2)):
            tried = best + step * np.arange(-n, n + 1)
            best = float(tried[int(np.argmax([value(float(shift)) for shift in tried]))])
        found = replace(errors, shift_ev=np.full(len(self._pure), best))
        return "axis", self._if_small(found, value(best)) - self._cost, found

    def _axes(self, errors: SharedErrors) -> Candidate:
        """Return an offset of each reference, about one that all have."""
        common = errors.shift_ev[0]

        def value(shifts: NDArray[np.float64]) -> float:
            moved_by = replace(errors, shift_ev=shifts)
            return self._value(moved_by) - 0.5 * float(
                np.square((shifts - common) / AXES_STD_EV).sum()
            )

        shifts = errors.shift_ev.copy()
        for step in (0.06, 0.04, 0.02):
            for k in range(len(shifts)):
                tried = [shifts + step * i * (np.arange(len(shifts)) == k) for i in (-1, 0, 1)]
                shifts[k] += step * _top(*map(value, tried))
        cost = 0.5 * (common / OFFSET_STD_EV) ** 2 + len(shifts) * self._cost
        found = replace(errors, shift_ev=shifts)
        return "axes", self._if_small(found, value(shifts)) - cost, found

    @staticmethod
    def _if_small(errors: SharedErrors, value: float) -> float:
        """Return the value, or minus infinity for errors that are more likely another phase."""
        largest_ev, largest_od = (np.abs(e).max() for e in (errors.shift_ev, errors.images_od))
        return value if largest_ev <= MOST_OFFSET_EV and largest_od <= MOST_IMAGES_OD else -np.inf


def _of_length_one(spectrum: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(spectrum / (float(np.linalg.norm(spectrum)) or 1.0))


def _are_alike(
    lines: NDArray[np.float64], pure: NDArray[np.float64], frequent: NDArray[np.bool_]
) -> bool:
    """Return True if no phase alone, and none by too much, differs from its reference."""
    if np.abs(lines).max() > MOST_LINES:
        return False
    off = np.sort(np.sqrt(np.square(lines * pure).sum(axis=1))[frequent])
    return bool(off[-2] >= _ALIKE * off[-1])


def _top(below: float, here: float, above: float) -> float:
    """Return where a parabola through values at -1, 0 and 1 is largest, 1.5 away at most."""
    bend = below - 2 * here + above
    if bend >= 0:
        return float(np.argmax([below, here, above]) - 1)
    return float(np.clip(0.5 * (below - above) / bend, -1.5, 1.5))
