"""The optical-density cube while it grows: for show, never reused for the final maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.alignment import EdgeImage, find_shift, shifted
from stxm_live.correlation import best_two, pearson
from stxm_live.incident import incident, stack_field
from stxm_live.optical_density import optical_density, usable_intensity
from stxm_live.recipe import Recipe
from stxm_live.scan import StackScan
from stxm_live.stack import Frame, StackKey


@dataclass(frozen=True, eq=False)
class CubeView:
    """A read-only snapshot of a growing cube.

    Parameters
    ----------
    key : StackKey
    scan : StackScan
    energies_ev : tuple of float
        Axis of the cube, ascending: every announced energy, and images nobody announced.
    measured : ndarray of bool, shape (n_energies,)
    latest : int
        Index of the energy that came last.
    od : ndarray of shape (n_energies, ny, nx), float32
        Optical density; NaN where not measured yet or outside the common field.
    specimen : ndarray of bool, shape (ny, nx)
        As far as it can be told so far.
    mean_spectrum : ndarray of shape (n_energies,)
        Mean OD of the specimen; NaN where not measured yet.
    reference_od : ndarray of shape (n_phases, n_energies)
    inseparable : tuple of (str, str)
        Pairs of phases the energies so far cannot tell apart.
    provisional_index : ndarray of int8, shape (ny, nx), or None
        Phase of the largest coefficient; None until the energies so far separate all references.
    """

    key: StackKey
    scan: StackScan
    energies_ev: tuple[float, ...]
    measured: NDArray[np.bool_]
    latest: int
    od: NDArray[np.float32]
    specimen: NDArray[np.bool_]
    mean_spectrum: NDArray[np.float64]
    reference_od: NDArray[np.float64]
    phase_names: tuple[str, ...]
    colors: dict[str, str]
    synthetic_references: bool
    inseparable: tuple[tuple[str, str], ...] = ()
    provisional_index: NDArray[np.int8] | None = None


class ODCube:
    """The growing cube of one stack.

    Each image is registered, divided by I0 and kept as it comes; the empty support is found
    anew from all images so far. Final maps never use it: they are made from the frames by
    `map_phases`, so that live and replayed results agree.

    Parameters
    ----------
    key : StackKey
    scan : StackScan
    recipe : Recipe

    Raises
    ------
    ValueError
        If the references do not cover the announced energies.
    """

    def __init__(self, key: StackKey, scan: StackScan, recipe: Recipe) -> None:
        self.key = key
        self.scan = scan
        self.recipe = recipe
        self.energies_ev = recipe.selected(scan.energies_ev)
        self._reference_od = recipe.reference_spectra.at(self.energies_ev)
        shape = (len(self.energies_ev), *scan.image_shape)
        self._od = np.full(shape, np.nan, dtype=np.float32)
        self._sum_log = np.zeros(scan.image_shape)
        self._log: dict[int, NDArray[np.float32]] = {}
        self._anchor: tuple[EdgeImage, NDArray[np.float64]] | None = None
        self._measured = np.zeros(len(self.energies_ev), dtype=bool)
        self._latest = -1

    def add(self, frame: Frame) -> bool:
        """Take a whole frame, or a later one of the same energy; False if it is not shown.

        Raises
        ------
        ValueError
            If no I0 can be had.
        """
        if frame.announced_ev not in self.energies_ev:
            return False
        index = self.energies_ev.index(frame.announced_ev)
        intensity, _ = usable_intensity(frame.intensity, self.recipe.detector.saturation_counts)
        if self.recipe.alignment.enabled:
            intensity = shifted(intensity, self._shift(intensity))
        log = -np.log(intensity)
        if index in self._log:
            self._sum_log -= self._log[index]
        self._log[index] = log
        self._sum_log += log
        self._measured[index] = True
        self._latest = index
        self._field = stack_field(self._sum_log / self._measured.sum(), self.recipe)
        i0 = incident(
            intensity[None], [frame.energy_ev], self._field, self.recipe, self.scan.extent_um
        )
        self._od[index] = optical_density(intensity, i0[0])
        return True

    def _shift(self, intensity: NDArray[np.float32]) -> tuple[float, float]:
        """Shift onto the images so far; a clearly sharper image becomes the anchor."""
        image = EdgeImage.of(intensity)
        if self._anchor is None:
            self._anchor = image, np.zeros(2)
            return 0.0, 0.0
        anchor, anchor_shift = self._anchor
        shift = anchor_shift + find_shift(image, anchor)
        if image.contrast > 1.5 * anchor.contrast:
            self._anchor = image, shift
        return float(shift[0]), float(shift[1])

    def view(self) -> CubeView:
        """A snapshot that later frames do not change."""
        recipe, specimen = self.recipe, self._field.specimen
        references = recipe.reference_spectra
        so_far = [e for e, known in zip(self.energies_ev, self._measured, strict=True) if known]
        pairs = references.inseparable_pairs(so_far, recipe.ambiguity_threshold)
        spectrum = np.full(len(self.energies_ev), np.nan)
        inside = self._od[self._measured][:, specimen]
        with np.errstate(invalid="ignore"):
            known = np.isfinite(inside)
            total = np.where(known, inside, 0).sum(axis=1, dtype=np.float64)
            spectrum[self._measured] = total / known.sum(axis=1)
        return CubeView(
            key=self.key,
            scan=self.scan,
            energies_ev=tuple(self.energies_ev),
            measured=self._measured.copy(),
            latest=self._latest,
            od=read_only(self._od.copy()),
            specimen=specimen,
            mean_spectrum=spectrum,
            reference_od=self._reference_od,
            phase_names=references.phase_names,
            colors=dict(recipe.colors),
            synthetic_references=references.synthetic,
            inseparable=tuple(pairs),
            provisional_index=None if pairs else self._provisional(specimen),
        )

    def _provisional(self, specimen: NDArray[np.bool_]) -> NDArray[np.int8]:
        spectra = self._od[self._measured][:, specimen]
        best = best_two(pearson(spectra, self._reference_od[:, self._measured]))
        index = np.full(specimen.shape, -1, dtype=np.int8)
        index[specimen] = best.first_index
        return index


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """The array, protected from writing."""
    array.flags.writeable = False
    return array
