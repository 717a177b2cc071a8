"""An upper limit for the dose of a sample; regions that would exceed it are refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stxm_live.adaptive.chooser.background import Suggest
from stxm_live.adaptive.regions import DoseMap
from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.region import Region


@dataclass(frozen=True)
class DoseCeiling:
    """Highest dose that a pixel of the sample may have absorbed, earlier scans included.

    Parameters
    ----------
    dose : DoseMap
        Dose of the sample.
    max_mgy : float

    Raises
    ------
    ValueError
        If the ceiling is not a positive number.
    """

    dose: DoseMap
    max_mgy: float

    def __post_init__(self) -> None:
        if not 0 < self.max_mgy < float("inf"):
            raise ValueError(f"max_dose_mgy is {self.max_mgy:g}; it must be a positive number")

    def check(self, region: Region, maps: PhaseMaps | None) -> None:
        """Raise an error if a region would exceed the ceiling, or if its dose is unknown.

        Parameters
        ----------
        region : Region
            A region to be scanned at the energies of the maps.
        maps : PhaseMaps or None
            Maps of a scan of the place.

        Raises
        ------
        ValueError
            If it would; the message names both doses, or what is unknown.
        """
        if maps is None:
            raise ValueError("without maps the dose of a region is not known; wait for them")
        if not maps.dwell_ms:
            raise ValueError(
                f"the dose of a region is not known: {maps.key} has no dwell; give "
                "dwell_ms in its start document"
            )
        highest = self.dose.highest_mgy(maps, region, region.dwell_ms / maps.dwell_ms)
        if not highest <= self.max_mgy:
            so_far = self.dose.so_far_mgy(region)
            raise ValueError(
                f"the scan would bring the dose to {highest:.3g} MGy (so far {so_far:.3g} MGy on "
                f"average), above the ceiling of {self.max_mgy:g} MGy; choose a shorter dwell, a "
                "coarser step or another place"
            )

    def within(self, suggest: Suggest) -> Suggest:
        """Return suggestions without those that `check` refuses; raises the reason if all are."""

        def allowed(maps: PhaseMaps, scanned: Sequence[Region]) -> Sequence[Region]:
            kept, refusals = [], []
            for region in suggest(maps, scanned):
                try:
                    self.check(region, maps)
                except ValueError as error:
                    refusals.append(error)
                else:
                    kept.append(region)
            if refusals and not kept:
                raise refusals[0]
            return kept

        return allowed


def ceiling_of(dose: DoseMap | None, max_mgy: float | None) -> DoseCeiling | None:
    """Return the ceiling, or None if there is none.

    Raises
    ------
    ValueError
        If there is no `DoseMap`.
    """
    if max_mgy is None:
        return None
    if dose is None:
        raise ValueError("max_dose_mgy needs dose=DoseMap(...), which calculates doses")
    return DoseCeiling(dose, max_mgy)
