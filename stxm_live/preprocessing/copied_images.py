"""Images that are copies of another one, or have lines of it: a detector that is stuck or late.

A copy may be moved by whole pixels, mirrored or rotated, see `moved_copies`.

Counts of two images scatter independently. Where one is the other, or a multiple of it, in nearly
every pixel, both are one image, whatever energies they are said to have.
"""

from __future__ import annotations

from itertools import chain

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.stack import Frame, Stack
from stxm_live.preprocessing.moved_copies import (
    RowMarks,
    how_turned,
    middle_marks,
    moved_by,
    row_marks,
    turned_marks,
)
from stxm_live.preprocessing.torn_images import line_marks, same_lines

_SAMPLES, _FIRST_SAMPLES = 4096, 64
"""Pixels that are compared, evenly spread; and those that are enough to see most differences."""

_LEAST_SAMPLES = 32
"""With fewer pixels with counts only images that are equal in every pixel are copies."""

_LEAST_COUNTS = 20.0
"""Below this the rounding of a multiple to whole counts hides that it is no copy."""

_ROUNDING = 1e-5
"""Relative rounding of a multiple that was not rounded to whole counts."""

_ALIKE_SHARE = 0.95
"""Share of the pixels that agree in a copy; the others may be faulty."""


class CopiedImages:
    """Find copies among the images of a growing stack; remembers what it compared."""

    def __init__(self) -> None:
        self._samples: dict[Frame, NDArray[np.float64]] = {}
        self._pairs: list[tuple[Frame, Frame]] = []
        self._marks: dict[Frame, NDArray[np.int64]] = {}
        self._torn: list[tuple[Frame, Frame]] = []
        self._rows: dict[Frame, RowMarks] = {}
        self._middles: dict[Frame, RowMarks] = {}

    def of(self, stack: Stack) -> dict[Frame, Frame]:
        """Return each image that is a copy of another energy's, and that other one.

        The first one in the order of the scan counts as recorded. In a scan that chose its
        energies on the way the order is not known: no image of a pair does. Nor does one of two
        images that share lines: either may have been read while the detector refilled it.
        """
        frames = [f for f in chain(stack.frames, stack.checks) if f.is_whole]
        self._compare(frames)
        places = _places(stack)
        copies: dict[Frame, Frame] = {}
        for pair in (*self._pairs, *self._torn):
            first, later = sorted(pair, key=places.__getitem__)
            if first.nominal_ev == later.nominal_ev:  # measured once more
                continue
            copies.setdefault(later, first)
            if stack.scan.skipping != "no" or pair in self._torn:
                copies.setdefault(first, later)
        return copies

    def _compare(self, frames: list[Frame]) -> None:
        """Compare images with all others, unless they were before; forget those that are gone."""
        known = {f: self._samples[f] for f in frames if f in self._samples}
        marks = {f: self._marks[f] for f in known}
        rows = {f: self._rows[f] for f in known}
        middles = {f: self._middles[f] for f in known}
        self._pairs = [(a, b) for a, b in self._pairs if a in known and b in known]
        self._torn = [(a, b) for a, b in self._torn if a in known and b in known]
        for frame in frames:
            if frame in known:
                continue
            sample = _spread(frame.intensity, _FIRST_SAMPLES)
            if known:
                alike = _alike(sample, np.array(list(known.values())), least=0)
                others = [other for other, may_be in zip(known, alike, strict=True) if may_be]
                self._pairs += [(other, frame) for other in others if _is_copy(other, frame)]
            rows[frame], turned = row_marks(frame.intensity), turned_marks(frame.intensity)
            middles[frame] = middle_marks(frame.intensity)
            self._pairs += [
                (other, frame)
                for other in known
                if moved_by(rows[other], rows[frame], frame.intensity.shape[1])
                or how_turned(middles[other], turned)
            ]
            known[frame], marks[frame] = sample, line_marks(frame.intensity)
            whole = {other for other, later in self._pairs if later is frame}
            self._torn += [
                (other, frame)
                for other in known
                if other is not frame
                and other not in whole
                and same_lines(other.intensity, frame.intensity, (marks[other], marks[frame]))
            ]
        self._samples, self._marks, self._rows, self._middles = known, marks, rows, middles


def _places(stack: Stack) -> dict[Frame, tuple[bool, int, float]]:
    """Return the place of each image in the order of the scan; unannounced ones are last."""
    order = {energy_ev: k for k, energy_ev in reversed(list(enumerate(stack.scan.energies_ev)))}
    n_announced = len(stack.scan.energies_ev)
    first = {f: (False, order.get(f.nominal_ev, n_announced), f.energy_ev) for f in stack.frames}
    return first | {f: (True, k, f.energy_ev) for k, f in enumerate(stack.checks)}


def _is_copy(one: Frame, other: Frame) -> bool:
    if np.array_equal(one.intensity, other.intensity, equal_nan=True):
        return True
    first, second = (_spread(frame.intensity, _SAMPLES) for frame in (one, other))
    is_multiple = _alike(first, second[np.newaxis], least=_LEAST_SAMPLES)[0]
    return bool(is_multiple) and (_follows(second, first) or _follows(first, second))


def _follows(second: NDArray[np.float64], first: NDArray[np.float64]) -> bool:
    """Return True if equal counts in the first image are equal in the second one as well.

    With so much light that counts hardly scatter any two images of a scene are nearly multiples.
    """
    order = np.argsort(first, kind="stable")
    first, second = first[order], second[order]
    equal = first[1:] == first[:-1]
    return not equal.any() or bool((second[1:] == second[:-1])[equal].mean() >= _ALIKE_SHARE)


def _alike(
    one: NDArray[np.float64], others: NDArray[np.float64], *, least: int
) -> NDArray[np.bool_]:
    """Return True for each of the others (n, n_samples) that is a multiple of one (n_samples,).

    One with fewer than ``least`` pixels that can be compared is not, with none at all it may be.
    """
    usable = (one > 0) & (others > 0)
    n_usable = usable.sum(axis=1)
    ratios = np.divide(others, one, out=np.full(others.shape, np.nan), where=usable)
    factors = _middle(ratios, usable)
    expected = factors[:, np.newaxis] * one
    whole = _are_whole(one) | _are_whole(others)
    bright = np.minimum(_middle(one, usable), _middle(others, usable)) >= _LEAST_COUNTS
    # of whichever of the two has the lower counts
    rounding = np.where(whole & bright, np.maximum(factors, 1.0), 0.0)[:, np.newaxis]
    agree = usable & (np.abs(others - expected) <= np.maximum(rounding, _ROUNDING * expected))
    are_alike: NDArray[np.bool_] = agree.sum(axis=1) >= _ALIKE_SHARE * n_usable
    return np.asarray(are_alike & (n_usable >= least))


def _are_whole(counts: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return True for whole counts in every pixel of the last axis."""
    rounded: NDArray[np.bool_] = (np.isfinite(counts) & (counts != np.round(counts))).any(axis=-1)
    return ~rounded


def _middle(values: NDArray[np.float64], usable: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the median of the usable values of each row; NaN if there are none."""
    ascending = np.sort(np.where(usable, values, np.nan), axis=1)  # NaN is last
    middle = np.maximum(usable.sum(axis=1) - 1, 0) // 2
    return np.asarray(np.take_along_axis(ascending, middle[:, np.newaxis], axis=1)[:, 0])


def _spread(intensity: NDArray[np.float32], n: int) -> NDArray[np.float64]:
    """Return up to ``n`` pixels that are spread over rows and columns; NaN for infinite ones."""
    places = np.linspace(0, intensity.size - 1, min(n, intensity.size)).round().astype(int)
    counts = np.asarray(intensity.ravel()[places], dtype=np.float64)
    counts[np.isinf(counts)] = np.nan
    return counts
