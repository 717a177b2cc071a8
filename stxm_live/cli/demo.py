"""The command ``demo``: a simulated scan, its live maps and their replay."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.markup import escape

from stxm_live.cli.errors import one_line_errors
from stxm_live.cli.output import console, print_result
from stxm_live.cli.run_options import SettingsOption, parse_settings
from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.recipe import Recipe

if TYPE_CHECKING:
    from stxm_live.plotting import LiveFigure
    from stxm_live.sim.instrument import SimulatedMicroscope


@one_line_errors
def demo(
    folder: Annotated[Path, typer.Argument(help="Folder for catalogue and pictures.")] = Path(
        "stxm-live-demo"
    ),
    size: Annotated[int, typer.Option(help="Rows and columns of the images.")] = 200,
    photons: Annotated[
        float, typer.Option(help="Photons per pixel and energy without specimen.")
    ] = 2000.0,
    seed: Annotated[
        int, typer.Option(help="Random seed; another seed makes another particle.")
    ] = 20,
    frame_time: Annotated[float, typer.Option(help="Time per image in seconds.")] = 0.8,
    changes: SettingsOption = None,
    show: Annotated[bool, typer.Option("--show", help="Open a window as well.")] = False,
) -> None:
    """Scan a simulated battery particle live, map it, and replay it in a new process.

    Example: stxm-live demo --photons 500
    """
    from stxm_live.plotting import LiveFigure

    recipe = Recipe.load("nvpf").with_changes(parse_settings(changes))
    if recipe.energies_ev is None:
        raise ValueError(f"recipe {recipe.name} has no energies_ev; the demo needs them to scan")
    catalog, pictures = folder / "catalog", folder / "pictures"
    console.print(
        f"A simulated STXM scans a synthetic particle at {len(recipe.energies_ev)} energies under "
        f"a Bluesky RunEngine; pictures are written to {escape(str(pictures))} ..."
    )
    microscope = _microscope(recipe, size, photons, seed, frame_time)
    figure = LiveFigure(pictures)
    if show:
        figure.show()
    maps = _scan_and_store(catalog, recipe, microscope, figure)
    _show_result(maps, recipe, microscope, figure, pictures)
    console.print("\nReplaying the run from its raw counts, in a new process:")
    console.print(escape(_replay_in_new_process(maps.key.run_uids[0], catalog)))
    overview = escape(str(pictures / "overview.png"))
    console.print(f"\nOpen [bold]{overview}[/]. {escape(_what_next())}")


def _microscope(
    recipe: Recipe, size_px: int, photons: float, seed: int, frame_time_s: float
) -> SimulatedMicroscope:
    """Return a simulated microscope with a half charged particle."""
    from stxm_live.sim.instrument import SimulatedMicroscope
    from stxm_live.sim.microscope import Beam

    return SimulatedMicroscope.with_particle(
        recipe.reference_spectra,
        rng=np.random.default_rng(seed),
        shape=(size_px, size_px),
        state_of_charge="Na2VPF",
        beam=Beam(photons_per_pixel=photons),
        frame_time_s=frame_time_s,
    )


def _scan_and_store(
    folder: Path, recipe: Recipe, microscope: SimulatedMicroscope, figure: LiveFigure
) -> PhaseMaps:
    """Scan under a RunEngine with catalogue and mapper subscribed, as at a beamline.

    The mapper gets the images only through the RunEngine's documents.
    """
    from bluesky import RunEngine

    from stxm_live.io.catalog import RawWriter, close_catalog, open_catalog, store_maps
    from stxm_live.live.mapper import LivePhaseMapper
    from stxm_live.plans import stxm_stack

    broker = open_catalog(folder)
    writer = RawWriter(broker)
    try:
        with LivePhaseMapper(recipe) as live:
            live.add_sink(figure, own_thread=True)
            run_engine = RunEngine({})
            run_engine.subscribe(writer)
            run_engine.subscribe(live)
            writer.guard(run_engine)
            plan = stxm_stack(
                microscope.camera,
                microscope.energy,
                recipe.energies_ev or (),
                microscope.field(),
                md={"sample": "simulated particle"},
            )
            (uid,) = run_engine(plan)
            maps = live.wait(uid, timeout_s=60)
        writer.wait(uid, timeout_s=60)
        store_maps(broker, maps)
    finally:
        writer.close()
        close_catalog(broker)
    return maps


def _show_result(
    maps: PhaseMaps,
    recipe: Recipe,
    microscope: SimulatedMicroscope,
    figure: LiveFigure,
    pictures: Path,
) -> None:
    """Draw the maps beside the truth, and print the result with the share of correct pixels."""
    from stxm_live.plotting import write_pictures
    from stxm_live.sim.truth import agreement, true_index

    truth = true_index(microscope, maps, recipe.energies_ev or ())
    drawn = write_pictures(maps, pictures, truth=truth)
    print_result(maps, files=[*figure.written, *drawn], agreement=agreement(maps, truth))


def _replay_in_new_process(uid: str, catalog: Path) -> str:
    """Return the last lines of ``stxm-live replay --verify``; fail if it is not identical."""
    command = [sys.executable, "-m", "stxm_live", "replay", uid, "--catalog", str(catalog)]
    done = subprocess.run([*command, "--verify"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the replay is not identical:\n{done.stdout}{done.stderr}")
    return done.stdout.strip().splitlines()[-1]


def _what_next() -> str:
    """Return the next command to type; in a clone also the one to choose a region."""
    program = Path(sys.executable).with_name("stxm-live")
    if shutil.which("stxm-live") or not program.exists():
        program = Path("stxm-live")
    elif program.is_relative_to(Path.cwd()):
        program = program.relative_to(Path.cwd())
    text = f"Next, your own stack: {program} map STACK.hdr --references REFERENCES.csv"
    if Path("profiles", "profile_sim").is_dir():
        text += "; or make session, to choose a region"
    return text
