"""The references that mixtures of others look like, as the commands print them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.markup import escape

from stxm_live.cli.output import console
from stxm_live.core.mixed_reference import by_phase
from stxm_live.core.references import ReferenceSpectra

PhotonsOption = Annotated[
    float, typer.Option(help="Photons detected per pixel beside the specimen.")
]
ODOption = Annotated[float, typer.Option(help="Optical density of a typical pixel at its peak.")]


def print_mixtures(
    spectra: ReferenceSpectra,
    energies_ev: Sequence[float],
    *,
    photons: float,
    od: float,
    baseline: str = "auto",
) -> None:
    """Print the references that others mix to, and the energies that would separate them.

    ``baseline`` is the recipe's ``resolver.baseline``.
    """
    from stxm_live.phase_mapping.mixed_references import (
        WITHIN_SIGMA,
        TypicalPixel,
        expected_baseline,
        mixed_references,
    )
    from stxm_live.phase_mapping.separating_energies import further_energies

    if spectra.od.mean(axis=0).max() <= 0:
        return  # no optical densities, so nothing follows from the OD of a pixel
    conditions = f"at {photons:g} photons and OD {od:g}"
    background = expected_baseline(energies_ev, baseline)
    pixel = TypicalPixel.expected(spectra, energies_ev, photons=photons, od=od, baseline=background)
    mixed = mixed_references(spectra.phase_names, pixel)
    if not mixed:
        console.print(
            f"no reference is within {WITHIN_SIGMA:g} sigma of a mixture of others {conditions}"
        )
    for phase, (nearest, *others) in by_phase(mixed).items():
        text = f"{nearest} {conditions}: {nearest.consequence}"
        console.print(f"[yellow]note: {escape(text)}[/]")
        if others:
            also = ", ".join(f"{one.mixture} ({one.sigma:.2f} sigma)" for one in others)
            console.print(f"  {escape(f'so is {also}')}")
        further = further_energies(
            phase, spectra, energies_ev, photons=photons, od=od, baseline=background
        )
        console.print(f"  {escape(f'to separate {phase}: {further}')}")
