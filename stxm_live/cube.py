"""The optical-density cube while it grows: for show, never reused for the final maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stxm_live.correlation import best_two, pearson
from stxm_live.normalisation import RegisteredStack
from stxm_live.recipe import Recipe
from stxm_live.registration import Registrar
from stxm_live.scan import StackScan
from stxm_live.stack import Frame, Stack, StackKey


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
    registrar : Registrar, optional
        Shared with whoever maps the same frames.

    Raises
    ------
    ValueError
        If the references do not cover the announced energies.
    """

    def __init__(self, scan: StackScan, recipe: Recipe, registrar: Registrar | None = None) -> None:
        self.scan = scan
        self.recipe = recipe
        self.energies_ev = tuple(recipe.selected(scan.energies_ev))
        self._reference_od = recipe.corrected_references.at(self.energies_ev)
        self._registrar = registrar or Registrar(recipe)

    def view(self, stack: Stack, latest: Frame) -> CubeView | None:
        """The cube of the frames so far; None if the recipe leaves the latest one out.

        Raises
        ------
        ValueError
            If no I0 can be had, or an image is shifted beyond the recipe's limit.
        """
        if latest.announced_ev not in self.energies_ev:
            return None
        registered = self._registrar.register(stack)
        announced = {f.energy_ev: f.announced_ev for f in stack.frames}
        known = [e for e in registered.energies_ev if announced[e] in self.energies_ev]
        places = [self.energies_ev.index(announced[e] or 0.0) for e in known]
        shape = (len(self.energies_ev), *self.scan.image_shape)
        od = np.full(shape, np.nan, dtype=np.float32)
        od[places] = registered.od[[registered.energies_ev.index(e) for e in known]]
        measured = np.zeros(len(self.energies_ev), dtype=bool)
        measured[places] = True
        references = self.recipe.corrected_references
        so_far = [self.energies_ev[k] for k in places]
        pairs = references.inseparable_pairs(so_far, self.recipe.ambiguity_threshold)
        return CubeView(
            key=stack.key,
            scan=self.scan,
            energies_ev=self.energies_ev,
            measured=measured,
            latest=self.energies_ev.index(latest.announced_ev),
            od=od,
            specimen=registered.field.specimen.copy(),
            mean_spectrum=_mean_spectrum(od, registered.field.specimen),
            reference_od=self._reference_od.copy(),
            phase_names=references.phase_names,
            colors=dict(self.recipe.colors),
            synthetic_references=references.synthetic,
            inseparable=tuple(pairs),
            provisional_index=None if pairs else self._provisional(registered),
        )

    def _provisional(self, registered: RegisteredStack) -> NDArray[np.int8]:
        """Phase of the largest coefficient on the energies so far, -1 beside the specimen."""
        mapped = registered.field.specimen & registered.valid
        references = self.recipe.corrected_references.at(registered.energies_ev)
        index = np.full(mapped.shape, -1, dtype=np.int8)
        index[mapped] = best_two(pearson(registered.od[:, mapped], references)).first_index
        return index


def _mean_spectrum(od: NDArray[np.float32], specimen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean OD of the specimen at each energy; NaN where not measured."""
    inside = od[:, specimen]
    known = np.isfinite(inside)
    total = np.where(known, inside, 0).sum(axis=1, dtype=np.float64)
    count = known.sum(axis=1)
    return np.asarray(np.divide(total, count, out=np.full(len(od), np.nan), where=count > 0))
