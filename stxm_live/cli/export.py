"""The command ``export``, which writes results as files."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from stxm_live.cli.errors import one_line_errors
from stxm_live.cli.json_output import JsonOption, only_json, print_json
from stxm_live.cli.output import console
from stxm_live.cli.run_options import (
    CatalogOption,
    PolarizationOption,
    RegionOption,
    RootsOption,
    SettingsOption,
    Which,
    names_file,
    opened,
    parse_settings,
    recipe_of,
    runs_and_recipe,
)

if TYPE_CHECKING:
    import xarray

    from stxm_live.io.catalog import Broker

NEXUS_SUFFIXES = (".nxs", ".h5", ".hdf5", ".nx")


class Format(StrEnum):
    """A file format that `export` writes."""

    nexus = "nexus"
    html = "html"
    csv = "csv"
    tiff = "tiff"
    all = "all"
    nxstxm = "nxstxm"
    ncb = "ncb"


ALIGNED = (Format.nxstxm, Format.ncb)
"""Formats of aligned images instead of a result: only on request, and only from a run."""


RunsArgument = Annotated[
    list[str],
    typer.Argument(
        help="uid, the beginning of one, scan_id, or -1; or a NeXus file of this command. "
        "Repeatable."
    ),
]
FormatsOption = Annotated[
    list[Format],
    typer.Option(
        "--format",
        "-f",
        help="nexus, html (a page to send by mail), csv, tiff, all of these; or the aligned "
        "images of a run: nxstxm (MANTiS), ncb (aXis2000). Repeatable.",
    ),
]
FolderOption = Annotated[
    Path,
    typer.Option("--out", "-o", help="Folder; each of several results gets its own subfolder."),
]
OtherRecipeOption = Annotated[
    str | None,
    typer.Option(help="Map the run again with this recipe; default: the stored result, else nvpf."),
]
PixelsOption = Annotated[
    bool, typer.Option("--pixels", help="With csv: also a table of all specimen pixels.")
]


@one_line_errors
def export(
    runs: RunsArgument,
    formats: FormatsOption = [Format.all],  # noqa: B006  typer reads it only
    out: FolderOption = Path("export"),
    catalog: CatalogOption = None,
    recipe: OtherRecipeOption = None,
    changes: SettingsOption = None,
    pixels: PixelsOption = False,
    region: RegionOption = None,
    polarization: PolarizationOption = None,
    roots: RootsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write results as files: NeXus, an HTML page that opens offline, CSV tables, TIFF images.

    Examples: stxm-live export -1 --catalog runs --out results; stxm-live export results/maps.nxs
    --format html; stxm-live export -1 --format nxstxm
    """
    only_json(as_json)
    written: list[dict[str, Any]] = []
    sources = [_source(run) for run in runs]
    if any(isinstance(source, Path) for source in sources):
        _check_files(formats, mapped_again=bool(recipe or changes))
    settings, which = parse_settings(changes), Which(region, polarization, roots)
    folders = {s: out / _name(s) if len(sources) > 1 else out for s in sources}
    if not set(ALIGNED).issuperset(formats):
        for source, dataset in _datasets(sources, catalog, recipe, settings, which):
            with console.working(f"writing {escape(str(source))}"):
                files = write_formats(dataset, folders[source], formats, pixels=pixels)
            _print_files(source, folders[source], files)
            written.append({"source": str(source), "files": list(map(str, files))})
    if set(ALIGNED).intersection(formats):
        with opened(catalog, roots=roots) as broker:
            for source, folder in folders.items():
                files = write_aligned(broker, str(source), folder, formats, recipe, settings, which)
                _print_files(source, folder, files)
                written.append({"source": str(source), "files": list(map(str, files))})
    if as_json:
        print_json("export", {"results": written})


def _check_files(formats: Sequence[Format], *, mapped_again: bool) -> None:
    """Raise ValueError for what cannot be made of a NeXus file, which has no images."""
    if set(ALIGNED).intersection(formats):
        raise ValueError("nxstxm and ncb are written from a run; a NeXus file has no raw counts")
    if mapped_again:
        raise ValueError(
            "--recipe and --set apply to runs, which are mapped again; a NeXus file is exported "
            "as it is"
        )


def _print_files(source: str | Path, folder: Path, files: Sequence[Path]) -> None:
    console.print(f"{escape(str(source))}: {len(files)} files in {escape(str(folder))}")
    for path in files:
        console.print(f"  {escape(str(path.relative_to(folder)))}")


def write_formats(
    dataset: xarray.Dataset, folder: Path, formats: Sequence[Format], *, pixels: bool = False
) -> list[Path]:
    """Write ``maps.nxs``, ``maps.html`` and the folders ``csv`` and ``tiff``, as requested."""
    from stxm_live.dashboard import write_page
    from stxm_live.io.results import write_csv, write_nexus, write_tiff

    wanted = set(Format) if Format.all in formats else set(formats)
    files: list[Path] = []
    if Format.nexus in wanted:
        files.append(write_nexus(dataset, folder / "maps.nxs"))
    if Format.html in wanted:
        files.append(write_page(dataset, folder / "maps.html"))
    if Format.csv in wanted:
        files += write_csv(dataset, folder / "csv", pixels=pixels)
    if Format.tiff in wanted:
        files += write_tiff(dataset, folder / "tiff")
    return files


def write_aligned(
    broker: Broker,
    run: str,
    folder: Path,
    formats: Sequence[Format],
    recipe: str | None,
    changes: dict[str, Any],
    which: Which,
) -> list[Path]:
    """Write the aligned counts of a run as ``aligned.hdf5`` (NXstxm) or ``aligned.ncb``.

    Energies and alignment are those of the recipe, which is chosen as for a result.
    """
    from stxm_live.io.files import write_ncb, write_nexus_stxm
    from stxm_live.live.replay import stack_of_run
    from stxm_live.preprocessing.normalization import aligned_stack
    from stxm_live.preprocessing.workflow import register

    found, chosen = runs_and_recipe(broker, [run], recipe, changes, which)
    with console.working(f"aligning run {escape(run)}"):
        stack = stack_of_run(found, fields=chosen.fields, **which.options)
        aligned = aligned_stack(stack, register(stack, chosen))
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    if Format.nxstxm in formats:
        files.append(folder / "aligned.hdf5")
        write_nexus_stxm(files[-1], aligned)
    if Format.ncb in formats:
        files.append(folder / "aligned.ncb")
        write_ncb(files[-1], aligned)
    return files


def _source(run: str) -> str | Path:
    """Return the path of a file, or the name of a run as it is."""
    if Path(run).suffix.lower() in NEXUS_SUFFIXES:
        return Path(run)
    if names_file(run):
        raise ValueError(
            f"{run}: neither a run nor a NeXus file of this command "
            f"({', '.join(NEXUS_SUFFIXES)}); stxm-live map makes maps of a stack"
        )
    return run


def _name(source: str | Path) -> str:
    from stxm_live.plotting.pictures import safe_name

    return safe_name(str(source.with_suffix("") if isinstance(source, Path) else source))


def _datasets(
    sources: Sequence[str | Path],
    catalog: str | None,
    recipe: str | None,
    changes: dict[str, Any],
    which: Which,
) -> Any:
    """Yield each source with its result; the catalogue is opened only for runs."""
    from stxm_live.io.results import read_nexus

    for source in sources:
        if isinstance(source, Path):
            yield source, read_nexus(source)
    runs = [source for source in sources if isinstance(source, str)]
    if runs:
        with opened(catalog, roots=which.roots) as broker:
            for run in runs:
                yield run, _result(broker, run, recipe, changes, which)


def _result(
    broker: Broker,
    run: str,
    recipe: str | None,
    changes: dict[str, Any],
    which: Which,
) -> xarray.Dataset:
    """Return the stored result; map the run if another recipe is given or nothing is stored."""
    from stxm_live.io.catalog.reading import find_run
    from stxm_live.live.replay import map_run

    found = find_run(broker, run)
    stored: xarray.Dataset | None = which.stored(broker, str(found.start["uid"]))
    if stored is not None and recipe is None and not changes:
        return stored
    chosen = recipe_of(recipe, stored).with_changes(changes)
    with console.working(f"mapping run {escape(run)}"):
        return map_run(found, chosen, **which.options).to_xarray()
