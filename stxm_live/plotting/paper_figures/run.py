"""The figures of one run."""

from __future__ import annotations

from collections.abc import Iterator

from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.references import ReferenceSpectra
from stxm_live.phase_mapping.latent_space.bundle import Bundle
from stxm_live.plotting.paper_figures.audit import figure_s6, figure_s7
from stxm_live.plotting.paper_figures.maps import colors_of, figure_3, figure_4, figure_s8
from stxm_live.plotting.paper_figures.plate import Plate
from stxm_live.plotting.paper_figures.references import figure_s3, figure_s4


def run_plates(
    maps: PhaseMaps, references: ReferenceSpectra, bundle: Bundle | None
) -> Iterator[Plate]:
    """Draw figures 3, 4, S3, S4, S6, S7 and S8 of a result, one after the other.

    Parameters
    ----------
    maps : PhaseMaps
    references : ReferenceSpectra
        References of the recipe, over their whole range.
    bundle : Bundle or None
        The bundle the maps were made with. Without it, or if it did not fit, only figures 3, S3
        and S4 are made.
    """
    yield figure_3(maps)
    yield figure_s3(references, maps.energies_ev, colors_of(maps))
    yield figure_s4(references, maps.energies_ev)
    if bundle is None or maps.latent is None:
        return
    yield figure_4(maps, bundle)
    yield figure_s6(maps, bundle)
    yield figure_s7(maps, bundle)
    yield figure_s8(maps, bundle)
