"""The commands ``figures`` and ``diagnose``, which draw the paper's figures."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from stxm_live.cli.errors import one_line_errors
from stxm_live.cli.output import console
from stxm_live.cli.picture_options import FormatOption
from stxm_live.cli.run_options import (
    CatalogOption,
    PolarizationOption,
    RegionOption,
    RootsOption,
    SettingsOption,
    Which,
    opened,
    parse_settings,
    runs_and_recipe,
)
from stxm_live.core.recipe import Recipe
from stxm_live.plotting.style.layout import PictureFormat

if TYPE_CHECKING:
    from stxm_live.core.phase_maps import PhaseMaps
    from stxm_live.phase_mapping.latent_space.bundle import Bundle

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for pictures and CSV files.")]


@one_line_errors
def figures(
    runs: Annotated[
        list[str], typer.Argument(help="uid, the beginning of one, scan_id, or -1. Repeatable.")
    ],
    recipe: Annotated[
        str | None,
        typer.Option(help="Recipe; default: the one of the stored result, else nvpf."),
    ] = None,
    catalog: CatalogOption = None,
    out: Out = Path("figures"),
    changes: SettingsOption = None,
    region: RegionOption = None,
    polarization: PolarizationOption = None,
    roots: RootsOption = None,
    picture_format: FormatOption = "png",
) -> None:
    """Draw the paper's figures for past runs: 2, 3, 4, S3, S4; for several also 5, 6, S6 to S8.

    Examples: stxm-live figures -1 --catalog runs; stxm-live figures 3f2a91 77c0e4 --out paper
    """
    from stxm_live.plotting.paper_figures import ParticleMaps, particle_plates, write_plates
    from stxm_live.plotting.pictures import safe_name

    settings, which = parse_settings(changes), Which(region, polarization, roots)
    particles, bundle = [], None
    with opened(catalog, roots=roots) as broker:
        for run in runs:
            (found,), chosen = runs_and_recipe(broker, [run], recipe, settings, which)
            uid = str(found.start["uid"])
            folder = out / safe_name(uid[:8]) if len(runs) > 1 else out
            with console.working(f"run {uid[:8]}"):
                maps, bundle, files = _draw_run(found, chosen, folder, which, picture_format)
            console.print(f"run {uid[:8]}: {len(files)} files in {escape(str(folder))}")
            particles.append(ParticleMaps(str(found.start.get("sample") or uid[:8]), maps))
    if len(particles) > 1:
        plates = particle_plates(particles, bundle)
        files = write_plates(plates, out, picture_format=picture_format)
        console.print(f"{len(runs)} runs: {len(files)} files in {escape(str(out))}")


def _draw_run(
    found: Any, recipe: Recipe, folder: Path, which: Which, picture_format: PictureFormat
) -> tuple[PhaseMaps, Bundle | None, list[Path]]:
    """Map a run and draw its figures; print a note if some of them need an encoder."""
    from stxm_live.live.replay import map_run
    from stxm_live.phase_mapping.latent_space.bundle import BundleError
    from stxm_live.phase_mapping.latent_space.model import load_model
    from stxm_live.plotting.paper_figures import run_plates, write_plates

    model = None
    with suppress(BundleError):  # the warnings of the maps give the reason
        model = load_model(recipe)
    maps = map_run(found, recipe, model=model, **which.options)
    bundle = None if model is None else model.bundle
    plates = run_plates(maps, recipe.reference_spectra, bundle)
    files = write_plates(plates, folder, picture_format=picture_format)
    if maps.latent is None:
        why = [text for text in maps.warnings if "encoder" in text or "resolved" in text]
        console.print(
            f"note: figures 4 and S6, audit and strategies are left out: {escape('; '.join(why))}"
        )
    return maps, bundle, files


@one_line_errors
def diagnose(
    bundle: Annotated[
        Path | None, typer.Argument(help="Folder of the bundle; default: the recipe's.")
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(help="Recipe that the bundle was trained for: a TOML file or a shipped name."),
    ] = "nvpf",
    out: Out = Path("diagnosis"),
) -> None:
    """Draw figures S5, S9, S10 and S11 of a bundle, and the components of its mixture.

    Example: stxm-live diagnose bundle --recipe nvpf
    """
    from stxm_live.phase_mapping.latent_space.bundle import Bundle, BundleError
    from stxm_live.plotting.paper_figures import model_plates, write_plates

    loaded = Recipe.load(recipe)
    folder = bundle or loaded.model
    if folder is None:
        raise BundleError(f"recipe {loaded.name!r} has no model; give the folder of a bundle")
    with console.working(f"simulating spectra for {escape(str(folder))}"):
        files = write_plates(model_plates(Bundle.load(folder), loaded), out)
    console.print(f"{len(files)} files in {escape(str(out))}")
