"""The command that writes results as files."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from stxm_live.cli.errors import one_line_errors
from stxm_live.cli.output import console
from stxm_live.cli.stacks import Catalog, Settings, opened, parse_settings, recipe_of, stored_maps

if TYPE_CHECKING:
    import databroker
    import xarray

NEXUS_SUFFIXES = (".nxs", ".h5", ".hdf5", ".nx")


class Format(StrEnum):
    """What `export` writes."""

    nexus = "nexus"
    html = "html"
    csv = "csv"
    tiff = "tiff"
    all = "all"


@one_line_errors
def export(
    runs: Annotated[
        list[str],
        typer.Argument(
            help="uid, the beginning of one, scan_id, or -1; or a NeXus file of this command. "
            "Repeatable."
        ),
    ],
    formats: Annotated[
        list[Format],
        typer.Option("--format", "-f", help="nexus, html (a page to send by mail), csv, tiff."),
    ] = [Format.all],  # noqa: B006  typer reads it only
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder; of several results each gets its own.")
    ] = Path("export"),
    catalog: Catalog = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="Map the run anew with it; default: the stored result, else nvpf."),
    ] = None,
    changes: Settings = None,
    pixels: Annotated[
        bool, typer.Option("--pixels", help="With csv: also a table of all specimen pixels.")
    ] = False,
) -> None:
    """Write results as files: NeXus, a HTML page that opens offline, CSV tables, TIFF images.

    Examples: stxm-live export -1 --catalog runs --out results; stxm-live export results/maps.nxs
    --format html
    """
    sources = [_source(run) for run in runs]
    if (recipe or changes) and any(isinstance(source, Path) for source in sources):
        raise ValueError("--recipe and --set map a run anew; a NeXus file is exported as it is")
    for source, dataset in _datasets(sources, catalog, recipe, parse_settings(changes)):
        folder = out / _name(source) if len(sources) > 1 else out
        with console.status(f"writing {escape(str(source))}"):
            files = write_formats(dataset, folder, formats, pixels=pixels)
        console.print(f"{escape(str(source))}: {len(files)} files in {escape(str(folder))}")
        for path in files:
            console.print(f"  {escape(str(path.relative_to(folder)))}")


def write_formats(
    dataset: xarray.Dataset, folder: Path, formats: Sequence[Format], *, pixels: bool = False
) -> list[Path]:
    """Write ``maps.nxs``, ``maps.html`` and the folders ``csv`` and ``tiff``, as asked."""
    from stxm_live.display import write_page
    from stxm_live.results import write_csv, write_nexus, write_tiff

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


def _source(run: str) -> str | Path:
    """A file, or the name of a run."""
    return Path(run) if Path(run).suffix.lower() in NEXUS_SUFFIXES else run


def _name(source: str | Path) -> str:
    from stxm_live.display.pictures import safe_name

    return safe_name(str(source.with_suffix("") if isinstance(source, Path) else source))


def _datasets(
    sources: Sequence[str | Path],
    catalog: Path | None,
    recipe: str | None,
    changes: dict[str, Any],
) -> Any:
    """Each source with its result; the catalogue is opened only if a run is asked for."""
    from stxm_live.results import read_nexus

    for source in sources:
        if isinstance(source, Path):
            yield source, read_nexus(source)
    runs = [source for source in sources if isinstance(source, str)]
    if runs:
        with opened(catalog) as broker:
            for run in runs:
                yield run, _result(broker, run, recipe, changes)


def _result(
    broker: databroker.Broker, run: str, recipe: str | None, changes: dict[str, Any]
) -> xarray.Dataset:
    """The stored result, unless another recipe is asked for or nothing is stored."""
    from stxm_live.offline import map_run
    from stxm_live.replay import find_run

    found = find_run(broker, run)
    stored: xarray.Dataset | None = stored_maps(broker, str(found.start["uid"]))
    if stored is not None and recipe is None and not changes:
        return stored
    chosen = recipe_of(recipe, stored).with_changes(changes)
    with console.status(f"mapping run {escape(run)}"):
        return map_run(found, chosen).to_xarray()
