"""Figures 5, 6, S7 and S8: maps of several particles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from stxm_live.core.origin import identity
from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.plotting.panels.maps import draw_reliability
from stxm_live.plotting.panels.result import draw_ambiguity_of_maps, method_in_words
from stxm_live.plotting.paper_figures.maps import aspect_of, index_panel, quartiles
from stxm_live.plotting.paper_figures.plate import Plate, Table, sheet
from stxm_live.plotting.pictures import Panel, correlation_panels, safe_name
from stxm_live.plotting.style.lettering import plain

_QUARTILES_OF_RELIABILITY = ("reliability_25", "reliability_median", "reliability_75")


class ParticleMaps(NamedTuple):
    """A result and its name in the figures: its sample, or its run.

    Particles of one sample have the same name; figure 6 shows them together.
    """

    name: str
    maps: PhaseMaps


def figure_5(particles: Sequence[ParticleMaps]) -> Plate:
    """Draw a row for each particle: map by correlation, ambiguous pixels, resolved map."""
    panels: list[Panel] = []
    for name, maps in particles:
        panels += [
            index_panel(maps, maps.phase_index, plain(name, 40), "by correlation"),
            partial(draw_ambiguity_of_maps, maps=maps),
            index_panel(maps, maps.final_index, plain(name, 40), _method(maps)),
        ]
    figure = sheet(
        f"Fig. 5: {len(particles)} particles",
        "Initial map, ambiguous pixels and resolved map of each.",
        panels,
        3,
        aspect=_aspect_of_all(particles),
        synthetic=any_synthetic(particles),
        identity=recipes_of(particles),
    )
    return Plate("fig5-particles", figure, shares_table(particles))


def _method(maps: PhaseMaps) -> str:
    if maps.resolved_index is None:
        return "not resolved: the scan is incomplete"
    return f"resolved {method_in_words(maps)}"


def figures_6(particles: Sequence[ParticleMaps]) -> Iterator[Plate]:
    """Draw the resolved maps of the particles of each sample that has two or more."""
    samples = dict.fromkeys(particle.name for particle in particles)
    of_each = {
        name: [particle for particle in particles if particle.name == name] for name in samples
    }
    several = {name: members for name, members in of_each.items() if len(members) > 1}
    for number, (sample, members) in enumerate(several.items(), start=1):
        yield _figure_6(number, sample, members)


def _figure_6(number: int, sample: str, particles: Sequence[ParticleMaps]) -> Plate:
    panels: list[Panel] = [
        index_panel(maps, maps.final_index, f"Particle {k + 1}", f"{maps.key}; {_method(maps)}")
        for k, (_, maps) in enumerate(particles)
    ]
    figure = sheet(
        f"Fig. 6: {len(particles)} particles of {plain(sample, 40)}",
        "The resolved map of each.",
        panels,
        min(3, len(panels)),
        aspect=_aspect_of_all(particles),
        synthetic=any_synthetic(particles),
        identity=recipes_of(particles),
    )
    return Plate(f"fig6-{number}-{safe_name(sample)}", figure, shares_table(particles))


def figure_s7(particles: Sequence[ParticleMaps]) -> Plate:
    """Draw the reliability of the initial map of each particle."""
    panels: list[Panel] = [
        partial(
            draw_reliability,
            reliability=maps.reliability,
            extent_um=maps.extent_um,
            title=plain(name, 40),
            subtitle=f"{100 * maps.ambiguous_share:.1f} % of the specimen is ambiguous",
        )
        for name, maps in particles
    ]
    figure = sheet(
        f"Fig. S7: reliability of {len(particles)} particles",
        "Reliability R is 100 times the difference of the two largest Pearson coefficients.",
        panels,
        min(3, len(panels)),
        aspect=_aspect_of_all(particles),
        synthetic=any_synthetic(particles),
        identity=recipes_of(particles),
    )
    rows = [
        (name, str(maps.key), maps.ambiguous_share, *quartiles(maps.reliability))
        for name, maps in particles
    ]
    columns = ("particle", "stack", "ambiguous_share", *_QUARTILES_OF_RELIABILITY)
    return Plate("figS7-reliability", figure, Table(columns, rows))


def figure_s8(particles: Sequence[ParticleMaps]) -> Plate:
    """Draw a row for each particle: its correlation with every reference."""
    panels: list[Panel] = []
    for name, maps in particles:
        panels += correlation_panels(maps, plain(name, 24))
    n_phases = len(particles[0].maps.phase_names)
    figure = sheet(
        f"Fig. S8: correlation of {len(particles)} particles with the references",
        "A row for each particle; its panels have one scale.",
        panels,
        n_phases,
        aspect=_aspect_of_all(particles),
        synthetic=any_synthetic(particles),
        identity=recipes_of(particles),
    )
    rows = [
        (name, str(maps.key), phase, *quartiles(maps.correlation[k]))
        for name, maps in particles
        for k, phase in enumerate(maps.phase_names)
    ]
    columns = ("particle", "stack", "phase", "pearson_25", "pearson_median", "pearson_75")
    return Plate("figS8-correlation", figure, Table(columns, rows))


def any_synthetic(particles: Sequence[ParticleMaps]) -> bool:
    """Return True if the references of a particle are calculated."""
    return any(maps.synthetic_references for _, maps in particles)


def recipes_of(particles: Sequence[ParticleMaps]) -> str:
    """Return recipe and version of the maps, in words, for the foot of a figure."""
    without = [{**maps.provenance, "origin": {}} for _, maps in particles]
    return "; ".join(dict.fromkeys(identity(each, dwell_ms=None) for each in without))


def _aspect_of_all(particles: Sequence[ParticleMaps]) -> float:
    return float(np.median([aspect_of(maps) for _, maps in particles]))


def shares_table(particles: Sequence[ParticleMaps]) -> Table:
    """Return the shares of the phases of each particle, a row for each phase."""
    rows = []
    for name, maps in particles:
        for k, phase in enumerate(maps.phase_names):
            rows.append(
                (
                    name,
                    str(maps.key),
                    phase,
                    maps.fractions[k],
                    maps.final_fractions[k],
                    maps.ambiguous_share,
                )
            )
    columns = (
        "particle",
        "stack",
        "phase",
        "share_by_correlation",
        "share_resolved",
        "ambiguous_share",
    )
    return Table(columns, rows)
