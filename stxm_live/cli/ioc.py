"""The command ``ioc``, which serves a simulated microscope over EPICS."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Annotated

import typer
from rich.markup import escape

from stxm_live.cli.errors import one_line_errors
from stxm_live.cli.output import console

PORT = 5094
"""Differs from EPICS's own 5064, so that no real client finds the simulation by accident."""


@one_line_errors
def ioc(
    prefix: Annotated[str, typer.Option(help="First part of the PV names.")] = "STXM:",
    size: Annotated[int, typer.Option(min=16, help="Rows and columns of the particle.")] = 160,
    photons: Annotated[
        float, typer.Option(min=1, help="Photons per pixel and energy without specimen.")
    ] = 2000.0,
    seed: Annotated[
        int, typer.Option(help="Random seed; another seed makes another particle.")
    ] = 20,
    pace: Annotated[
        float, typer.Option(min=0.1, help="How many times faster than a real microscope.")
    ] = 20.0,
    port: Annotated[
        int, typer.Option(min=1024, max=65535, help="Port of Channel Access, TCP and UDP.")
    ] = PORT,
    interface: Annotated[
        str, typer.Option(help="Address to listen on; other machines can use any but loopback.")
    ] = "127.0.0.1",
) -> None:
    """Serve a simulated microscope with a battery particle over EPICS Channel Access.

    Press Ctrl-C to end it. Example: stxm-live ioc --pace 100
    """
    if find_spec("caproto") is None:
        raise ImportError("the IOC needs caproto: pip install 'stxm-live[epics]'")
    import numpy as np

    from stxm_live.core.recipe import Recipe
    from stxm_live.sim.instrument import SimulatedMicroscope
    from stxm_live.sim.ioc import Bench, run_server
    from stxm_live.sim.microscope import Beam

    simulated = SimulatedMicroscope.with_particle(
        Recipe.load("nvpf").reference_spectra,
        rng=np.random.default_rng(seed),
        shape=(size, size),
        beam=Beam(photons_per_pixel=photons, dark_counts=2.0),
    )
    bench = Bench(simulated.microscope, pace=pace)
    run_server(bench, prefix=prefix, interface=interface, port=port, ready=_announce)
    console.print("The IOC has ended.")


def _announce(environment: Mapping[str, str]) -> None:
    """Print the commands to type in the terminal of the client."""
    console.print("The simulated microscope is running. In another terminal, type first:\n")
    for name, value in environment.items():
        console.print(f"export {escape(name)}={escape(value)}")
    console.print("\nThen: ipython --profile-dir=profiles/profile_stxm\nCtrl-C here ends it.")
