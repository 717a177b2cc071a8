"""Commands that turn files and past runs into maps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stxm_live.cli.archive import (
    AllRunsOption,
    EachOption,
    How,
    PagesOption,
    SchedulerOption,
    WhereOption,
    WorkersOption,
    many_runs,
    map_files,
    one_only,
    replay_many,
)
from stxm_live.cli.errors import NOT_TO_BE_TAKEN_AS_IT_IS, UsageError, one_line_errors
from stxm_live.cli.json_output import JsonOption, maps_values, only_json, print_json, run_values
from stxm_live.cli.output import comparison, console, print_result, print_runs
from stxm_live.cli.picture_options import FormatOption, PaletteOption
from stxm_live.cli.run_options import (
    CatalogOption,
    DetectorOption,
    I0Option,
    MaskOption,
    PolarizationOption,
    QuantityOption,
    RegionOption,
    RootsOption,
    SettingsOption,
    Which,
    opened,
    parse_settings,
    recipe_of,
)
from stxm_live.core.phase_maps import same_array
from stxm_live.core.recipe import Recipe

if TYPE_CHECKING:
    from stxm_live.core.phase_maps import PhaseMaps

StackArgument = Annotated[
    list[str],
    typer.Argument(
        help="A stack: SDF .hdr, NXstxm or Data Exchange .hdf5, .stxm, .ncb, .tif, mapping .toml, "
        "or a plug-in's. Several files, or a pattern such as 'e*.h5', are joined: the images of "
        "one energy or more in each.",
        metavar="STACK...",
    ),
]
ReferencesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--references",
        "-r",
        help="CSV energy_ev,<phase>,...; or a file for each phase (repeat it), as FILE, "
        "FILE@COLUMN or NAME=FILE@COLUMN.",
    ),
]
InsteadOption = Annotated[
    str | None, typer.Option(help="A recipe instead: a TOML file or a shipped name.")
]
PicturesOption = Annotated[
    Path | None, typer.Option("--out", "-o", help="Folder for the pictures; default: STACK-maps.")
]
PageOption = Annotated[
    bool, typer.Option("--page", help="Also write maps.html, a page to send by mail.")
]


@one_line_errors
def map_stack(
    stack: StackArgument,
    references: ReferencesOption = None,
    recipe: InsteadOption = None,
    i0: I0Option = None,
    mask: MaskOption = None,
    out: PicturesOption = None,
    region: RegionOption = None,
    detector: DetectorOption = None,
    quantity: QuantityOption = None,
    roots: RootsOption = None,
    changes: SettingsOption = None,
    page: PageOption = False,
    picture_format: FormatOption = "png",
    palette: PaletteOption = "roma",
    as_json: JsonOption = False,
    each: EachOption = False,
    workers: WorkersOption = 1,
    scheduler: SchedulerOption = None,
) -> None:
    """Make maps from a file, without catalogue or recipe; with --all from each file of folders.

    Examples: stxm-live map particle.hdr --references nvpf.csv; stxm-live map pre.hdr peak.hdr
    --references nvpf.csv; stxm-live map 2025/ --all --recipe mine.toml --workers 4
    """
    from stxm_live.cli.map_inputs import (
        files_of,
        read_inputs,
        recipe_of_references,
        stack_of_files,
        stem_of,
        with_inputs,
    )
    from stxm_live.dashboard import write_page
    from stxm_live.phase_mapping.workflow import map_phases
    from stxm_live.plotting import write_pictures

    only_json(as_json)
    paths = files_of(stack)
    name = stem_of(paths[0])
    folder = out or Path(f"{name}-maps")
    if (recipe is None) == (not references):
        raise UsageError("give either --references or --recipe; stxm-live explore needs neither")
    chosen = Recipe.load(recipe) if recipe else recipe_of_references(name, references or [], folder)
    chosen = with_inputs(chosen, folder, i0=i0, mask=mask, changes=parse_settings(changes))
    read_inputs(chosen)
    if each:
        options = {"region": region, "detector": detector, "quantity": quantity}
        how = How(workers, scheduler, page, as_json)
        map_files(paths, chosen, folder, options, roots, how)
        return
    one_only(How(workers, scheduler), "--all")
    frames = stack_of_files(
        paths,
        fields=chosen.fields,
        region=region,
        detector=detector,
        quantity=quantity,
        roots=roots,
    )
    with console.working("mapping"):
        maps = map_phases(frames, chosen)
        files = write_pictures(maps, folder, palette=palette, picture_format=picture_format)
        if page:
            files.append(write_page(maps, folder / "maps.html"))
        else:  # a page of an earlier map would stay beside the new pictures
            (folder / "maps.html").unlink(missing_ok=True)
    if as_json:
        print_json("maps", maps_values(maps, files))
    print_result(maps, files=files)
    _exit_if_poor(maps)


ReplayedArgument = Annotated[
    list[str] | None,
    typer.Argument(
        help="uid, the beginning of one, scan_id, or -1 (the default); several if each "
        "energy is a separate run."
    ),
]


@one_line_errors
def replay(
    runs: ReplayedArgument = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="Recipe; default: the one of the stored result, else nvpf."),
    ] = None,
    catalog: CatalogOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Also write pictures to this folder.")
    ] = None,
    changes: SettingsOption = None,
    region: RegionOption = None,
    polarization: PolarizationOption = None,
    roots: RootsOption = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Fail unless the stored result is identical.")
    ] = False,
    store: Annotated[bool, typer.Option(help="Store the result if it is new.")] = True,
    picture_format: FormatOption = "png",
    palette: PaletteOption = "roma",
    all_runs: AllRunsOption = False,
    where: WhereOption = None,
    workers: WorkersOption = 1,
    scheduler: SchedulerOption = None,
    page: PagesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Map a past run again from its raw counts, and compare with the stored result.

    With several runs, or with --all or --where, the results are files with a table and a page.

    Examples: stxm-live replay; stxm-live replay 3f2a91 --set resolver.method=mahalanobis;
    stxm-live replay --where "sample=NVPF-3" --recipe mine.toml --workers 4 --out again
    """
    from stxm_live.io.catalog import store_maps
    from stxm_live.io.catalog.reading import find_run
    from stxm_live.live.replay import map_run
    from stxm_live.plotting import write_pictures

    only_json(as_json)
    sources = many_runs(
        catalog, runs, where, all_runs, region=region, polarization=polarization, roots=roots
    )
    if sources:
        how = How(workers, scheduler, page, as_json)
        replay_many(sources, recipe, parse_settings(changes), out, how, verify=verify)
        return
    one_only(How(workers, scheduler), "several runs, --all or --where")
    which, stored_as = Which(region, polarization, roots), None
    with opened(catalog, roots=roots) as broker:
        found = [find_run(broker, run) for run in runs or ["-1"]]
        uid = str(found[0].start["uid"])
        stored = which.stored(broker, uid)
        chosen = recipe_of(recipe, stored).with_changes(parse_settings(changes))
        with console.working(f"mapping run {uid[:8]}"):
            maps = map_run(found, chosen, **which.options)
        options: Any = {"palette": palette, "picture_format": picture_format}
        files = write_pictures(maps, out, **options) if out else []
        print_result(maps, files=files)
        differing = None if stored is None else _differences(maps, stored)
        console.print(comparison(differing))
        if differing != [] and store:
            stored_as = store_maps(broker, maps)
            console.print(f"stored as run {stored_as[:8]}")
    if as_json:
        compared = {"differs_from_stored_in": differing, "stored_as": stored_as}
        print_json("maps", maps_values(maps, files) | compared)
    if verify and differing != []:
        raise typer.Exit(1)
    _exit_if_poor(maps)


@one_line_errors
def list_catalog(
    catalog: CatalogOption = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, help="Number of runs, the latest first.")
    ] = 20,
    as_json: JsonOption = False,
) -> None:
    """List the runs of the catalogue.

    Example: stxm-live runs --catalog runs
    """
    from stxm_live.io.catalog import list_runs
    from stxm_live.io.catalog.anywhere import embedded_folder

    only_json(as_json)
    folder = embedded_folder(catalog)
    if folder is not None:
        runs = list_runs(folder, limit=limit)
    else:
        with opened(catalog) as broker:
            runs = list_runs(broker, limit=limit)
    if as_json:
        print_json("runs", {"runs": [run_values(run) for run in runs]})
        return
    print_runs(runs)


def _exit_if_poor(maps: PhaseMaps) -> None:
    """Exit with 3 for a result that a script should not take as it is."""
    if maps.quality.verdict == "poor" or maps.status == "incomplete":
        raise typer.Exit(NOT_TO_BE_TAKEN_AS_IT_IS)


def _differences(maps: PhaseMaps, stored: Any) -> list[str]:
    """Return the names of the products that differ from a stored result."""
    made = maps.to_xarray()
    return [
        name
        for name in sorted({*map(str, made.data_vars), *map(str, stored.data_vars)})
        if name not in made
        or name not in stored
        or made[name].dims != stored[name].dims
        or not same_array(made[name].values, stored[name].values)
    ]
