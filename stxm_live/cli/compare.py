"""The command ``compare``: the same stacks by two recipes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from stxm_live.cli.archive import (
    TABLE,
    How,
    SchedulerOption,
    WhereOption,
    WorkersOption,
    end,
    many_runs,
    rows_of,
    tasks_of,
)
from stxm_live.cli.errors import UsageError, one_line_errors
from stxm_live.cli.json_output import JsonOption, only_json, print_json
from stxm_live.cli.output import console
from stxm_live.cli.run_options import CatalogOption, RootsOption, SettingsOption, parse_settings
from stxm_live.core.recipe import Recipe

if TYPE_CHECKING:
    from stxm_live.live.archive.kept import Row
    from stxm_live.live.archive.source import Source

_FOLDERS = ("first", "second")


@one_line_errors
def compare(
    stacks: Annotated[
        list[str] | None,
        typer.Argument(
            help="Runs of the catalogue, as for replay; or files and folders, as for map --all."
        ),
    ] = None,
    recipes: Annotated[
        list[str] | None, typer.Option("--recipe", help="A recipe; give two, the old one first.")
    ] = None,
    all_runs: Annotated[bool, typer.Option("--all", help="Compare all runs.")] = False,
    where: WhereOption = None,
    catalog: CatalogOption = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the results.")] = Path(
        "compared"
    ),
    changes: SettingsOption = None,
    roots: RootsOption = None,
    workers: WorkersOption = 1,
    scheduler: SchedulerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Map the same stacks with two recipes, and show where the maps differ.

    Examples: stxm-live compare --recipe old.toml --recipe new.toml --all --catalog runs; stxm-live
    compare --recipe old.toml --recipe new.toml 2025/
    """
    only_json(as_json)
    if len(recipes or ()) != 2:
        raise UsageError("give two recipes: --recipe OLD --recipe NEW")
    settings = parse_settings(changes)
    chosen = [Recipe.load(name).with_changes(settings) for name in recipes or ()]
    for recipe in chosen:
        recipe.read_files()
    sources = _sources(stacks or [], catalog, where, all_runs, roots)
    how = How(workers, scheduler)
    rows: list[list[Row]] = []
    stopped_by: BaseException | None = None
    for recipe, folder in zip(chosen, _FOLDERS, strict=True):
        console.print(f"{folder} recipe: {escape(recipe.name)}")
        (out / folder).mkdir(parents=True, exist_ok=True)
        found, stopped_by = rows_of(tasks_of(sources, recipe, out / folder), how)
        rows.append([_within(row, folder) for row in found])
        if stopped_by is not None:
            break
    if len(rows) == 2:
        _write(rows, chosen, out, as_json=as_json)
    end([row for found in rows for row in found], stopped_by)


def _sources(
    stacks: Sequence[str],
    catalog: str | None,
    where: str | None,
    all_runs: bool,
    roots: Sequence[Path] | None,
) -> list[Source]:
    """Return the files if there are any of these names, else runs of the catalogue."""
    from stxm_live.live.archive.choice import sources_of_files

    if stacks and catalog is None and all(Path(one).exists() for one in stacks):
        return sources_of_files(stacks, roots=tuple(str(r.absolute()) for r in roots or ()))
    if not (stacks or all_runs or where is not None):
        raise UsageError("name runs or files, or give --all or --where")
    return many_runs(catalog, stacks, where, all_runs, roots=roots, even_one=True)


def _within(row: Row, folder: str) -> Row:
    """Return a row whose result is relative to the folder of the comparison."""
    return {**row, "result": f"{folder}/{row['result']}"} if "result" in row else row


def _write(
    rows: Sequence[Sequence[Row]], recipes: Sequence[Recipe], out: Path, *, as_json: bool
) -> None:
    """Write and print the comparison."""
    from stxm_live.dashboard.offline_page.archive_page import COMPARED_COLUMNS, write_archive_page
    from stxm_live.io.results.comparison import compared_rows, comparison_columns
    from stxm_live.io.results.run_table import write_columns

    compared = compared_rows(rows[0], rows[1], out)
    title = f"{recipes[0].name} (first) and {recipes[1].name} (second): {len(compared)} stacks"
    files = write_columns(comparison_columns(compared), out / TABLE)
    files.append(
        write_archive_page(
            compared,
            out / f"{TABLE}.html",
            title=title,
            colors={**recipes[1].colors, **recipes[0].colors},
            columns=COMPARED_COLUMNS,
        )
    )
    for row in compared:
        console.print(escape(_line(row)))
    for path in files:
        console.print(escape(str(path)))
    if as_json:
        print_json("comparison", {"rows": compared, "files": list(map(str, files))})


def _line(row: Mapping[str, Any]) -> str:
    verdicts = [row[which].get("verdict") or "not mapped" for which in _FOLDERS]
    change = row["changed_share"]
    words = "not compared" if change is None else f"{100 * change:.1f} % of the labels changed"
    reasons = {row[which].get("reason") for which in _FOLDERS} - {None}
    return f"{row['name']}: {words}; {' -> '.join(verdicts)} {' '.join(map(str, reasons))}".strip()
