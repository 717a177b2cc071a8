"""The figures of one run, and of several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.references import ReferenceSpectra
from stxm_live.phase_mapping.latent_space.bundle import Bundle
from stxm_live.plotting.paper_figures.audit import audit_latent_plate, audit_plate
from stxm_live.plotting.paper_figures.maps import colors_of, figure_3, figure_4, figure_s3
from stxm_live.plotting.paper_figures.particles import (
    ParticleMaps,
    figure_5,
    figure_s7,
    figure_s8,
    figures_6,
)
from stxm_live.plotting.paper_figures.plate import Plate
from stxm_live.plotting.paper_figures.projection import figure_s6
from stxm_live.plotting.paper_figures.references import figure_2, figure_s4
from stxm_live.plotting.paper_figures.states_of_charge import states_of_charge_plate
from stxm_live.plotting.paper_figures.strategies import strategies_plate


def run_plates(
    maps: PhaseMaps, references: ReferenceSpectra, bundle: Bundle | None
) -> Iterator[Plate]:
    """Draw the figures of a result, one after the other.

    The paper's figures 2, 3, S3, S4 and 4, and three of our own: ``audit`` and ``audit-latent``,
    clear pixels that latent space contradicts, and ``strategies``, the paper's rules for ambiguous
    pixels side by side.

    Parameters
    ----------
    maps : PhaseMaps
    references : ReferenceSpectra
        References of the recipe, over their whole range.
    bundle : Bundle or None
        The bundle the maps were made with. Without it, or if it did not fit, only figures 2, 3, S3
        and S4 are made.
    """
    yield figure_2(references, maps.energies_ev, colors_of(maps), maps.identity)
    yield figure_3(maps)
    yield figure_s3(maps)
    yield figure_s4(references, maps.energies_ev, maps.identity)
    if bundle is None or maps.latent is None:
        return
    yield figure_4(maps, bundle)
    yield audit_plate(maps, bundle)
    yield audit_latent_plate(maps, bundle)
    yield strategies_plate(maps, bundle)


def particle_plates(
    particles: Sequence[ParticleMaps], bundle: Bundle | None = None
) -> Iterator[Plate]:
    """Draw the figures of several results, one after the other.

    The paper's figures 5, 6 (of each sample with two particles or more), S6, S7 and S8, and
    ``states-of-charge``, the shares of the phases in the order of their charge.

    Parameters
    ----------
    particles : sequence of ParticleMaps
    bundle : Bundle, optional
        The bundle the maps were made with. Without it there is no figure S6, nor if some were made
        with another one, whose latent space cannot be compared.

    Raises
    ------
    ValueError
        If the results have different phases, or if there are none.
    """
    kinds = {particle.maps.phase_names for particle in particles}
    if len(kinds) != 1:
        listed = "; ".join(", ".join(names) for names in sorted(kinds)) or "none"
        raise ValueError(f"only particles with the same phases can be compared, got {listed}")
    yield figure_5(particles)
    yield from figures_6(particles)
    if bundle is not None and all(_made_with(bundle, maps) for _, maps in particles):
        yield figure_s6(particles, bundle)
    yield figure_s7(particles)
    yield figure_s8(particles)
    yield states_of_charge_plate(particles)


def _made_with(bundle: Bundle, maps: PhaseMaps) -> bool:
    return maps.latent is not None and maps.provenance.get("model_sha256") == bundle.sha256
