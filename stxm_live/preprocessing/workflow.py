"""The images of a stack laid on one another; what is known of a frame is kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.recipe import Recipe
from stxm_live.core.references import listed_ev
from stxm_live.core.scan import StackScan
from stxm_live.core.shift_files import shifts_at
from stxm_live.core.stack import Frame, Stack
from stxm_live.core.threads import in_threads
from stxm_live.preprocessing.alignment.cross_correlation import shifted
from stxm_live.preprocessing.alignment.stack_alignment import (
    Box,
    Pattern,
    Placement,
    place,
    refined,
)
from stxm_live.preprocessing.detector import box_mask, corrected_counts, usable_intensity
from stxm_live.preprocessing.image_faults import (
    CLIPPED_SHARE,
    clipped_share,
    hot_pixels,
    is_blank,
    line_levels,
    lost_lines,
)
from stxm_live.preprocessing.normalization import AlignedStack, RegisteredStack, normalise

MIN_LEVEL = 0.03
"""An image with fewer counts, relative to the median of the stack's images, had no beam."""

MIN_ALIGNABLE_PX = 16
"""Images with fewer rows or columns are left where they are: there is nothing to register on."""


class Registrar:
    """Registers a stack that grows: what was computed of a frame is kept for the next time.

    Every step is a function of the frames alone and is done once for each, so that a stack gives
    the same whether its frames were seen one by one or all at once.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._images: dict[Frame, _Image] = {}

    def register(self, stack: Stack, *, refine: bool = False) -> RegisteredStack:
        """Select, align and normalise the frames of a stack.

        Parameters
        ----------
        stack : Stack
        refine : bool
            Register every image once more against what the other energies predict for it,
            if the recipe says so.

        Raises
        ------
        ValueError
            If no frame is left, if an image is shifted beyond the recipe's limit, if the region
            or the shifts of the recipe do not fit, or if no I0 can be had.
        """
        return normalise(self.align(stack, refine=refine), self.recipe)

    def align(self, stack: Stack, *, refine: bool = False) -> AlignedStack:
        """Select and align the frames of a stack; errors as for `register`."""
        images, missing, skipped, notes = self._selected(stack)
        box = self._box(stack, images[0].intensity.shape)
        live = self._placed(images, box)
        final = self._refined(images, live, box) if refine else live
        intensity, n_dark = _moved(images, final.shifts_px, keep=final is live)
        notes.extend(final.notes)
        notes.extend(
            f"image at {image.energy_ev:g} eV: {n} pixels are not positive after "
            "correction and alignment"
            for image, n in zip(images, n_dark, strict=True)
            if n
        )
        return AlignedStack(
            key=stack.key,
            extent_um=stack.scan.extent_um,
            dwell_ms=stack.scan.dwell_ms or None,
            energies_ev=tuple(image.energy_ev for image in images),
            missing_ev=missing,
            skipped_ev=skipped,
            intensity=intensity,
            monitors=tuple(image.monitor for image in images),
            known_i0=_known_i0(stack.scan, images),
            shifts_px=final.shifts_px,
            shifts_before_px=live.shifts_px,
            shift_quality=final.std_px,
            anchor_ev=images[final.anchor].energy_ev,
            notes=tuple(notes),
        )

    def prepare(self, stack: Stack) -> None:
        """Do what can be done before a stack is complete."""
        images, *_ = self._selected(stack)
        live = self._placed(images, self._box(stack, images[0].intensity.shape))
        _moved(images, live.shifts_px, keep=True)

    def _selected(
        self, stack: Stack
    ) -> tuple[list[_Image], tuple[float, ...], tuple[float, ...], list[str]]:
        """Usable images in ascending energy; energies that are missing, and skipped; notes."""
        notes = list(stack.notes)
        frames = {
            frame.nominal_ev: frame
            for frame in stack.frames
            # of energies nobody announced, those that the recipe names
            if frame.announced_ev is not None or self.recipe.energies_ev is not None
        }
        chosen = self.recipe.selected({*frames, *stack.missing_ev, *stack.skipped_ev})
        skipped = tuple(e for e in chosen if e in stack.skipped_ev)
        missing = set(stack.missing_ev).intersection(chosen)
        lacking = listed_ev(self.recipe.not_in(chosen))
        if lacking:
            notes.append(f"the scan has no energy near {lacking} eV, which the recipe asks for")
        dwell_ms = stack.scan.dwell_ms
        self._images = {frames[e]: self._image(frames[e], dwell_ms) for e in chosen if e in frames}
        usable: list[_Image] = []
        typical = float(np.median([i.level for i in self._images.values() if not i.problem] or 0))
        problems = {f: i.problem or i.dimness(typical) for f, i in self._images.items()}
        _lose_lines([image for f, image in self._images.items() if not problems[f]])
        for frame, image in self._images.items():
            where = f"image at {frame.energy_ev:g} eV"
            problem = problems[frame] or image.lost_most()
            if problem:
                notes.append(f"{where} {problem} and was left out")
                if frame.announced_ev is not None:
                    missing.add(frame.nominal_ev)
                continue
            notes.extend(f"{where}: {fault}" for fault in image.faults())
            usable.append(image)
        notes.extend(_clipped(usable))
        if not usable:
            announced = listed_ev(stack.scan.energies_ev)
            raise ValueError(
                f"{stack.key}: there is no usable image at an energy of the recipe; "
                f"the scan announced {announced} eV" + "".join(f"; {note}" for note in notes[:3])
            )
        return usable, tuple(sorted(missing)), skipped, notes

    def _image(self, frame: Frame, dwell_ms: float) -> _Image:
        known = self._images.get(frame)
        return _Image(frame, self.recipe, dwell_ms) if known is None else known

    def _box(self, stack: Stack, shape: tuple[int, ...]) -> Box | None:
        """Rows and columns of the recipe's sub-region."""
        region_um = self.recipe.alignment.region_um
        if region_um is None:
            return None
        inside = box_mask(region_um, stack.scan.extent_um, (shape[0], shape[1]), "alignment region")
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        if min(rows.size, columns.size) < MIN_ALIGNABLE_PX:
            raise ValueError(
                f"the alignment region has {rows.size} x {columns.size} pixels; at least "
                f"{MIN_ALIGNABLE_PX} along each side are needed to register on"
            )
        return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)

    def _placed(self, images: Sequence[_Image], box: Box | None) -> Placement:
        """Where the images lie by the recipe's reference, or by its file of shifts."""
        options = self.recipe.alignment
        energies = [image.energy_ev for image in images]
        if not options.enabled:
            return Placement.at_rest(len(images))
        table = self.recipe.shift_table
        if options.shifts is not None and table is not None:
            shifts = shifts_at(table, energies, self.recipe.energy_tolerance_ev, options.shifts)
            anchor = int(np.hypot(*shifts.T).argmin())
            return Placement(shifts, np.full(len(images), np.nan), anchor)
        if min(images[0].intensity.shape) < MIN_ALIGNABLE_PX:
            return Placement.at_rest(len(images))
        patterns = [image.pattern_of(self.recipe, box) for image in images]
        return place(patterns, energies, options)

    def _refined(self, images: Sequence[_Image], live: Placement, box: Box | None) -> Placement:
        options = self.recipe.alignment
        too_small = min(images[0].intensity.shape) < MIN_ALIGNABLE_PX
        if not (options.enabled and options.refine) or options.shifts is not None or too_small:
            return live
        energies = [image.energy_ev for image in images]
        return refined(live, [image.intensity for image in images], energies, options, box)


def register(stack: Stack, recipe: Recipe) -> RegisteredStack:
    """A stack registered all at once; see `Registrar.register`."""
    return Registrar(recipe).register(stack)


def _known_i0(scan: StackScan, images: Sequence[_Image]) -> tuple[float, ...] | None:
    """The incident intensity the scan brings along, at the energies of the images."""
    if scan.i0_counts is None:
        return None
    energies_ev, counts = np.transpose(sorted(zip(scan.energies_ev, scan.i0_counts, strict=True)))
    return tuple(np.interp([image.energy_ev for image in images], energies_ev, counts).tolist())


class _Image:
    """What is known of one frame; every value is computed once.

    The edges are kept of an anchor only: they are quickly found again.
    """

    def __init__(self, frame: Frame, recipe: Recipe, dwell_ms: float) -> None:
        self.energy_ev = frame.energy_ev
        self.monitor = frame.monitor
        detector = recipe.detector
        usable, self.unusable = usable_intensity(frame.intensity, detector.saturation_counts)
        self.intensity = corrected_counts(
            usable,
            dark_counts=detector.dark_counts,
            dead_time_ns=detector.dead_time_ns,
            dwell_ms=dwell_ms,
        )
        self.problem = ""
        if not frame.is_whole:
            self.problem = "is unfinished"
        elif self.unusable.total == self.intensity.size:
            self.problem = "has no usable pixel"
        elif self.unusable.total > self.intensity.size / 2:
            self.problem = f"has hardly a usable pixel ({self.unusable})"
        elif is_blank(self.intensity):
            self.problem = (
                f"shows {np.nanmedian(self.intensity):g} counts in nearly every pixel "
                "(blank or saturated?)"
            )
        hot = hot_pixels(self.intensity)
        self.n_hot = len(hot)
        if self.n_hot:
            self.intensity = self.intensity.copy()
            self.intensity[hot[:, 0], hot[:, 1]] = np.nan
        self.clipped = clipped_share(self.intensity)
        self.level = 0.0 if self.problem else float(np.nanmedian(self.intensity))
        self.levels = line_levels(self.intensity)
        self.lost = np.zeros(len(self.levels), dtype=bool)
        self._as_counted = self.intensity
        self._pattern: Pattern | None = None
        self._moved: tuple[tuple[float, float], NDArray[np.float32], int] | None = None

    def dimness(self, typical: float) -> str:
        """What is wrong with the counts beside those of the other images; empty if nothing."""
        if self.level >= MIN_LEVEL * typical:
            return ""
        return (
            f"has a median of {self.level:.3g} counts where the others have {typical:.3g} "
            "(shutter closed, beam lost?)"
        )

    def faults(self) -> list[str]:
        """What the user reads of pixels that are not used."""
        told = []
        if self.unusable.total:
            told.append(f"unusable pixels: {self.unusable}")
        if self.n_hot:
            told.append(f"hot pixels left out, far brighter than all around: {self.n_hot}")
        if self.lost.any():
            told.append(f"no beam in {self.lost.sum()} lines, which are left out")
        return told

    def lose(self, lines: NDArray[np.bool_]) -> None:
        """Leave these lines out, and these only."""
        if np.array_equal(lines, self.lost):
            return
        self.lost = lines
        self.intensity = np.where(lines[:, None], np.float32(np.nan), self._as_counted)
        self._pattern = self._moved = None

    def lost_most(self) -> str:
        """What is wrong if most lines had no beam; empty if not."""
        n_lost, n_lines = int(self.lost.sum()), len(self.lost)
        return f"had no beam in {n_lost} of {n_lines} lines" if n_lost > n_lines / 2 else ""

    def pattern_of(self, recipe: Recipe, box: Box | None) -> Pattern:
        """What of the image is compared."""
        if self._pattern is None:
            self._pattern = Pattern(self.intensity, recipe.alignment, box)
        return self._pattern

    def moved(self, shift_px: tuple[float, float]) -> tuple[NDArray[np.float32], int]:
        """The image shifted, and of how many pixels the spline swung below zero (NaN there)."""
        if self._moved is not None and self._moved[0] == shift_px:
            return self._moved[1:]
        moved = shifted(self.intensity, shift_px)
        dark = moved <= 0
        n_dark = int(dark.sum())
        return (np.where(dark, np.float32(np.nan), moved) if n_dark else moved), n_dark

    def keep(self, shift_px: tuple[float, float], moved: NDArray[np.float32], n_dark: int) -> None:
        """Remember the shifted image for the next time."""
        self._moved = shift_px, moved, n_dark


def _clipped(images: Sequence[_Image]) -> list[str]:
    """Notes on images in which many pixels share the highest value.

    None if all do: they come from a computer.
    """
    clipped = [image for image in images if image.clipped > CLIPPED_SHARE]
    if len(clipped) == len(images):
        return []
    return [
        f"image at {image.energy_ev:g} eV: {100 * image.clipped:.0f} % of the pixels have its "
        f"highest value, {np.nanmax(image.intensity):g} counts (saturated? see the recipe's "
        "[detector] saturation_counts)"
        for image in clipped
    ]


def _lose_lines(images: Sequence[_Image]) -> None:
    """Lines in which one image alone is dark are left out of it."""
    if images:
        for image, lines in zip(images, lost_lines([i.levels for i in images]), strict=True):
            image.lose(lines)


def _moved(
    images: Sequence[_Image], shifts_px: NDArray[np.float64], *, keep: bool
) -> tuple[NDArray[np.float32], list[int]]:
    """The shifted images, shape (n_energies, ny, nx), and their pixels that became dark."""
    shifts = [(float(y), float(x)) for y, x in shifts_px]
    moved = in_threads(_Image.moved, images, shifts)
    cube = np.stack([plane for plane, _ in moved])
    n_dark = [n for _, n in moved]
    if keep:  # as part of the cube: once in memory is enough
        for image, shift, plane, n in zip(images, shifts, cube, n_dark, strict=True):
            image.keep(shift, plane, n)
    return cube, n_dark
