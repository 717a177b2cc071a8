"""The usable images of a stack, with computed values kept for each frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stxm_live.core.origin import Origin
from stxm_live.core.recipe import Recipe
from stxm_live.core.references import listed_ev
from stxm_live.core.scan import StackScan
from stxm_live.core.stack import Frame, Stack, StackKey
from stxm_live.preprocessing.copied_images import CopiedImages
from stxm_live.preprocessing.images import Image, clipped, leave_out_dark_lines
from stxm_live.preprocessing.moved_copies import (
    how_turned,
    middle_marks,
    moved_by,
    row_marks,
    turned_marks,
)
from stxm_live.preprocessing.quantity import as_intensity
from stxm_live.preprocessing.torn_images import line_marks, same_lines

_RECORDED = 0.5
"""Share of an unfinished image from which it is used; with less it can hardly be aligned."""


@dataclass(frozen=True, eq=False)
class StackImages:
    """The usable images of a stack, in ascending order of energy.

    Parameters
    ----------
    key : StackKey
    origin : Origin
    scan : StackScan
    images : tuple of Image
        Each has an ``energy_ev``, and an ``intensity`` of shape (ny, nx) in counts, NaN where a
        pixel cannot be used.
    missing_ev : tuple of float
        Announced and selected energies without a usable image, apart from those skipped.
    skipped_ev : tuple of float
        Announced and selected energies that the scan left out because labels were certain enough.
    notes : tuple of str
        Notes on images that were left out, with the reason.
    copied_ev : tuple of float
        Those of ``missing_ev`` with an image that is a copy of another energy's.
    checks : tuple of (float, Image)
        Usable images of energies that were measured once more, in the order of the scan, each
        with the energy of the first image that it repeats.
    unfinished_ev : tuple of float
        Announced energies of images that lack lines, but were recorded for the most part.
    """

    key: StackKey
    origin: Origin
    scan: StackScan
    images: tuple[Image, ...]
    missing_ev: tuple[float, ...]
    skipped_ev: tuple[float, ...]
    notes: tuple[str, ...]
    copied_ev: tuple[float, ...] = ()
    checks: tuple[tuple[float, Image], ...] = ()
    unfinished_ev: tuple[float, ...] = ()

    @property
    def energies_ev(self) -> tuple[float, ...]:
        """Return the energies of the images."""
        return tuple(image.energy_ev for image in self.images)

    @property
    def shape(self) -> tuple[int, int]:
        """Return rows and columns of each image."""
        ny, nx = self.images[0].intensity.shape
        return ny, nx

    @property
    def known_i0(self) -> tuple[float, ...] | None:
        """Return I0 from the start document of the scan, at the energies of the images."""
        if self.scan.i0_counts is None:
            return None
        known = sorted(zip(self.scan.energies_ev, self.scan.i0_counts, strict=True))
        energies_ev, counts = np.transpose(known)
        return tuple(np.interp(self.energies_ev, energies_ev, counts).tolist())


class ImageCache:
    """The usable images of a growing stack, with computed values kept for the next time.

    All kept values are functions of the frames alone, so that a stack gives the same result
    if its frames come one by one or all at once.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._copied = CopiedImages()
        self._images: dict[Frame, Image] = {}
        self._checks: dict[Frame, Image] = {}

    def usable(self, stack: Stack) -> StackImages:
        """Return the frames of a stack that the recipe selects and that can be used.

        Raises
        ------
        ValueError
            If no frame is left, or if the run contradicts itself.
        """
        if stack.refusal:
            raise ValueError(stack.refusal)
        stack = as_intensity(stack, self.recipe)
        frames, chosen = self._selected(stack)
        copied = {f: _copy_of(first, f) for f, first in self._copied.of(stack).items()}
        recorded = [frames[e] for e in chosen if e in frames and _is_recorded(frames[e])]
        self._images = {frame: self._image(frame, stack.scan.dwell_ms) for frame in recorded}
        problems = self._problems(copied)
        notes = [*stack.notes, *self._notes(frames, chosen, problems)]
        notes += [
            f"repeated image at {frame.energy_ev:g} eV {copied[frame]} and was left out"
            for frame in stack.checks
            if frame in copied
        ]
        usable = [self._images[frame] for frame, problem in problems.items() if not problem]
        notes.extend(clipped(usable))
        if not usable:
            announced = listed_ev(stack.scan.energies_ev)
            raise ValueError(
                f"{stack.key}: there is no usable image at an energy of the recipe; "
                f"the scan announced {announced} eV" + "".join(f"; {note}" for note in notes[:3])
            )
        left_out = [f for f, problem in problems.items() if problem and f.announced_ev is not None]
        unfinished = {f.nominal_ev for f, p in problems.items() if not p and not f.is_whole}
        missing = {*stack.missing_ev} & {*chosen} | {frame.nominal_ev for frame in left_out}
        copies = [f.nominal_ev for f in left_out if problems[f] == copied.get(f)]
        return StackImages(
            key=stack.key,
            origin=stack.origin,
            scan=stack.scan,
            images=tuple(usable),
            missing_ev=tuple(sorted(missing - unfinished)),
            skipped_ev=tuple(e for e in chosen if e in stack.skipped_ev),
            notes=tuple(notes),
            copied_ev=tuple(sorted(copies)),
            checks=tuple(
                (first_ev, image)
                for first_ev, frame, image in self._usable_checks(stack, usable)
                if frame not in copied
            ),
            unfinished_ev=tuple(sorted(unfinished)),
        )

    def _selected(self, stack: Stack) -> tuple[dict[float, Frame], list[float]]:
        """Return the frames by their nominal energy, and the energies that the recipe selects."""
        frames = {
            frame.nominal_ev: frame
            for frame in stack.frames
            # of energies nobody announced, those that the recipe names
            if frame.announced_ev is not None or self.recipe.energies_ev is not None
        }
        chosen = self.recipe.selected({*frames, *stack.missing_ev, *stack.skipped_ev})
        return frames, chosen

    def _notes(
        self,
        frames: Mapping[float, Frame],
        chosen: Sequence[float],
        problems: Mapping[Frame, str],
    ) -> Iterator[str]:
        """Say what the scan lacks, what was left out and what is wrong with the images."""
        lacking = listed_ev(self.recipe.not_in(chosen))
        if lacking:
            yield f"the scan has no energy near {lacking} eV, which the recipe asks for"
        for energy_ev in chosen:
            if energy_ev in frames and not frames[energy_ev].is_whole:
                where = f"image at {frames[energy_ev].energy_ev:g} eV is unfinished"
                used = _is_recorded(frames[energy_ev])
                yield f"{where}; what was recorded is used" if used else f"{where} and was left out"
        alike: dict[str, list[float]] = {}
        for frame, problem in problems.items():
            if problem:
                yield f"image at {frame.energy_ev:g} eV {problem} and was left out"
            else:
                for fault in self._images[frame].faults():
                    alike.setdefault(fault, []).append(frame.energy_ev)
        for fault, energies_ev in alike.items():
            images = "image" if len(energies_ev) == 1 else "images"
            yield f"{images} at {listed_ev(energies_ev)} eV: {fault}"

    def _usable_checks(
        self, stack: Stack, usable: list[Image]
    ) -> Iterator[tuple[float, Frame, Image]]:
        """Yield images of energies measured once more, where the first one can be used."""
        energies_ev = [image.energy_ev for image in usable]
        used = {f.nominal_ev: f.energy_ev for f in stack.frames if f.energy_ev in energies_ev}
        self._checks = {
            frame: self._checks.get(frame) or Image(frame, self.recipe, stack.scan.dwell_ms)
            for frame in stack.checks
            if frame.nominal_ev in used
        }
        for frame, image in self._checks.items():
            if not image.problem:
                yield used[frame.nominal_ev], frame, image

    def _problems(self, copied: Mapping[Frame, str]) -> dict[Frame, str]:
        """Return the reason why each image cannot be used, or ""."""
        levels = [image.level for image in self._images.values() if not image.problem]
        typical = float(np.median(levels or 0))
        problems = {
            frame: image.problem or copied.get(frame, "") or image.dimness(typical)
            for frame, image in self._images.items()
        }
        leave_out_dark_lines([image for f, image in self._images.items() if not problems[f]])
        return {f: problem or self._images[f].lacks_most() for f, problem in problems.items()}

    def _image(self, frame: Frame, dwell_ms: float) -> Image:
        known = self._images.get(frame)
        return Image(frame, self.recipe, dwell_ms) if known is None else known


def _is_recorded(frame: Frame) -> bool:
    """Return True for complete images, and for unfinished ones of which most was recorded.

    An image of nothing but NaN is not unfinished: it is named for that.
    """
    if frame.is_whole:
        return True
    share = float(np.isfinite(frame.intensity).mean())
    return share > _RECORDED or share == 0


def _copy_of(first: Frame, copied: Frame) -> str:
    is_equal = np.array_equal(first.intensity, copied.intensity, equal_nan=True)
    one, other = first.intensity, copied.intensity
    lines = same_lines(one, other, (line_marks(one), line_marks(other)))
    if lines and not is_equal:
        which = f"lines {lines.start + 1} to {lines.stop}"
        return (
            f"has {which} of the image at {first.energy_ev:g} eV, noise included (read while the "
            "detector refilled it?)"
        )
    moved = moved_by(row_marks(one), row_marks(other), one.shape[1])
    if moved and not is_equal:
        return (
            f"is the image at {first.energy_ev:g} eV moved by {moved[1]} columns and {moved[0]} "
            "rows, noise included (detector out of step?)"
        )
    turned = "" if is_equal else how_turned(middle_marks(one), turned_marks(other))
    if turned:
        return f"is the image at {first.energy_ev:g} eV {turned}, noise included (detector stuck?)"
    what = "is identical to" if is_equal else "is a multiple of"
    return f"{what} the image at {first.energy_ev:g} eV, noise included (detector stuck?)"
