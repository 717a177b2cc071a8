"""Phases whose areas change gradually in composition, as layers of other phases do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.mixed_reference import MixedReference, by_phase
from stxm_live.phase_mapping.counted_spectra import CountedSpectra
from stxm_live.phase_mapping.likelihood import best_model_photons, photons_worth, unbiased
from stxm_live.phase_mapping.weighted_products import products

_NOISE_PX, _REACH_PX = 1, 3
"""Pixels that are compared are farther apart than the first, whose noise alignment may share,
and at most as far apart as the second, in rows and in columns."""

SIGNIFICANT = 6.0
"""Gradual change of composition over its standard error from which it is one."""

NOTICED = 3.0
"""The same from which the verdict names it, and probabilities stay: few photons may hide the rest
of a change, and of normal noise one in a thousand is as large."""

_LEAST_SPREAD = 0.03
"""Standard deviation of the composition within an area, in parts of the way from one phase of a
mixture to the other; less may come of a leak, of the background or of I0."""

TOGETHER = 0.2
"""Common part of the relative changes of a mixture's parts from which they increase together: .37
to 1.3 in domains and solid solutions of composite worlds, .05 at most in cores and shells
(decision 61; ``benchmarks/accuracy/promises.py`` prints it)."""

_MOST_PIXELS = 8_000
"""Of a phase, those in the middle rows: more would say the same."""

_LEAST_AREA = 100
"""Pixels inside an area: of less than these, wrong labels of a patch look like a change."""


_Window = tuple[slice, slice]


@dataclass(frozen=True, eq=False)
class LayeredPhase:
    """A phase whose areas look like layers of others.

    Parameters
    ----------
    phase : int
    share : float
        Share of the labels.
    significance : float
        Gradual change of composition over its standard error.
    remaining : float
        Share of its probability that the phase keeps; all of it where the change is noticed only.
    others : ndarray of shape (n_phases,)
        Where the rest of it goes; the sum is 1.
    """

    phase: int
    share: float
    significance: float
    remaining: float
    others: NDArray[np.float64]

    @property
    def is_significant(self) -> bool:
        """Return True if probabilities count with it."""
        return self.remaining < 1


def layered_phases(
    spectra: CountedSpectra,
    index: NDArray[np.int8],
    *,
    mapped: NDArray[np.bool_],
    mixed: Sequence[MixedReference],
    phase_names: Sequence[str],
) -> tuple[LayeredPhase, ...]:
    """Find the phases that mixtures of others look like, and whose composition changes gradually.

    Parameters
    ----------
    spectra : CountedSpectra
    index : ndarray of shape (n_spectra,)
        Labels; -1 where no reference describes the spectrum.
    mapped : ndarray of bool, shape (ny, nx)
        Where the spectra are from, in row-major order.
    mixed : sequence of MixedReference
        Phases that others mix to.
    phase_names : sequence of str

    Notes
    -----
    A phase has one spectrum wherever it is, and its reference is wrong by the same everywhere;
    layers change in proportion. So the amount of one part of the mixture that a spectrum has
    beside the phase, in units of its noise and less the mean of the area, is compared between
    pixels that are two or three apart. Their noise is independent: the mean of the products is
    the variance of the composition, and its standard error follows from the products. Pixels
    beside other labels do not count, for boundaries of domains are mixtures too.

    A solid solution changes gradually, too. Where it is thicker, there is more of everything; a
    core in a shell is thicker by its core. So both parts must not increase together.

    From `SIGNIFICANT` standard errors on probabilities count with it; from `NOTICED` on it is
    named.

    A phase whose areas are too small for that counts too if the same layers look like it, for
    the composition passes through both.
    """
    mixtures = {
        phase: [one for one in found if len(one.parts) > 1]
        for phase, found in by_phase(mixed).items()
    }
    significance: dict[str, float] = {}
    too_small = set()
    for phase, found in mixtures.items():
        if found:
            k = phase_names.index(phase)
            area = PhaseArea.of(spectra, index == k, mapped)
            parts = {phase_names.index(name): share for name, share in found[0].parts.items()}
            change = area.change(k, parts)
            if change is None:
                too_small.add(phase)
            elif change > NOTICED and area.common_growth(parts) < TOGETHER:
                significance[phase] = change
    unsure = {phase for phase, change in significance.items() if change <= SIGNIFICANT}
    sure = significance.keys() - unsure
    layers = {frozenset(one.parts) for phase in sure for one in mixtures[phase]}
    return tuple(
        _layered(phase, found, index, phase_names, significance.get(phase, 0.0), phase in unsure)
        for phase, found in mixtures.items()
        if phase in significance
        or (phase in too_small and any(frozenset(one.parts) in layers for one in found))
    )


def shared_with_layers(
    probability: NDArray[np.float32], index: NDArray[np.int8], layered: Sequence[LayeredPhase]
) -> NDArray[np.float32]:
    """Return probabilities in which layers are as likely as the phase that they look like.

    Parameters
    ----------
    probability : ndarray of shape (n_phases, n_spectra)
    index : ndarray of shape (n_spectra,)
        Labels; they stay.
    layered : sequence of LayeredPhase
    """
    if not layered:
        return probability
    shared = probability.copy()
    for one in layered:
        labelled = np.flatnonzero(index == one.phase)
        lost = probability[one.phase, labelled] * np.float32(1 - one.remaining)
        shared[one.phase, labelled] -= lost
        shared[:, labelled] += one.others.astype(np.float32)[:, None] * lost
    return shared


def _layered(
    phase: str,
    mixtures: Sequence[MixedReference],
    index: NDArray[np.int8],
    phase_names: Sequence[str],
    significance: float,
    is_noticed_only: bool,
) -> LayeredPhase:
    """Share the probability of a phase: each composition that looks the same is as likely."""
    others = np.zeros(len(phase_names))
    for one in mixtures:
        total = sum(one.parts.values()) * len(mixtures)
        for name, share in one.parts.items():
            others[phase_names.index(name)] += share / total
    k = phase_names.index(phase)
    return LayeredPhase(
        phase=k,
        share=float(np.mean(index == k)),
        significance=significance,
        remaining=1.0 if is_noticed_only else 1 / (1 + len(mixtures)),
        others=others,
    )


class PhaseArea(NamedTuple):
    """Spectra of a phase, and where they are in some rows of an image."""

    spectra: CountedSpectra
    place: NDArray[np.bool_]

    @classmethod
    def of(
        cls, spectra: CountedSpectra, chosen: NDArray[np.bool_], mapped: NDArray[np.bool_]
    ) -> PhaseArea:
        """Return the chosen ones of the spectra of a map; of many, those in the middle rows."""
        some = _middle(np.flatnonzero(chosen))
        return cls(spectra.at(some), _area(some, mapped))

    def change(self, phase: int, parts: dict[int, float]) -> float | None:
        """Return the gradual change of composition over its standard error.

        0 where it is less than other errors of a scan may make; None in too small an area.
        """
        part, share = next(iter(parts.items()))
        first, second, unit = self._amounts(self.spectra.references[[phase, part]])
        deviation, counted = self._deviations(second / unit)
        variance, std = _shared(deviation, deviation, counted)
        if np.isinf(std):
            return None
        along = float(np.median(unit / np.maximum(first + second, 1e-6)))
        way = along * (1 - share / sum(parts.values()))
        return variance / std if variance > (_LEAST_SPREAD / way) ** 2 else 0.0

    def common_growth(self, parts: dict[int, float]) -> float:
        """Return how much the parts of a mixture increase together, as the thickness does.

        1 where both increase by the same factor, 0 where one does not increase with the other. Only
        changes that neighbors share count, inside connected areas.
        """
        references, (part, *others) = self.spectra.references, parts
        rest = sum(parts[k] * references[k] for k in others) / sum(parts[k] for k in others)
        one, other, _ = self._amounts(np.stack([references[part], rest]))
        if min(one.mean(), other.mean()) <= 0:
            return 1.0  # no mixture
        (first, counted), (second, _) = (self._deviations(x / x.mean()) for x in (one, other))
        pairs = (first, second), (first, first), (second, second)
        both, of_first, of_second = (_shared(x, y, counted)[0] for x, y in pairs)
        return 2 * both / max(of_first + of_second, float(np.finfo(np.float64).tiny))

    def _amounts(
        self, pair: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return the amounts of two references, and the standard deviation of the second."""
        od, photons, _, noise = self.spectra
        y, n = od.astype(np.float64), photons.astype(np.float64)
        baseline = noise.baseline.in_units_of(noise.gain)
        expected = best_model_photons(unbiased(y, n, noise.gain), n, pair[:1], baseline)
        y = unbiased(y, expected, noise.gain)
        if noise.of_references is not None:
            expected = photons_worth(expected, noise.of_references, noise.gain)
        found = products(y, expected, pair, baseline)
        (own, across, square), (along, along_second) = found.square, found.along
        square = np.maximum(square - across**2 / own, np.finfo(np.float64).tiny)
        second = (along_second - across / own * along) / square
        return along / own - across / own * second, second, np.sqrt(noise.gain / square)

    def _deviations(
        self, amount: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return images of deviations from the means of connected areas, and of what counts."""
        from scipy.ndimage import binary_erosion, label

        inside, n_areas = label(binary_erosion(self.place, np.ones((3, 3))))
        of_pixel = inside[self.place]
        size = np.bincount(of_pixel, minlength=n_areas + 1)
        mean = np.bincount(of_pixel, amount, minlength=n_areas + 1) / np.maximum(size, 1)
        deviation = np.zeros(self.place.shape)
        counted = np.zeros(self.place.shape, dtype=np.bool_)
        counted[self.place] = large = (of_pixel > 0) & (size[of_pixel] >= _LEAST_AREA)
        deviation[self.place] = np.where(large, amount - mean[of_pixel], 0.0)
        return deviation, counted


def _shared(
    one: NDArray[np.float64], other: NDArray[np.float64], counted: NDArray[np.bool_]
) -> tuple[float, float]:
    """Return the covariance that neighbors share, and its standard error."""
    total, square, n_pairs = 0.0, 0.0, 0
    for here, there in _pairs(counted.shape):
        together = one[here] * other[there]
        total += float(together.sum())
        square += float((together**2).sum())
        n_pairs += int((counted[here] & counted[there]).sum())
    if not n_pairs or not square:
        return 0.0, np.inf
    return total / n_pairs, float(np.sqrt(square)) / n_pairs


def _pairs(shape: tuple[int, ...]) -> Iterator[tuple[_Window, _Window]]:
    """Yield views of an image that lay its pixels on those that they are compared with."""
    ny, nx = shape
    for dy in range(_REACH_PX + 1):
        for dx in range(-_REACH_PX, _REACH_PX + 1):
            if max(dy, abs(dx)) > _NOISE_PX and (dy > 0 or dx > 0):
                left, right = max(0, -dx), max(0, dx)
                yield (
                    (slice(0, max(0, ny - dy)), slice(left, max(left, nx - right))),
                    (slice(dy, None), slice(right, max(right, nx - left))),
                )


def _middle(chosen: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the middle of many spectra, in whose rows they have all their neighbors."""
    start = max(0, len(chosen) - _MOST_PIXELS) // 2
    return chosen[start : start + _MOST_PIXELS]


def _area(chosen: NDArray[np.intp], mapped: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the rows of an image that hold these of the mapped pixels, True there."""
    pixels = np.flatnonzero(mapped)[chosen]
    nx = mapped.shape[1]
    first, last = (pixels[0] // nx, pixels[-1] // nx) if len(pixels) else (0, -1)
    area = np.zeros((last - first + 1, nx), dtype=np.bool_)
    area.flat[pixels - first * nx] = True
    return area
