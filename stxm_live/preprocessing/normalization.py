"""Aligned images, and their optical density."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.file_arrays import empty_as, empty_like, of_pixels
from stxm_live.core.large_arrays import while_used
from stxm_live.core.origin import Origin
from stxm_live.core.quantity import Quantity
from stxm_live.core.recipe import Recipe
from stxm_live.core.stack import Stack, StackKey
from stxm_live.preprocessing.gaps import measured_range
from stxm_live.preprocessing.i0 import I0
from stxm_live.preprocessing.specimen import Field

FLAT_OD = 1e-5
"""Smaller ranges, relative to the largest OD or 1, are rounding in float32, not a spectrum."""


class RepeatedImage(NamedTuple):
    """An image of an energy that was measured once more, aligned to the stack.

    Parameters
    ----------
    first_ev : float
        Energy of the first image at the announced energy.
    energy_ev : float
        Measured energy of this image.
    intensity : ndarray of shape (ny, nx), float32
        Counts; NaN where unusable or outside the image.
    shift_px : (float, float)
        (y, x) applied.
    monitor : float or None
        Reading of the I0 monitor.
    """

    first_ev: float
    energy_ev: float
    intensity: NDArray[np.float32]
    shift_px: tuple[float, float]
    monitor: float | None


@dataclass(frozen=True, eq=False, kw_only=True)
class AlignedStack:
    """Aligned images of a stack.

    Parameters
    ----------
    key : StackKey
    origin : Origin
    extent_um : tuple of float
        First and last pixel centre in x, then in y.
    dwell_ms : float or None
        Exposure of a pixel; None if the scan does not give it.
    energies_ev : tuple of float
        Energies that the recipe selects and that have a usable image; ascending.
    missing_ev : tuple of float
        Announced and selected energies without a usable image, apart from those skipped.
    skipped_ev : tuple of float
        Announced and selected energies that the scan left out because labels were certain enough.
    copied_ev : tuple of float
        Those of ``missing_ev`` with an image that is a copy of another energy's.
    unfinished_ev : tuple of float
        Announced energies whose image lacks lines.
    intensity : ndarray of shape (n_energies, ny, nx), float32
        Counts; NaN where unusable or outside the image.
    monitors : tuple of float or None
        Reading of the I0 monitor with each image.
    known_i0 : tuple of float or None
        I0 of each image from the start document of the scan.
    shifts_px : ndarray of shape (n_energies, 2)
        (y, x) applied to each image.
    shifts_before_px : ndarray of shape (n_energies, 2)
        (y, x) found before the refinement.
    shift_quality : ndarray of shape (n_energies,)
        Standard deviation in pixels of the error of each shift, relative to the anchor, or to
        the mean of all images if refined. NaN where unknown.
    anchor_ev : float
        Energy of the image to which the others were aligned.
    notes : tuple of str
    repeated : tuple of RepeatedImage
        Images of energies that were measured once more; no map is made from them.
    quantity : Quantity
        What the stack recorded. ``intensity`` of an optical density or a yield is exp(-OD).
    """

    key: StackKey
    origin: Origin
    extent_um: tuple[float, float, float, float]
    dwell_ms: float | None
    energies_ev: tuple[float, ...]
    missing_ev: tuple[float, ...]
    skipped_ev: tuple[float, ...]
    copied_ev: tuple[float, ...] = ()
    unfinished_ev: tuple[float, ...] = ()
    intensity: NDArray[np.float32]
    monitors: tuple[float | None, ...]
    known_i0: tuple[float, ...] | None
    shifts_px: NDArray[np.float64]
    shifts_before_px: NDArray[np.float64]
    shift_quality: NDArray[np.float64]
    anchor_ev: float
    notes: tuple[str, ...]
    repeated: tuple[RepeatedImage, ...] = ()
    quantity: Quantity = "counts"

    _of_each_energy: ClassVar[tuple[str, ...]] = (
        "energies_ev",
        "intensity",
        "monitors",
        "known_i0",
        "shifts_px",
        "shifts_before_px",
        "shift_quality",
    )

    @property
    def common_field(self) -> float:
        """Return the share of the field that every image shows after alignment."""
        lost_px = np.ptp(self.shifts_px, axis=0)
        return float(np.prod(np.clip(1 - lost_px / self.intensity.shape[1:], 0, 1)))

    def selected(self, recipe: Recipe) -> Self:
        """Return the images at energies of a recipe that asks for fewer.

        Raises
        ------
        ValueError
            If none is left.
        """
        chosen = recipe.selected({*self.energies_ev, *self.missing_ev, *self.skipped_ev})
        kept = [k for k, e in enumerate(self.energies_ev) if e in chosen]
        if not kept:
            raise ValueError(f"{self.key}: the recipe selects no energy of this stack")
        return replace(
            self.at_energies(kept),
            missing_ev=tuple(e for e in self.missing_ev if e in chosen),
            skipped_ev=tuple(e for e in self.skipped_ev if e in chosen),
            copied_ev=tuple(e for e in self.copied_ev if e in chosen),
            unfinished_ev=tuple(e for e in self.unfinished_ev if e in chosen),
        )

    def at_energies(self, kept: Sequence[int]) -> Self:
        """Return the stack with some of its energies, and all values that belong to them.

        Parameters
        ----------
        kept : sequence of int
            Indices in ``energies_ev``.
        """
        rows = list(kept)
        changes: dict[str, Any] = {}
        for name in self._of_each_energy:
            values = getattr(self, name)
            if isinstance(values, np.ndarray):
                changes[name] = _images(values, rows)
            elif values is not None:
                changes[name] = tuple(values[k] for k in rows)
        kept_ev = {self.energies_ev[k] for k in rows}
        changes["repeated"] = tuple(image for image in self.repeated if image.first_ev in kept_ev)
        return replace(self, **changes)


@dataclass(frozen=True, eq=False, kw_only=True)
class ODStack(AlignedStack):
    """Aligned images and their optical density.

    Parameters
    ----------
    replaced_od : ndarray of shape (n_energies, ny, nx), float32, or None
        Optical density of a step that replaced `optical_density`. Without one it is made where it
        is needed, because it is as large as the stack.
    field : Field
        Specimen and empty support.
    valid : ndarray of bool, shape (ny, nx)
        True in the common field where at least two energies have an OD that is not constant.
    i0, i0_std : ndarray of shape (n_energies,)
        I0 and its standard uncertainty, common to all pixels of an image.
    dispersion : float or None
        Variance of the counts over their mean; None without empty support.
    """

    replaced_od: NDArray[np.float32] | None = None
    field: Field
    valid: NDArray[np.bool_]
    i0: NDArray[np.float64]
    i0_std: NDArray[np.float64]
    dispersion: float | None

    _of_each_energy: ClassVar[tuple[str, ...]] = (
        *AlignedStack._of_each_energy,
        "replaced_od",
        "i0",
        "i0_std",
    )

    @classmethod
    def of(
        cls, aligned: AlignedStack, i0: I0, replaced_od: NDArray[np.float32] | None = None
    ) -> ODStack:
        """Make the result from aligned images and their I0, or from an optical density as well."""
        values = {field.name: getattr(aligned, field.name) for field in fields(AlignedStack)}
        unchecked = cls(
            **values | {"notes": (*aligned.notes, *i0.notes)},
            replaced_od=replaced_od,
            field=i0.field,
            valid=np.zeros(aligned.intensity.shape[1:], dtype=np.bool_),
            i0=i0.i0,
            i0_std=i0.std,
            dispersion=i0.dispersion,
        )
        return replace(unchecked, valid=_has_spectrum(unchecked.images_od(), aligned.shifts_px))

    @property
    def od(self) -> NDArray[np.float32]:
        """Return the optical density, shape (n_energies, ny, nx), the same while it is held."""

        def whole() -> NDArray[np.float32]:
            if self.replaced_od is not None:
                return self.replaced_od.view()
            od = empty_like(self.intensity)
            for image, made in zip(self.images_od(), od, strict=True):
                made[...] = image
            return od

        return while_used(self, "od", whole)

    def images_od(self) -> Iterator[NDArray[np.float32]]:
        """Yield the optical density of each image, (ny, nx)."""
        for energy in range(len(self.energies_ev)):
            yield self._od_of(slice(energy, energy + 1))[0]

    def _od_of(self, energies: slice) -> NDArray[np.float32]:
        if self.replaced_od is not None:
            return self.replaced_od[energies].view()
        return optical_density(self.intensity[energies], self.i0[energies, None, None])

    @cached_property
    def mapped(self) -> NDArray[np.bool_]:
        """Return the pixels that get a phase, shape (ny, nx): specimen with a valid spectrum."""
        return self.field.specimen & self.valid

    @property
    def n_measured(self) -> NDArray[np.intp]:
        """Return how many energies each mapped pixel has, shape (n_spectra,)."""
        found = np.zeros(int(self.mapped.sum()), dtype=np.intp)
        for image in self.images_od():
            found += np.isfinite(image[self.mapped])
        return found

    @property
    def spectra(self) -> NDArray[np.float32]:
        """Return the optical density of the mapped pixels, shape (n_energies, n_spectra).

        NaN where an image lacks the pixel, as in a lost line.
        """
        if self.replaced_od is not None:
            return of_pixels(self.replaced_od, self.mapped)
        i0 = self.i0[:, None]
        return of_pixels(self.intensity, self.mapped, lambda some: optical_density(some, i0))

    def photons(self, per_count: float) -> NDArray[np.float32]:
        """Return the photons behind each value of `spectra`; 0 where an image lacks a pixel.

        Parameters
        ----------
        per_count : float
            Photons for each count.
        """

        def counted(photons: NDArray[np.float32]) -> NDArray[np.float32]:
            photons *= np.float32(per_count)
            photons[np.isnan(photons)] = 0
            return photons

        return while_used(
            self, f"photons {per_count}", lambda: of_pixels(self.intensity, self.mapped, counted)
        )


def _images(values: NDArray[Any], rows: list[int]) -> NDArray[Any]:
    """Return the values of some energies, one after the other where they are large."""
    chosen = empty_as(values, (len(rows), *values.shape[1:]), values.dtype)
    for place, row in enumerate(rows):
        chosen[place] = values[row]
    return chosen


def optical_density(
    intensity: NDArray[np.floating], i0: NDArray[np.floating] | float
) -> NDArray[np.float32]:
    """Return OD = ln(I0 / I): equation 3 of the paper, the law of Beer and Lambert.

    It is positive where the specimen absorbs; the paper prints the exponent with the other sign.

    Parameters
    ----------
    intensity : ndarray of shape (..., ny, nx)
        Counts; NaN where unusable (see `usable_intensity`).
    i0 : ndarray that broadcasts against intensity, or float
        I0 in the same units.

    Returns
    -------
    ndarray of the shape of intensity, float32
        Dimensionless; NaN where intensity is NaN.

    Examples
    --------
    >>> optical_density(np.array([[100.0, 36.788]]), 100.0).round(3)
    array([[0., 1.]], dtype=float32)
    """
    log_i0 = np.log(np.asarray(i0, dtype=np.float64)).astype(np.float32)
    log = np.log(intensity.astype(np.float32, copy=False))
    return np.subtract(log_i0, log, out=log)


def _has_spectrum(
    images: Iterable[NDArray[np.float32]], shifts_px: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return True in the common field where two energies or more differ, (ny, nx).

    From the optical density of each image. Where some images lack a pixel, the others count.
    """
    low, high = measured_range(images, shifts_px)
    largest = np.maximum(np.maximum(high, -low), 1)
    return np.asarray(np.isfinite(high - low) & (high - low > FLAT_OD * largest))


def aligned_stack(stack: Stack, registered: ODStack) -> Stack:
    """Return the stack of the aligned images, for export.

    Parameters
    ----------
    stack : Stack
        The original stack.
    registered : ODStack
        Result of `stxm_live.preprocessing.workflow.register`; NaN where a pixel moved out of
        the field.
    """
    moved = Stack.from_arrays(
        registered.intensity,
        registered.energies_ev,
        extent_um=stack.scan.extent_um,
        dwell_ms=stack.scan.dwell_ms,
        quantity="transmission" if registered.quantity in ("od", "yield") else stack.scan.quantity,
    )
    return replace(stack, scan=moved.scan, frames=moved.frames, checks=(), refusal="")
