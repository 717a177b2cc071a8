"""The images of a stack laid on one another; what is known of a frame is kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.recipe import Recipe
from stxm_live.core.references import listed_ev
from stxm_live.core.region import box_mask
from stxm_live.core.scan import StackScan
from stxm_live.core.shift_files import shifts_at
from stxm_live.core.stack import Frame, Stack
from stxm_live.core.threads import in_threads
from stxm_live.preprocessing.alignment.stack_alignment import (
    Box,
    Placement,
    place,
    refined,
)
from stxm_live.preprocessing.images import Image, clipped, leave_out_dark_lines
from stxm_live.preprocessing.normalization import AlignedStack, ODStack, normalise

MIN_ALIGNABLE_PX = 16
"""Images with fewer rows or columns are left where they are: there is nothing to register on."""


class Registrar:
    """Registers a stack that grows: what was computed of a frame is kept for the next time.

    Every step is a function of the frames alone and is done once for each, so that a stack gives
    the same whether its frames were seen one by one or all at once.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._images: dict[Frame, Image] = {}

    def register(self, stack: Stack, *, refine: bool = False) -> ODStack:
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
    ) -> tuple[list[Image], tuple[float, ...], tuple[float, ...], list[str]]:
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
        usable: list[Image] = []
        typical = float(np.median([i.level for i in self._images.values() if not i.problem] or 0))
        problems = {f: i.problem or i.dimness(typical) for f, i in self._images.items()}
        leave_out_dark_lines([image for f, image in self._images.items() if not problems[f]])
        for frame, image in self._images.items():
            where = f"image at {frame.energy_ev:g} eV"
            problem = problems[frame] or image.lacks_most()
            if problem:
                notes.append(f"{where} {problem} and was left out")
                if frame.announced_ev is not None:
                    missing.add(frame.nominal_ev)
                continue
            notes.extend(f"{where}: {fault}" for fault in image.faults())
            usable.append(image)
        notes.extend(clipped(usable))
        if not usable:
            announced = listed_ev(stack.scan.energies_ev)
            raise ValueError(
                f"{stack.key}: there is no usable image at an energy of the recipe; "
                f"the scan announced {announced} eV" + "".join(f"; {note}" for note in notes[:3])
            )
        return usable, tuple(sorted(missing)), skipped, notes

    def _image(self, frame: Frame, dwell_ms: float) -> Image:
        known = self._images.get(frame)
        return Image(frame, self.recipe, dwell_ms) if known is None else known

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

    def _placed(self, images: Sequence[Image], box: Box | None) -> Placement:
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

    def _refined(self, images: Sequence[Image], live: Placement, box: Box | None) -> Placement:
        options = self.recipe.alignment
        too_small = min(images[0].intensity.shape) < MIN_ALIGNABLE_PX
        if not (options.enabled and options.refine) or options.shifts is not None or too_small:
            return live
        energies = [image.energy_ev for image in images]
        return refined(live, [image.intensity for image in images], energies, options, box)


def register(stack: Stack, recipe: Recipe) -> ODStack:
    """A stack registered all at once; see `Registrar.register`."""
    return Registrar(recipe).register(stack)


def _known_i0(scan: StackScan, images: Sequence[Image]) -> tuple[float, ...] | None:
    """The incident intensity the scan brings along, at the energies of the images."""
    if scan.i0_counts is None:
        return None
    energies_ev, counts = np.transpose(sorted(zip(scan.energies_ev, scan.i0_counts, strict=True)))
    return tuple(np.interp([image.energy_ev for image in images], energies_ev, counts).tolist())


def _moved(
    images: Sequence[Image], shifts_px: NDArray[np.float64], *, keep: bool
) -> tuple[NDArray[np.float32], list[int]]:
    """The shifted images, shape (n_energies, ny, nx), and their pixels that became dark."""
    shifts = [(float(y), float(x)) for y, x in shifts_px]
    moved = in_threads(Image.moved, images, shifts)
    cube = np.stack([plane for plane, _ in moved])
    n_dark = [n for _, n in moved]
    if keep:  # as part of the cube: once in memory is enough
        for image, shift, plane, n in zip(images, shifts, cube, n_dark, strict=True):
            image.keep(shift, plane, n)
    return cube, n_dark
