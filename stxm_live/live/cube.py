"""The optical-density cube while it grows, for display only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.measured_mean import measured_mean
from stxm_live.core.recipe import Recipe
from stxm_live.core.references import ReferenceSpectra
from stxm_live.core.scan import StackScan
from stxm_live.core.stack import Frame, Stack, StackKey
from stxm_live.core.twins import Twins, labels, representatives, twins_of
from stxm_live.live.progress import Progress
from stxm_live.phase_mapping.correlation import ambiguous, best_two
from stxm_live.phase_mapping.steps import DEFAULT, Steps
from stxm_live.phase_mapping.workflow import align_images, od_stack
from stxm_live.preprocessing.gaps import gaps_of
from stxm_live.preprocessing.normalization import ODStack
from stxm_live.preprocessing.stack_images import ImageCache


@dataclass(frozen=True, eq=False)
class ODCube:
    """Read-only snapshot of a stack's optical-density cube, as far as it is measured.

    It is for display only: final maps are made from the frames by `map_phases`, not from a cube.

    Parameters
    ----------
    key : StackKey
    scan : StackScan
    energies_ev : tuple of float
        Axis of the cube, ascending: every announced energy that is used in the maps.
    measured : ndarray of bool, shape (n_energies,)
    latest : int
        Index of the latest energy.
    od : ndarray of shape (n_energies, ny, nx), float32
        Optical density; NaN where not measured yet or outside the common field.
    specimen : ndarray of bool, shape (ny, nx)
        Specimen pixels found so far.
    mean_spectrum : ndarray of shape (n_energies,)
        Mean OD of the specimen; NaN where not measured yet.
    reference_od : ndarray of shape (n_phases, n_energies)
        Of no phase if the recipe has no references; there is no provisional map then.
    inseparable : tuple of (str, str)
        Pairs of phases that the energies so far cannot distinguish.
    twins : tuple of tuple of str
        The groups that these pairs make; a group has one label in the provisional map.
    provisional_index : ndarray of int8, shape (ny, nx), or None
        Phase of the largest coefficient, the first of its group where the energies so far cannot
        distinguish it; None as long as they distinguish nothing.
    provisional_ambiguous : ndarray of bool, shape (ny, nx), or None
        True where the two largest coefficients so far are too close; None if the index is None.
    shifts_px : ndarray of shape (n_energies, 2)
        (y, x) applied to each image; NaN where not measured yet, as for the next three.
    i0, i0_std : ndarray of shape (n_energies,)
        I0 in counts, and its standard uncertainty.
    mean_counts : ndarray of shape (n_energies,)
        Mean counts of the specimen's pixels.
    progress : Progress or None
        Progress of the scan; None if the times are not known.
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
    twins: Twins = ()
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


def cube_view(
    stack: Stack,
    latest: Frame,
    recipe: Recipe,
    *,
    seen: ImageCache | None = None,
    steps: Steps = DEFAULT,
    progress: Progress | None = None,
) -> ODCube | None:
    """Return the cube of the frames so far; None if the recipe leaves out the latest one.

    The images so far are aligned like those of a finished stack: to the one with the most
    contrast so far. I0 and specimen are found again with every image.

    Parameters
    ----------
    stack : Stack
        The frames so far.
    latest : Frame
        The latest one.
    recipe : Recipe
    seen : ImageCache, optional
        Cache shared with the mapping of the same frames.
    steps : Steps, optional
        As for `map_phases`: the cube is aligned, normalized and correlated by them.
    progress : Progress, optional
        Progress to include in the snapshot.

    Raises
    ------
    ValueError
        If the references do not cover the announced energies, if no I0 is found, or if an image
        is shifted beyond the recipe's limit.
    """
    energies_ev = tuple(recipe.selected(stack.scan.energies_ev))
    references = None if recipe.references is None else recipe.corrected_references
    reference_od = np.empty((0, len(energies_ev)))
    if references is not None:
        reference_od = references.at(energies_ev)
    if latest.announced_ev not in energies_ev:
        return None
    images = (seen or ImageCache(recipe)).usable(stack)
    registered = od_stack(align_images(images, recipe, steps), recipe, steps)
    axis = _Axis.of(stack, registered, energies_ev)
    specimen, od = registered.field.specimen, registered.od
    gaps = gaps_of(od, registered.shifts_px)
    whole = specimen & (np.isfinite(od).all(axis=0) | gaps)
    spectra = od[:, whole]
    phases: dict[str, Any] = {"phase_names": (), "synthetic_references": False}
    if references is not None:
        so_far = [energies_ev[k] for k in axis.places]
        phases = _phases(references, so_far, registered, whole, spectra, recipe, steps)
    return ODCube(
        key=stack.key,
        scan=stack.scan,
        energies_ev=energies_ev,
        measured=np.isin(np.arange(len(energies_ev)), axis.places),
        latest=energies_ev.index(latest.announced_ev),
        od=axis.spread(od),
        specimen=specimen.copy(),
        mean_spectrum=axis.spread(measured_mean(spectra)),
        reference_od=reference_od,
        colors=dict(recipe.colors),
        shifts_px=axis.spread(registered.shifts_px),
        i0=axis.spread(registered.i0),
        i0_std=axis.spread(registered.i0_std),
        mean_counts=axis.spread(measured_mean(registered.intensity[:, whole])),
        progress=progress,
        **phases,
    )


def _phases(
    references: ReferenceSpectra,
    so_far_ev: Sequence[float],
    registered: ODStack,
    whole: NDArray[np.bool_],
    spectra: NDArray[np.float32],
    recipe: Recipe,
    steps: Steps,
) -> dict[str, Any]:
    """Return what the energies so far say about the phases, as values of the cube."""
    names = references.phase_names
    pairs = references.inseparable_pairs(so_far_ev, recipe.ambiguity_threshold)
    twins = twins_of(names, pairs)
    index, is_ambiguous = None, None
    if len(labels(names, twins)) > 1:
        first = representatives(names, twins)
        index, is_ambiguous = _provisional(registered, whole, spectra, first, recipe, steps)
    return {
        "phase_names": names,
        "synthetic_references": references.synthetic,
        "inseparable": tuple(pairs),
        "twins": twins,
        "provisional_index": index,
        "provisional_ambiguous": is_ambiguous,
    }


@dataclass(frozen=True)
class _Axis:
    """Places of the measured rows among the announced energies."""

    n_energies: int
    rows: list[int]
    places: list[int]

    @classmethod
    def of(cls, stack: Stack, registered: ODStack, energies_ev: Sequence[float]) -> _Axis:
        announced = {f.energy_ev: f.announced_ev for f in stack.frames}
        known = [e for e in registered.energies_ev if announced[e] in energies_ev]
        rows = [registered.energies_ev.index(e) for e in known]
        places = [energies_ev.index(announced[e] or 0.0) for e in known]
        return cls(len(energies_ev), rows, places)

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return rows of ``values`` (n_measured, ...) at their places; NaN where not measured.

        Values that are at their places already are not copied, for a cube is large.
        """
        if self.rows == self.places == [*range(self.n_energies)] and len(values) == self.n_energies:
            return values.view()
        out = np.full((self.n_energies, *values.shape[1:]), np.nan, dtype=values.dtype)
        for place, row in zip(self.places, self.rows, strict=True):
            out[place] = values[row]
        return out


def _provisional(
    registered: ODStack,
    whole: NDArray[np.bool_],
    spectra: NDArray[np.float32],
    representative: NDArray[np.int8],
    recipe: Recipe,
    steps: Steps,
) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """Return the phase of the largest coefficient so far, -1 beside specimen, and ambiguity.

    Of phases that have one ``representative`` the largest coefficient counts.
    """
    varies = registered.valid[whole]
    mapped = whole & registered.valid
    references = recipe.corrected_references.at(registered.energies_ev)
    found = steps.correlate(spectra if varies.all() else spectra[:, varies], references, recipe)
    index = np.full(mapped.shape, -1, dtype=np.int8)
    close = np.zeros(mapped.shape, dtype=bool)
    index[mapped], close[mapped] = found.best.first_index, found.ambiguous
    groups = np.unique(representative)
    if len(groups) < len(representative):
        of_group = [found.correlation[representative == k].max(axis=0) for k in groups]
        best = best_two(np.stack(of_group))
        index[mapped] = groups[best.first_index]
        close[mapped] = ambiguous(best, recipe.ambiguity_threshold)
    return index, close
