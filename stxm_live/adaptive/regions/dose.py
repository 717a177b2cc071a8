"""Dose that a specimen has absorbed at each place, and dose of a further scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stxm_live.adaptive.regions.grid import Raster
from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.region import Region
from stxm_live.core.stack import StackKey

_MGY_PER_EV_CM2_PER_UM2_G = 1.602176634e-19 * 1e8 * 1e3 * 1e-6
"""Joules in an eV, um2 in a cm2, g in a kg, MGy in a Gy."""

_ROUNDING_PX = 1e-3
"""Rounding of positions, in pixels of a map."""


@dataclass(frozen=True)
class Absorber:
    """Constants that convert counts and optical densities into absorbed dose.

    Parameters
    ----------
    density_g_cm3 : float
        Density of the specimen; 3.165 for NaxV2(PO4)2F3.
    reference_nm : float
        Thickness of the reference spectra: 100 for OD per 100 nm.
    photons_per_count : float
        Photons on the specimen for each count of the empty beam: photons per count divided by
        the counter's efficiency.

    Raises
    ------
    ValueError
        If a value is not positive.
    """

    density_g_cm3: float
    reference_nm: float
    photons_per_count: float

    def __post_init__(self) -> None:
        for name in ("density_g_cm3", "reference_nm", "photons_per_count"):
            if not 0 < getattr(self, name) < np.inf:
                raise ValueError(f"{name} is {getattr(self, name):g}; it must be positive")

    def absorbed_mgy(self, maps: PhaseMaps) -> NDArray[np.float32]:
        """Return the dose of the stack the maps were made from, in MGy, shape (ny, nx).

        It is the mean over a pixel's area and thickness; 0 where no phase is mapped.

        Notes
        -----
        Sum over the energies of ``n E (mu/rho) / A * (1 - exp(-OD)) / OD``: n photons of energy E
        on the area A of a pixel, and mu/rho the mass absorption coefficient of the pixel's phase.
        It follows from its reference OD, thickness and density. The first factor is the dose of the
        surface (C. Jacobsen et al., manual of stack_analyze, eq. 2); the second its mean over the
        thickness by the law of Beer and Lambert (Berejnov et al., J. Synchrotron Rad. 25, 833
        (2018)).
        """
        index = maps.final_index
        mapped = index >= 0
        raster = Raster.of(maps.extent_um, mapped.shape)
        photons = maps.i0 * self.photons_per_count
        fluence_ev_um2 = photons * np.array(maps.energies_ev) / raster.pixel_um2
        per_cm = np.maximum(maps.reference_od, 0) / (self.reference_nm * 1e-7)
        surface = fluence_ev_um2 * per_cm / self.density_g_cm3 * _MGY_PER_EV_CM2_PER_UM2_G
        od = np.fmax(maps.od[:, mapped], np.float32(1e-6))  # NaN where an image lacks a pixel
        shaded = -np.expm1(-od) / od
        dose = np.zeros(mapped.shape, dtype=np.float32)
        dose[mapped] = np.einsum("ne,en->n", surface.astype(np.float32)[index[mapped]], shaded)
        return dose


class DoseMap:
    """The dose of one sample, added up over its stacks.

    Parameters
    ----------
    absorber : Absorber

    Notes
    -----
    Positions are those of the motors: after a sample has been moved in its holder, `clear` it.
    Stacks without maps are not counted, nor is the dose of single images.
    """

    def __init__(self, absorber: Absorber) -> None:
        self.absorber = absorber
        self._stacks: dict[StackKey, tuple[Raster, NDArray[np.float32]]] = {}

    def clear(self) -> None:
        """Start again, with another sample."""
        self._stacks.clear()

    @property
    def n_stacks(self) -> int:
        """Return the number of stacks that were added."""
        return len(self._stacks)

    def add(self, maps: PhaseMaps) -> None:
        """Count the stack of these maps once, even if refined maps of it follow."""
        raster = Raster.of(maps.extent_um, maps.specimen.shape)
        self._stacks[maps.key] = raster, self.absorber.absorbed_mgy(maps)

    def at(self, x_um: NDArray[np.floating], y_um: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the dose in MGy at columns ``x_um`` and rows ``y_um``, shape (ny, nx)."""
        total = np.zeros((len(y_um), len(x_um)))
        for raster, dose in tuple(self._stacks.values()):  # a sink may add one meanwhile
            pixels = []
            for axis, at_um in ((raster.y, y_um), (raster.x, x_um)):
                k = np.rint((np.asarray(at_um) - axis.first_um) / (axis.step_um or 1.0))
                pixels.append((k.clip(0, axis.n - 1).astype(np.intp), (k >= 0) & (k < axis.n)))
            (rows, in_y), (columns, in_x) = pixels
            total += np.where(np.outer(in_y, in_x), dose[np.ix_(rows, columns)], 0.0)
        return total

    def so_far_mgy(self, region: Region) -> float:
        """Return the mean dose over the pixels of a region that were scanned with specimen."""
        x_um, y_um = region.positions_um
        dose = self.at(x_um, y_um)
        return float(dose[dose > 0].mean()) if (dose > 0).any() else 0.0

    def expected_mgy(self, maps: PhaseMaps, region: Region, photons: float = 1.0) -> float:
        """Return the dose of the specimen in a region from a stack at the energies of a map.

        Parameters
        ----------
        maps : PhaseMaps
            Maps of a scan of the place.
        region : Region
        photons : float
            Photons per pixel and energy, relative to those of the maps.
        """
        raster = Raster.of(maps.extent_um, maps.specimen.shape)
        footprint = Raster.of(
            (*region.x_extent_um, *region.y_extent_um), (region.ny, region.nx)
        ).footprint_um
        dose = self.absorber.absorbed_mgy(maps)[raster.window(footprint)]
        x_step, y_step = region.step_um
        area = x_step * y_step
        if not (dose > 0).any() or area == 0:
            return 0.0
        return float(dose[dose > 0].mean()) * photons * raster.pixel_um2 / area

    def highest_mgy(self, maps: PhaseMaps, region: Region, photons: float = 1.0) -> float:
        """Return the highest dose of a pixel after a region is scanned, earlier dose included.

        Parameters
        ----------
        maps, region, photons
            As for `expected_mgy`. Every pixel of the map that the region touches counts.

        Raises
        ------
        ValueError
            If the region reaches beyond the maps, where the specimen is unknown.
        """
        raster = Raster.of(maps.extent_um, maps.specimen.shape)
        scan = Raster.of((*region.x_extent_um, *region.y_extent_um), (region.ny, region.nx))
        touched = []
        for name, axis, side in zip("xy", raster, scan, strict=True):
            low, high = axis.edges_px(side.footprint_um)
            if low < -_ROUNDING_PX or high > axis.n + _ROUNDING_PX:
                raise ValueError(
                    f"the region reaches beyond {maps.key} in {name}, where its dose is not known; "
                    "stay within the maps or scan an overview of the place"
                )
            ends = int(np.floor(low + _ROUNDING_PX)), int(np.ceil(high - _ROUNDING_PX))
            touched.append(np.arange(max(ends[0], 0), min(ends[1], axis.n)))
        columns, rows = touched
        finer = raster.pixel_um2 / scan.pixel_um2 if scan.pixel_um2 else np.inf
        added = self.absorber.absorbed_mgy(maps)[np.ix_(rows, columns)] * (photons * finer)
        x_um, y_um = (a.first_um + k * a.step_um for a, k in zip(raster, touched, strict=True))
        return float((added + self.at(x_um, y_um)).max())
