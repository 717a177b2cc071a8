"""The images of a stack laid on one another; what is known of a frame is kept."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from stxm_live.alignment import EdgeImage, check_shifts, find_shift, in_threads, shifted
from stxm_live.normalisation import AlignedStack, RegisteredStack, normalise
from stxm_live.optical_density import corrected_counts, usable_intensity
from stxm_live.recipe import Recipe
from stxm_live.references import listed_ev
from stxm_live.stack import Frame, Stack

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

    def register(self, stack: Stack) -> RegisteredStack:
        """Select, align and normalise the frames of a stack.

        Raises
        ------
        ValueError
            If no frame is left, if an image is shifted beyond the recipe's limit, or if no I0
            can be had.
        """
        return normalise(self.align(stack), self.recipe)

    def align(self, stack: Stack) -> AlignedStack:
        """Select and align the frames of a stack; errors as for `register`."""
        images, missing, notes = self._selected(stack)
        anchor, shifts = self._shifts(images)
        intensity = _moved(images)
        notes.extend(
            f"image at {image.energy_ev:g} eV: {image.n_dark} pixels are not positive after "
            "correction and alignment"
            for image in images
            if image.n_dark
        )
        return AlignedStack(
            key=stack.key,
            extent_um=stack.scan.extent_um,
            energies_ev=tuple(image.energy_ev for image in images),
            missing_ev=missing,
            intensity=intensity,
            monitors=tuple(image.monitor for image in images),
            shifts_px=shifts,
            anchor_ev=images[anchor].energy_ev,
            notes=tuple(notes),
        )

    def prepare(self, stack: Stack) -> None:
        """Do what can be done before a stack is complete."""
        images, _, _ = self._selected(stack)
        self._shifts(images)
        _moved(images)

    def _selected(self, stack: Stack) -> tuple[list[_Image], tuple[float, ...], list[str]]:
        """Usable images in ascending energy; announced energies that are missing; notes."""
        notes = list(stack.notes)
        frames = {
            frame.nominal_ev: frame
            for frame in stack.frames
            # of energies nobody announced, those that the recipe names
            if frame.announced_ev is not None or self.recipe.energies_ev is not None
        }
        chosen = self.recipe.selected({*frames, *stack.missing_ev})
        missing = set(stack.missing_ev).intersection(chosen)
        lacking = listed_ev(self.recipe.not_in(chosen))
        if lacking:
            notes.append(f"the scan has no energy near {lacking} eV, which the recipe asks for")
        dwell_ms = stack.scan.dwell_ms
        self._images = {frames[e]: self._image(frames[e], dwell_ms) for e in chosen if e in frames}
        usable = []
        typical = float(np.median([i.level for i in self._images.values() if not i.problem] or 0))
        for frame, image in self._images.items():
            where = f"image at {frame.energy_ev:g} eV"
            problem = image.problem or image.dimness(typical)
            if problem:
                notes.append(f"{where} {problem} and was left out")
                if frame.announced_ev is not None:
                    missing.add(frame.nominal_ev)
                continue
            if image.unusable.total:
                notes.append(f"{where}: unusable pixels: {image.unusable}")
            usable.append(image)
        if not usable:
            announced = listed_ev(stack.scan.energies_ev)
            raise ValueError(
                f"{stack.key}: there is no usable image at an energy of the recipe; "
                f"the scan announced {announced} eV" + "".join(f"; {note}" for note in notes[:3])
            )
        return usable, tuple(sorted(missing)), notes

    def _image(self, frame: Frame, dwell_ms: float) -> _Image:
        known = self._images.get(frame)
        return _Image(frame, self.recipe, dwell_ms) if known is None else known

    def _shifts(self, images: Sequence[_Image]) -> tuple[int, NDArray[np.float64]]:
        """Which image the others are laid on, and the shifts of all, shape (n_energies, 2)."""
        too_small = min(images[0].intensity.shape) < MIN_ALIGNABLE_PX
        if not self.recipe.alignment.enabled or too_small:
            return 0, np.zeros((len(images), 2))
        in_threads(_Image.find_contrast, [image for image in images if image.contrast < 0])
        anchor = int(np.argmax([image.contrast for image in images]))
        pattern = images[anchor].edges()
        loose = [image for image in images if image.anchor is not pattern]
        in_threads(_Image.find_shift, loose, repeat(pattern))
        shifts = np.array([image.shift_px for image in images])
        energies = [image.energy_ev for image in images]
        check_shifts(shifts, energies, self.recipe.alignment.max_shift_px)
        return anchor, shifts


def register(stack: Stack, recipe: Recipe) -> RegisteredStack:
    """A stack registered all at once; see `Registrar.register`."""
    return Registrar(recipe).register(stack)


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
        self.level = 0.0 if self.problem else float(np.nanmedian(self.intensity))
        self.contrast = -1.0  # not known yet
        self.anchor: EdgeImage | None = None
        self.shift_px = (0.0, 0.0)
        self.moved: NDArray[np.float32] | None = None
        self.n_dark = 0
        self._edges: EdgeImage | None = None

    def dimness(self, typical: float) -> str:
        """What is wrong with the counts beside those of the other images; empty if nothing."""
        if self.level >= MIN_LEVEL * typical:
            return ""
        return (
            f"has a median of {self.level:.3g} counts where the others have {typical:.3g} "
            "(shutter closed, beam lost?)"
        )

    def edges(self) -> EdgeImage:
        """What the correlation compares."""
        if self._edges is None:
            self._edges = EdgeImage.of(self.intensity)
        return self._edges

    def find_contrast(self) -> None:
        """How much there is to register on."""
        self.contrast = self.edges().contrast

    def find_shift(self, anchor: EdgeImage) -> None:
        """The shift (y, x) in pixels that lays this image onto the one with these edges."""
        shift_px = find_shift(self.edges(), anchor)
        if shift_px != self.shift_px:
            self.moved = None
        self.anchor, self.shift_px = anchor, shift_px
        if self._edges is not anchor:
            self._edges = None

    def move(self) -> None:
        """Apply the shift; beside a bright pixel the spline may swing below zero."""
        moved = shifted(self.intensity, self.shift_px)
        dark = moved <= 0
        self.n_dark = int(dark.sum())
        self.moved = np.where(dark, np.float32(np.nan), moved) if self.n_dark else moved


def _moved(images: Sequence[_Image]) -> NDArray[np.float32]:
    """The shifted images, shape (n_energies, ny, nx)."""
    in_threads(_Image.move, [image for image in images if image.moved is None])
    cube = np.stack([image.moved for image in images if image.moved is not None])
    for image, plane in zip(images, cube, strict=True):
        image.moved = plane  # once in memory is enough
    return cube
