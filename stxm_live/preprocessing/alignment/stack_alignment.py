"""Alignment of the images of a stack, as the recipe's [alignment] says."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stxm_live.core.recipe_options import AlignmentOptions
from stxm_live.core.threads import in_threads
from stxm_live.preprocessing.alignment.cross_correlation import (
    EdgeImage,
    Match,
    check_shifts,
    match,
    negligible_dropped,
)
from stxm_live.preprocessing.alignment.joint_refinement import Refined, refined_shifts

SIGNIFICANT_STDS = 3.0
"""Smallest refined shift that is applied, in standard deviations."""

_FAR_PX, _FAR_STEPS = 5.0, 3.0
"""Distance from its neighbors at which the first shift of an image, which no other energy
confirms, is not believed: in pixels, and in usual steps from image to image."""

_MOST_NAMED = 8
"""Images with the same fault that have a note each; of more there is one note."""

Box = tuple[slice, slice]
"""Rows and columns to compare."""


class Alignment(NamedTuple):
    """Shifts of the images of a stack.

    Parameters
    ----------
    shifts_px : ndarray of shape (n_images, 2)
        (y, x) to apply.
    std_px : ndarray of shape (n_images,)
        Standard deviation of the error of each shift; NaN where unknown.
    anchor : int
        Index of the image to which the others are aligned.
    notes : tuple of str
        Notes on images that could not be aligned.
    """

    shifts_px: NDArray[np.float64]
    std_px: NDArray[np.float64]
    anchor: int
    notes: tuple[str, ...] = ()

    @classmethod
    def of_shifts(cls, shifts_px: ArrayLike) -> Alignment:
        """Make an alignment from shifts (n_images, 2) only; the anchor is moved least."""
        shifts = np.asarray(shifts_px, dtype=np.float64)
        return cls(shifts, np.full(len(shifts), np.nan), int(np.hypot(*shifts.T).argmin()))

    @classmethod
    def at_rest(cls, n_images: int) -> Alignment:
        """Make an alignment without shifts."""
        return cls.of_shifts(np.zeros((n_images, 2)))

    def check(self, n_images: int) -> None:
        """Raise ValueError unless there is one finite shift for each image."""
        shape = np.shape(self.shifts_px)
        if shape != (n_images, 2) or not np.isfinite(self.shifts_px).all():
            raise ValueError(
                f"the alignment has shifts of shape {shape}; expected one finite shift (y, x) in "
                f"pixels for each of {n_images} images, shape ({n_images}, 2)"
            )


class Pattern:
    """Picture of an image that is compared; each value is computed once.

    The edges are kept for an anchor only, because they are quickly found again. If every image is
    an anchor, all are kept.
    """

    def __init__(
        self, intensity: NDArray[np.float32], options: AlignmentOptions, box: Box | None
    ) -> None:
        self._intensity, self._with_edges, self._box = intensity, options.edges, box
        self._keep = options.reference == "preceding"
        self._edges: EdgeImage | None = None
        self._anchor: EdgeImage | None = None
        self._match = Match((0.0, 0.0), np.inf)
        self._contrast: float | None = None

    def edges(self) -> EdgeImage:
        """Return the picture that is compared."""
        if self._edges is None:
            self._edges = EdgeImage.of(self._intensity, edges=self._with_edges, box=self._box)
        return self._edges

    def contrast(self) -> float:
        """Return a measure of the structure to align."""
        if self._contrast is None:
            self._contrast = self.edges().contrast
        return self._contrast

    def onto(self, anchor: EdgeImage) -> Match:
        """Return the shift that aligns this image to the one with these edges."""
        if self._anchor is not anchor:
            self._match, self._anchor = match(self.edges(), anchor), anchor
            if self._edges is not anchor and not self._keep:
                self._edges = None
        return self._match


def place(
    patterns: Sequence[Pattern], energies_ev: Sequence[float], options: AlignmentOptions
) -> Alignment:
    """Align all images to their reference.

    Raises
    ------
    ValueError
        If a shift is longer than the recipe allows.
    """
    in_threads(Pattern.contrast, patterns)
    if options.reference == "preceding":
        anchor, matches = 0, _chained(patterns)
    else:
        anchor = _anchor(patterns, energies_ev, options)
        pattern = patterns[anchor].edges()
        matches = in_threads(Pattern.onto, patterns, [pattern] * len(patterns))
    shifts = np.array([negligible_dropped(m.shift_px) for m in matches])
    check_shifts(shifts, energies_ev, options.max_shift_px)
    std = np.array([m.std_px for m in matches])
    notes = tuple(
        f"image at {energy:g} eV has too little contrast to be aligned and was not shifted"
        for energy, m in zip(energies_ev, matches, strict=True)
        if np.isinf(m.std_px) and len(matches) > 1
    )
    return Alignment(shifts, np.where(np.isinf(std), np.nan, std), anchor, notes)


def _anchor(
    patterns: Sequence[Pattern], energies_ev: Sequence[float], options: AlignmentOptions
) -> int:
    if options.reference == "constant" and options.reference_ev is not None:
        return int(np.argmin(np.abs(np.asarray(energies_ev) - options.reference_ev)))
    return int(np.argmax([pattern.contrast() for pattern in patterns]))


def _chained(patterns: Sequence[Pattern]) -> list[Match]:
    """Return each image aligned to the last aligned one before it, with shifts added up."""
    before, at = patterns[0].edges(), Match((0.0, 0.0), 0.0)
    found = [at]
    for pattern in patterns[1:]:
        step = pattern.onto(before)
        if np.isinf(step.std_px):
            found.append(Match((0.0, 0.0), np.inf))
            continue
        (y, x), (dy, dx) = at.shift_px, step.shift_px
        at = Match((y + dy, x + dx), float(np.hypot(at.std_px, step.std_px)))
        before = pattern.edges()
        found.append(at)
    return found


def refined(
    alignment: Alignment,
    images: Sequence[NDArray[np.float32]],
    energies_ev: Sequence[float],
    options: AlignmentOptions,
    box: Box | None,
) -> Alignment:
    """Return shifts found again, each image against the prediction from other energies.

    The anchor is not moved. Shifts of the others are applied if they are longer than
    `SIGNIFICANT_STDS` standard deviations of the distance to it; shorter ones would only smooth
    the image. An image of little contrast may match the anchor at a wrong place: where no other
    energy confirms it and it is far from its neighbors, it is placed between these.

    Raises
    ------
    ValueError
        If a shift is longer than the recipe allows.
    """
    region = None
    if box is not None:
        region = np.zeros(images[0].shape, dtype=bool)
        region[box] = True
    refine = partial(refined_shifts, images, smooth_drift=options.smooth_drift, region=region)
    found = refine(alignment.shifts_px)
    confirmed = np.isfinite(np.hypot(*found.std_px.T))
    shifts, far = between_neighbors(alignment.shifts_px, confirmed)
    if far.any():
        found = refine(shifts)
    std = np.hypot(*found.std_px.T)
    done = np.isfinite(std)
    of_anchor = 0.0
    if done[alignment.anchor]:
        shifts[done] = found.shifts_px[done] - found.shifts_px[alignment.anchor]
        of_anchor = float(std[alignment.anchor])
    else:
        shifts[done] = found.shifts_px[done]
    shifts[done & (np.hypot(*shifts.T) < SIGNIFICANT_STDS * np.hypot(std, of_anchor))] = 0
    check_shifts(shifts, energies_ev, options.max_shift_px)
    std = np.where(done, std, alignment.std_px)
    notes = (*alignment.notes, *_misplaced(far, energies_ev), *_unrefined(found, energies_ev))
    return Alignment(shifts, std, alignment.anchor, notes)


def between_neighbors(
    shifts_px: NDArray[np.float64], confirmed: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Place images whose shift nothing confirms between their neighbors, if it is far from there.

    Parameters
    ----------
    shifts_px : ndarray of shape (n_images, 2)
        (y, x) of the images in the order in which they follow one another.
    confirmed : ndarray of bool, shape (n_images,)

    Returns
    -------
    shifts_px : ndarray of shape (n_images, 2)
    far : ndarray of bool, shape (n_images,)
        Which shifts are others now. With less than three that are confirmed there are none.

    Examples
    --------
    >>> shifts = np.array([[0, 0], [0, 1], [-30, 22], [0, 3], [0, 9], [0, 5.0]])
    >>> shifts, far = between_neighbors(shifts, np.array([True, True, False, True, False, True]))
    >>> shifts[:, 1].tolist(), far.tolist()
    ([0.0, 1.0, 2.0, 3.0, 9.0, 5.0], [False, False, True, False, False, False])
    """
    number, known = np.arange(len(shifts_px)), np.flatnonzero(confirmed)
    if len(known) < 3:
        return shifts_px.copy(), np.zeros(len(shifts_px), dtype=bool)
    between = np.stack([np.interp(number, known, axis[known]) for axis in shifts_px.T], axis=1)
    later = np.searchsorted(known, number).clip(0, len(known) - 1)
    beside = [known[later], known[(later - 1).clip(0)]]
    off_px = np.min([np.hypot(*(shifts_px - at).T) for at in (between, *shifts_px[beside])], axis=0)
    step_px = np.median(np.hypot(*np.diff(shifts_px[known], axis=0).T) / np.diff(known))
    n_away = np.abs(number - beside).min(axis=0)
    far = ~confirmed & (off_px > _FAR_PX + _FAR_STEPS * step_px * n_away)
    return np.where(far[:, None], between, shifts_px), far


def _misplaced(far: NDArray[np.bool_], energies_ev: Sequence[float]) -> list[str]:
    """Return a note for the user on images that were placed between their neighbors."""
    if not far.any():
        return []
    which = np.flatnonzero(far)
    named = ", ".join(f"{energies_ev[k]:g}" for k in which[:_MOST_NAMED])
    more = ", ..." if len(which) > _MOST_NAMED else ""
    images = "1 image" if len(which) == 1 else f"{len(which)} images"
    return [
        f"{images} (at {named}{more} eV) matched far from the images beside, which no other energy "
        "confirms, and got a place between these"
    ]


def _unrefined(found: Refined, energies_ev: Sequence[float]) -> list[str]:
    """Return notes for the user on images that keep their first shift."""
    if len(found.problems) == len(energies_ev):
        return [
            "the shifts could not be refined and are the first ones: the field is too small, "
            "or no images fit together"
        ]
    notes = []
    for why in dict.fromkeys(found.problems.values()):
        images = sorted(k for k, reason in found.problems.items() if reason == why)
        if len(images) > _MOST_NAMED:
            notes.append(f"{len(images)} images keep their first shift: each {why}")
            continue
        notes += [f"image at {energies_ev[k]:g} eV {why} and keeps its first shift" for k in images]
    return notes
