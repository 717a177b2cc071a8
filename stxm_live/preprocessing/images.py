"""One image of a stack: its usable counts, its faults, and its shift."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.file_arrays import kept_as
from stxm_live.core.recipe import Recipe
from stxm_live.core.stack import Frame
from stxm_live.preprocessing.alignment.row_gaps import has_many_gaps, shifted_rows, without_row_gaps
from stxm_live.preprocessing.alignment.spline_shift import shifted
from stxm_live.preprocessing.alignment.stack_alignment import Box, Pattern
from stxm_live.preprocessing.detector import corrected_counts, usable_intensity
from stxm_live.preprocessing.image_faults import (
    CLIPPED_SHARE,
    clipped_share,
    hot_pixels,
    is_blank,
    line_levels,
    lost_lines,
)

MIN_LEVEL = 0.03
"""An image with fewer counts than this, relative to the median of the stack, had no beam."""


class Image:
    """Properties of one complete frame; every value is computed once.

    The edges are kept for an anchor only, because they are quickly found again.
    """

    def __init__(self, frame: Frame, recipe: Recipe, dwell_ms: float) -> None:
        self.energy_ev = frame.energy_ev
        self.monitor = frame.monitor
        detector = recipe.detector
        self._planned = frame.rows
        ny, nx = frame.intensity.shape
        self.n_unplanned = 0 if frame.rows is None else (ny - len(frame.rows)) * nx
        unrecorded = np.asarray(np.isnan(frame.intensity).all(axis=1))
        self._has_gaps = frame.rows is not None or has_many_gaps(unrecorded)
        n_gaps = int(unrecorded.sum()) * nx if frame.rows is None and self._has_gaps else 0
        n_recorded = ny * nx - self.n_unplanned - n_gaps
        usable, self.unusable = usable_intensity(frame.intensity, detector.saturation_counts)
        self.intensity = corrected_counts(
            usable,
            dark_counts=detector.dark_counts,
            dead_time_ns=detector.dead_time_ns,
            dwell_ms=dwell_ms,
        )
        self.problem = ""
        if self.unusable.total == self.intensity.size:
            self.problem = "has no usable pixel"
        elif self.intensity.size - self.unusable.total < n_recorded / 2:
            self.problem = f"has hardly a usable pixel ({self.unusable})"
        elif is_blank(self.intensity):
            self.problem = (
                f"shows {np.nanmedian(self.intensity):g} counts in nearly every pixel "
                "(blank or saturated?)"
            )
        self.n_hot = 0
        if not self.problem:
            self._leave_out_hot_pixels()
        self.intensity = kept_as(frame.intensity, self.intensity)
        self.clipped = clipped_share(self.intensity)
        self.level = 0.0 if self.problem else float(np.nanmedian(self.intensity))
        self.levels = line_levels(self._seen())
        if self._planned is None:
            self.levels[unrecorded] = np.nan
        self.lost = np.zeros(len(self.levels), dtype=bool)
        self._as_counted = self.intensity
        self._pattern: Pattern | None = None
        self._moved: tuple[tuple[float, float], NDArray[np.float32], int] | None = None

    def _leave_out_hot_pixels(self) -> None:
        hot = hot_pixels(self.intensity)
        self.n_hot = len(hot)
        if self.n_hot:
            self.intensity = self.intensity.copy()
            self.intensity[hot[:, 0], hot[:, 1]] = np.nan

    def dimness(self, typical: float) -> str:
        """Return the fault of counts that are low compared with other images; empty if none."""
        if self.level >= MIN_LEVEL * typical:
            return ""
        return (
            f"has a median of {self.level:.3g} counts, the others have {typical:.3g} "
            "(shutter closed, beam lost?)"
        )

    def faults(self) -> list[str]:
        """Return notes for the user on pixels that are not used."""
        faults = []
        if self.unusable.total > self.n_unplanned:
            faults.append(f"unusable pixels: {self.unusable}")
        if self.n_hot:
            faults.append(f"hot pixels left out (far brighter than their neighbors): {self.n_hot}")
        if self.lost.any():
            faults.append(f"no beam in {self.lost.sum()} lines, which are left out")
        return faults

    def leave_out(self, lines: NDArray[np.bool_]) -> None:
        """Leave these lines out, and no others."""
        if np.array_equal(lines, self.lost):
            return
        self.lost = lines
        left = np.where(lines[:, None], np.float32(np.nan), self._as_counted)
        self.intensity = kept_as(self._as_counted, left)
        self._pattern = self._moved = None

    def lacks_most(self) -> str:
        """Return the fault if most lines had no beam; empty if not."""
        lost = self.lost if self._planned is None else self.lost[list(self._planned)]
        n_lost, n_lines = int(lost.sum()), len(lost)
        return f"had no beam in {n_lost} of {n_lines} lines" if n_lost > n_lines / 2 else ""

    def pattern_of(self, recipe: Recipe, box: Box | None) -> Pattern:
        """Return the picture of the image that is compared."""
        if self._pattern is None:
            self._pattern = Pattern(self._seen(), recipe.alignment, box)
        return self._pattern

    def _seen(self) -> NDArray[np.float32]:
        """Return the image, without the gaps of many rows that were not scanned."""
        return without_row_gaps(self.intensity) if self._has_gaps else self.intensity

    def moved(self, shift_px: tuple[float, float]) -> tuple[NDArray[np.float32], int]:
        """Return the shifted image, and the number of pixels with negative values (NaN there)."""
        if self._moved is not None and self._moved[0] == shift_px:
            return self._moved[1:]
        move = shifted_rows if self._has_gaps else shifted
        moved = move(self.intensity, shift_px)
        dark = moved <= 0
        n_dark = int(dark.sum())
        return (np.where(dark, np.float32(np.nan), moved) if n_dark else moved), n_dark

    def keep(self, shift_px: tuple[float, float], moved: NDArray[np.float32], n_dark: int) -> None:
        """Keep the shifted image for the next time."""
        self._moved = shift_px, moved, n_dark


def clipped(images: Sequence[Image]) -> list[str]:
    """Return notes on images in which many pixels share the highest value.

    There are none if all images do, because such images are simulated.
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


def leave_out_dark_lines(images: Sequence[Image]) -> None:
    """Leave out lines of an image that are dark in it alone."""
    if images:
        for image, lines in zip(images, lost_lines([i.levels for i in images]), strict=True):
            image.leave_out(lines)
