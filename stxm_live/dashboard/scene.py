"""`Scene`: the stack that a page shows, still being measured or finished."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stxm_live.plotting.panels.result import brightest_energy, mean_spectrum
from stxm_live.plotting.style.palette import phase_colors
from stxm_live.plotting.style.raster import Extent, FieldOfView, field_of_view

if TYPE_CHECKING:
    from stxm_live.core.phase_maps import PhaseMaps
    from stxm_live.core.stack import StackKey
    from stxm_live.core.twins import Twins
    from stxm_live.dashboard.state import Result, Snapshot
    from stxm_live.live.cube import ODCube
    from stxm_live.phase_mapping.exploration import Exploration


@dataclass(frozen=True, eq=False)
class Scene:
    """A stack with its images, and its maps if there are any.

    Parameters
    ----------
    key : StackKey
    energies_ev : tuple of float
    measured : ndarray of bool, shape (n_energies,)
    latest : int
        Index of the newest energy; for finished maps, of the one at which the specimen absorbs
        most.
    od : ndarray of shape (n_energies, ny, nx)
    extent_um : tuple of float
    specimen : ndarray of bool, shape (ny, nx)
    mean_od : ndarray of shape (n_energies,)
    reference_od : ndarray of shape (n_phases, n_energies)
    phase_names : tuple of str
        As typed by a user; not escaped.
    colors : ndarray of shape (n_phases, 3)
    index : ndarray of int8, shape (ny, nx), or None
        The final or provisional map; None as long as there is none.
    shifts_px : ndarray of shape (n_energies, 2) or None
        y and x; NaN where not measured.
    i0 : ndarray of shape (n_energies,) or None
    view : ODCube or None
    result : Result or None
    exploration : Exploration or None
        The first look at a stack without references; its clusters are shown as phases.
    """

    key: StackKey
    energies_ev: tuple[float, ...]
    measured: NDArray[np.bool_]
    latest: int
    od: NDArray[np.float32]
    extent_um: Extent
    specimen: NDArray[np.bool_]
    mean_od: NDArray[np.float64]
    reference_od: NDArray[np.float64]
    phase_names: tuple[str, ...]
    colors: NDArray[np.float64]
    index: NDArray[np.int8] | None
    shifts_px: NDArray[np.float64] | None = None
    i0: NDArray[np.float64] | None = None
    view: ODCube | None = None
    result: Result | None = None
    exploration: Exploration | None = None

    @classmethod
    def of_view(cls, view: ODCube) -> Scene:
        """Return the scene of a stack that is being measured."""
        return cls(
            key=view.key,
            energies_ev=view.energies_ev,
            measured=view.measured,
            latest=view.latest,
            od=view.od,
            extent_um=view.scan.extent_um,
            specimen=view.specimen,
            mean_od=view.mean_spectrum,
            reference_od=view.reference_od,
            phase_names=view.phase_names,
            colors=phase_colors(view.phase_names, view.colors),
            index=view.provisional_index,
            shifts_px=view.shifts_px,
            i0=view.i0,
            view=view,
        )

    @classmethod
    def of_result(cls, result: Result) -> Scene:
        """Return the scene of finished maps."""
        maps = result.maps
        mean_od = mean_spectrum(maps)
        return cls(
            key=maps.key,
            energies_ev=maps.energies_ev,
            measured=np.ones(len(maps.energies_ev), dtype=bool),
            latest=brightest_energy(mean_od),
            od=maps.od,
            extent_um=maps.extent_um,
            specimen=maps.specimen,
            mean_od=mean_od,
            reference_od=maps.reference_od,
            phase_names=maps.phase_names,
            colors=phase_colors(maps.phase_names, maps.colors),
            index=maps.final_index,
            shifts_px=maps.shifts_px,
            i0=maps.i0,
            result=result,
        )

    @classmethod
    def of_exploration(cls, exploration: Exploration, view: ODCube | None = None) -> Scene:
        """Return the scene of a first look: clusters with their mean spectra, in place of phases.

        With the ``view`` of the same stack there is optical density beside the specimen, too.
        """
        spectra, clusters = exploration.spectra, exploration.clusters
        names = cluster_names(exploration)
        index = np.full(spectra.pixels.shape, -1, dtype=np.int8)
        index[spectra.pixels] = clusters.index
        od, shifts_px, i0 = spectra.cube.astype(np.float32), None, None
        if view is not None and int(view.measured.sum()) == len(od):
            od = view.od[view.measured]
            if view.shifts_px is not None and view.i0 is not None:
                shifts_px, i0 = view.shifts_px[view.measured], view.i0[view.measured]
        return cls(
            key=exploration.key,
            energies_ev=tuple(float(e) for e in spectra.energies_ev),
            measured=np.ones(len(od), dtype=bool),
            latest=brightest_energy(exploration.pca.mean),
            od=od,
            extent_um=spectra.extent_um,
            specimen=spectra.pixels,
            mean_od=exploration.pca.mean,
            reference_od=np.array([each.od for each in clusters.spectra]),
            phase_names=names,
            colors=phase_colors(names),
            index=index,
            shifts_px=shifts_px,
            i0=i0,
            view=view,
            exploration=exploration,
        )

    @property
    def has_no_references(self) -> bool:
        """True for a stack that has no references yet."""
        return self.exploration is not None or not self.phase_names

    @property
    def lines(self) -> str:
        """The spectra to compare with, in words; empty as long as there are none."""
        if self.exploration is not None:
            return "clusters"
        return "references" if self.phase_names else ""

    @property
    def maps(self) -> PhaseMaps | None:
        """The maps, if it is finished."""
        return None if self.result is None else self.result.maps

    @property
    def twins(self) -> Twins:
        """Phases that are not distinguished, or not yet."""
        shown = self.view if self.maps is None else self.maps
        return () if shown is None or self.exploration is not None else shown.twins

    @cached_property
    def field(self) -> FieldOfView:
        """Position of the images."""
        return field_of_view(self.extent_um, self.specimen.shape)

    def shows_same_field(self, other: Scene) -> bool:
        """Return True for the same stack, perhaps with further runs, on the same pixels."""
        first, second = (
            (each.key[1:], each.key.run_uids[:1], each.field, each.specimen.shape)
            for each in (self, other)
        )
        return first == second

    @property
    def last_ev(self) -> float:
        """Newest energy in eV."""
        return self.energies_ev[self.latest]

    def pixel_at(self, x: float, y: float) -> tuple[int, int] | None:
        """Return row and column of a point in the field's unit; None outside the image."""
        ny, nx = self.specimen.shape
        field = self.field
        column = int(np.floor((x - field.x_first) / (field.x_last - field.x_first) * nx))
        row = int(np.floor((y - field.y_first) / (field.y_last - field.y_first) * ny))
        return (row, column) if 0 <= row < ny and 0 <= column < nx else None

    def centre_of(self, row: int, column: int) -> tuple[float, float]:
        """Return the centre of a pixel, x and y in the field's unit."""
        ny, nx = self.specimen.shape
        field = self.field
        return (
            field.x_first + (column + 0.5) / nx * (field.x_last - field.x_first),
            field.y_first + (row + 0.5) / ny * (field.y_last - field.y_first),
        )


def cluster_names(exploration: Exploration) -> tuple[str, ...]:
    """Return the names of the clusters, as legends have them."""
    return tuple(f"cluster {each.name}" for each in exploration.clusters.spectra)


def current_scene(now: Snapshot) -> Scene | None:
    """Return the newest scene: the stack being measured, else the last maps or first look."""
    found = now.exploration
    if found is not None and (
        now.newest is None if now.view is None else now.view.key == found.key
    ):
        return Scene.of_exploration(found, now.view)
    if now.view is not None and (now.is_scanning or now.newest is None):
        return Scene.of_view(now.view)
    return None if now.newest is None else Scene.of_result(now.newest)
