"""The optical-density cube while it grows: for show, never reused for the final maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.recipe import Recipe
from stxm_live.core.scan import StackScan
from stxm_live.core.stack import Frame, Stack, StackKey
from stxm_live.core.threads import one_blas_thread
from stxm_live.live.progress import Progress
from stxm_live.phase_mapping.steps import DEFAULT, Steps
from stxm_live.phase_mapping.workflow import align_images, od_stack
from stxm_live.preprocessing.normalization import ODStack
from stxm_live.preprocessing.stack_images import ImageCache


@dataclass(frozen=True, eq=False)
class CubeView:
    """A read-only snapshot of a growing cube.

    Parameters
    ----------
    key : StackKey
    scan : StackScan
    energies_ev : tuple of float
        Axis of the cube, ascending: every announced energy that takes part in the maps.
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
    provisional_ambiguous : ndarray of bool, shape (ny, nx), or None
        Where the two largest coefficients so far are too close; None together with the index.
    shifts_px : ndarray of shape (n_energies, 2)
        (y, x) applied to each image; NaN where not measured yet, as for the next three.
    i0, i0_std : ndarray of shape (n_energies,)
        Incident intensity in counts, and its standard uncertainty.
    mean_counts : ndarray of shape (n_energies,)
        Mean counts of the specimen's pixels.
    progress : Progress or None
        How far the scan is; None if nobody looked at the clock.
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
    provisional_ambiguous: NDArray[np.bool_] | None = None
    shifts_px: NDArray[np.float64] | None = None
    i0: NDArray[np.float64] | None = None
    i0_std: NDArray[np.float64] | None = None
    mean_counts: NDArray[np.float64] | None = None
    progress: Progress | None = None

    def __post_init__(self) -> None:
        for value in vars(self).values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False


class ODCube:
    """The growing cube of one stack.

    The images so far are registered as those of a finished stack are: the one with the most
    contrast so far is what the others are laid on, and I0 and specimen are found anew with
    every image. Final maps are made from the frames by `map_phases`, not from the cube.

    Parameters
    ----------
    scan : StackScan
    recipe : Recipe
    seen : ImageCache, optional
        Shared with whoever maps the same frames.
    steps : Steps, optional
        As for `map_phases`: the growing cube is aligned, normalized and correlated by them.

    Raises
    ------
    ValueError
        If the references do not cover the announced energies.
    """

    def __init__(
        self,
        scan: StackScan,
        recipe: Recipe,
        seen: ImageCache | None = None,
        steps: Steps = DEFAULT,
    ) -> None:
        self.scan = scan
        self.recipe = recipe
        self.energies_ev = tuple(recipe.selected(scan.energies_ev))
        self._reference_od = recipe.corrected_references.at(self.energies_ev)
        self._seen = seen or ImageCache(recipe)
        self._steps = steps

    @one_blas_thread()
    def view(
        self, stack: Stack, latest: Frame, progress: Progress | None = None
    ) -> CubeView | None:
        """The cube of the frames so far; None if the recipe leaves the latest one out.

        Raises
        ------
        ValueError
            If no I0 can be had, or an image is shifted beyond the recipe's limit.
        """
        if latest.announced_ev not in self.energies_ev:
            return None
        images = self._seen.usable(stack)
        aligned = align_images(images, self.recipe, self._steps)
        registered = od_stack(aligned, self.recipe, self._steps)
        announced = {f.energy_ev: f.announced_ev for f in stack.frames}
        known = [e for e in registered.energies_ev if announced[e] in self.energies_ev]
        rows = [registered.energies_ev.index(e) for e in known]
        places = [self.energies_ev.index(announced[e] or 0.0) for e in known]
        specimen = registered.field.specimen
        references = self.recipe.corrected_references
        so_far = [self.energies_ev[k] for k in places]
        pairs = references.inseparable_pairs(so_far, self.recipe.ambiguity_threshold)
        whole = specimen & np.isfinite(registered.od).all(axis=0)
        spectra = registered.od[:, whole]
        index, is_ambiguous = (
            (None, None) if pairs else self._provisional(registered, whole, spectra)
        )
        mean_od, mean_counts = _means(spectra), _means(registered.intensity[:, whole])
        return CubeView(
            key=stack.key,
            scan=self.scan,
            energies_ev=self.energies_ev,
            measured=np.isin(np.arange(len(self.energies_ev)), places),
            latest=self.energies_ev.index(latest.announced_ev),
            od=self._on_axis(registered.od, rows, places),
            specimen=specimen.copy(),
            mean_spectrum=self._on_axis(mean_od, rows, places),
            reference_od=self._reference_od.copy(),
            phase_names=references.phase_names,
            colors=dict(self.recipe.colors),
            synthetic_references=references.synthetic,
            inseparable=tuple(pairs),
            provisional_index=index,
            provisional_ambiguous=is_ambiguous,
            shifts_px=self._on_axis(registered.shifts_px, rows, places),
            i0=self._on_axis(registered.i0, rows, places),
            i0_std=self._on_axis(registered.i0_std, rows, places),
            mean_counts=self._on_axis(mean_counts, rows, places),
            progress=progress,
        )

    def _on_axis(
        self, values: NDArray[Any], rows: Sequence[int], places: Sequence[int]
    ) -> NDArray[Any]:
        """Rows of ``values`` at their places among the announced energies; NaN elsewhere."""
        out = np.full((len(self.energies_ev), *values.shape[1:]), np.nan, dtype=values.dtype)
        out[places] = values[rows]
        return out

    def _provisional(
        self, registered: ODStack, whole: NDArray[np.bool_], spectra: NDArray[np.float32]
    ) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
        """Phase of the largest coefficient so far, -1 beside the specimen; where it is close."""
        varies = registered.valid[whole]
        mapped = whole & registered.valid
        references = self.recipe.corrected_references.at(registered.energies_ev)
        found = self._steps.correlate(
            spectra if varies.all() else spectra[:, varies], references, self.recipe
        )
        index = np.full(mapped.shape, -1, dtype=np.int8)
        index[mapped] = found.best.first_index
        close = np.zeros(mapped.shape, dtype=bool)
        close[mapped] = found.ambiguous
        return index, close


def _means(inside: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean of each row (n_images, n_pixels); NaN where there are no pixels."""
    if inside.shape[1] == 0:
        return np.full(len(inside), np.nan)
    return np.asarray(inside.mean(axis=1, dtype=np.float64))
