"""The command that shows it all."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from stxm_live.cli.errors import one_line_errors
from stxm_live.cli.output import console, print_result
from stxm_live.cli.stacks import Settings, parse_settings
from stxm_live.core.recipe import Recipe


@one_line_errors
def demo(
    folder: Annotated[Path, typer.Argument(help="Where catalogue and pictures go.")] = Path(
        "stxm-live-demo"
    ),
    size: Annotated[int, typer.Option(help="Rows and columns of the images.")] = 200,
    photons: Annotated[float, typer.Option(help="Photons per pixel and energy.")] = 2000.0,
    seed: Annotated[int, typer.Option(help="Another seed is another particle.")] = 20,
    frame_time: Annotated[float, typer.Option(help="Seconds an image takes.")] = 0.8,
    changes: Settings = None,
    show: Annotated[bool, typer.Option("--show", help="Open a window as well.")] = False,
) -> None:
    """Scan a simulated battery particle live, map it, and replay it in a new process.

    Example: stxm-live demo --photons 500
    """
    from stxm_live.cli.demo_scan import run_demo

    recipe = Recipe.load("nvpf").with_changes(parse_settings(changes))
    n_energies = len(recipe.energies_ev or ())
    console.print(
        f"A simulated STXM scans a synthetic particle at {n_energies} energies under a Bluesky "
        f"RunEngine; pictures grow in {escape(str(folder / 'pictures'))} ..."
    )
    result = run_demo(
        folder,
        recipe,
        size_px=size,
        photons=photons,
        seed=seed,
        frame_time_s=frame_time,
        show=show,
    )
    print_result(result.maps, files=result.pictures, agreement=result.agreement)
    console.print("\nReplaying the run from its raw counts, in a new process:")
    replayed = _replay_in_new_process(result.uid, folder / "catalog")
    console.print(escape(replayed))
    overview = folder / "pictures" / "overview.png"
    console.print(f"\nLook at [bold]{escape(str(overview))}[/]. {escape(_what_next())}")


def _what_next() -> str:
    """The next command as it can be typed here; in a clone also how to choose a region."""
    program = Path(sys.executable).with_name("stxm-live")
    if shutil.which("stxm-live") or not program.exists():
        program = Path("stxm-live")
    elif program.is_relative_to(Path.cwd()):
        program = program.relative_to(Path.cwd())
    text = f"Next, your own stack: {program} map STACK.hdr --references REFERENCES.csv"
    if Path("profiles", "profile_sim").is_dir():
        text += "; or make session, to choose a region"
    return text


def _replay_in_new_process(uid: str, catalog: Path) -> str:
    """The last lines of ``stxm-live replay --verify``; RuntimeError if it is not identical."""
    command = [sys.executable, "-m", "stxm_live", "replay", uid, "--catalog", str(catalog)]
    done = subprocess.run([*command, "--verify"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the replay is not identical:\n{done.stdout}{done.stderr}")
    return done.stdout.strip().splitlines()[-1]
