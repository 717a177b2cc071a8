"""Many runs or files in one command: choice, progress, table and page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from stxm_live.cli.errors import UsageError
from stxm_live.cli.json_output import print_json
from stxm_live.cli.output import console
from stxm_live.cli.run_options import opened
from stxm_live.core.recipe import Recipe

if TYPE_CHECKING:
    from stxm_live.core.phase_maps import PhaseMaps
    from stxm_live.live.archive.kept import Row
    from stxm_live.live.archive.source import Source
    from stxm_live.live.archive.task import Task

TABLE = "table"
"""Name of the table and of the page, without suffix."""

INTERRUPTED = 130
"""Exit code of a command that was ended with Ctrl-C, as shells have it."""

_MOST_PRINTED = 20
"""Stacks that were not mapped and are named on the screen; the table has all."""

EachOption = Annotated[
    bool,
    typer.Option(
        "--all", help="Each file is a stack of its own; folders stand for all stacks in them."
    ),
]
PagesOption = Annotated[
    bool, typer.Option("--page", help="With several runs: also write maps.html for each.")
]
AllRunsOption = Annotated[
    bool, typer.Option("--all", help="Map every run of the catalogue, as a table and a page.")
]
WhereOption = Annotated[
    str | None,
    typer.Option(
        "--where",
        help="The runs whose start documents meet these conditions, e.g. "
        '"sample=NVPF-3 time>2025-03-01".',
    ),
]
WorkersOption = Annotated[
    int, typer.Option("--workers", min=1, help="Processes on this machine for many stacks.")
]
SchedulerOption = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        help="Address of a Dask scheduler for many stacks, e.g. tcp://10.0.0.7:8786. Who reaches "
        "it can run programs there.",
    ),
]


def many_runs(
    catalog: str | None,
    runs: Sequence[str] | None,
    where: str | None,
    all_runs: bool,
    *,
    region: str | None = None,
    polarization: str | None = None,
    roots: Sequence[Path] | None = None,
    even_one: bool = False,
) -> list[Source]:
    """Return the sources of several stacks, or nothing if the command is about one stack only.

    With ``even_one`` one is returned, too.

    Raises
    ------
    LookupError
        If no run meets the conditions.
    ValueError
        If runs are named and --all or --where is given as well.
    """
    if (all_runs or where is not None) and runs:
        raise UsageError("name runs, or give --all or --where, not both")
    if all_runs and where is not None:
        raise UsageError("--where is a choice among all runs; leave out --all")
    if not (all_runs or where is not None or even_one or len(runs or ()) > 1):
        return []
    from stxm_live.live.archive.choice import sources_of_runs

    found = sources_of_runs(
        _documents(catalog, runs or (), where),
        _place(catalog),
        region=region,
        polarization=polarization,
        roots=tuple(str(root.absolute()) for root in roots or ()),
    )
    return found if all_runs or where is not None or even_one or len(found) > 1 else []


def _place(catalog: str | None) -> str:
    """Return where the catalogue is, for processes that run in other folders."""
    from stxm_live.io.catalog.anywhere import embedded_folder
    from stxm_live.io.catalog.folder import default_folder

    folder = embedded_folder(catalog)
    if folder is None and catalog is None:
        raise FileNotFoundError(f"no catalogue in {default_folder()}; stxm-live import makes one")
    return str(catalog) if folder is None else str(folder.absolute())


def _documents(
    catalog: str | None, runs: Sequence[str], where: str | None
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return start and stop of the named runs, or of those that meet the conditions."""
    from stxm_live.io.catalog import raw_runs
    from stxm_live.io.catalog.anywhere import embedded_folder
    from stxm_live.io.catalog.reading import find_run, plain
    from stxm_live.live.archive.where import all_hold, conditions

    wanted = conditions(where) if where is not None else []
    folder = embedded_folder(catalog)
    if runs:
        with opened(catalog) as broker:
            metadata = [plain(find_run(broker, run).metadata) for run in runs]
        by_uid = {str(one["start"]["uid"]): one for one in metadata}
        return [(one["start"], one.get("stop") or {}) for one in by_uid.values()]
    opening = opened(catalog) if folder is None else nullcontext(folder)
    with opening as place, raw_runs(place) as (listed, _):
        pairs = [(run.start, run.stop) for run in listed if run.start.get("uid")]
    pairs = [(start, stop) for start, stop in pairs if all_hold(wanted, start)]
    if not pairs:
        nothing = "the catalogue has no runs"
        raise LookupError(nothing if where is None else f"no run meets --where {where}")
    return pairs


class How(NamedTuple):
    """How many stacks are mapped: by whom, and what is written and printed."""

    workers: int = 1
    scheduler: str | None = None
    page: bool = False
    as_json: bool = False


def one_only(how: How, several: str) -> None:
    """Raise ValueError for options of many stacks where there is one only."""
    if how.workers > 1 or how.scheduler is not None:
        raise UsageError(f"--workers and --scheduler are for many stacks; give {several}")


def replay_many(
    sources: Sequence[Source],
    recipe: str | None,
    changes: Mapping[str, Any],
    out: Path | None,
    how: How,
    *,
    verify: bool,
) -> None:
    """Map many runs with one recipe.

    Raises
    ------
    ValueError
        If no recipe is named, or if results are to be compared with stored ones.
    """
    if verify:
        raise UsageError("--verify is for one run; stxm-live compare compares many")
    if recipe is None:
        raise UsageError("name the recipe with which all these runs are to be mapped: --recipe")
    from stxm_live.plotting.pictures import safe_name

    chosen = Recipe.load(recipe).with_changes(changes)
    map_many(
        sources,
        chosen,
        out or Path(f"{safe_name(chosen.name)}-maps"),
        how,
    )


def map_files(
    paths: Sequence[Path],
    recipe: Recipe,
    out: Path,
    options: Mapping[str, Any],
    roots: Sequence[Path] | None,
    how: How,
) -> None:
    """Map each file, and each stack of the folders, on its own."""
    from stxm_live.live.archive.choice import sources_of_files

    folders = tuple(str(root.absolute()) for root in roots or ())
    sources = sources_of_files(paths, roots=folders, **options)
    map_many(sources, recipe, out, how)


def map_many(
    sources: Sequence[Source],
    recipe: Recipe,
    out: Path,
    how: How,
) -> None:
    """Map sources into folders, write their table and page, and print what was done.

    Raises
    ------
    typer.Exit
        With 1 if a stack was not mapped, and 130 after Ctrl-C. What is done is kept, and the table
        has it.
    """
    rows, stopped_by = rows_of(tasks_of(sources, recipe, out, page=how.page), how)
    files = write_archive(rows, out, recipe) if rows else []
    print_outcome(rows, files)
    if how.as_json:
        print_json("archive", {"rows": rows, "files": list(map(str, files))})
    end(rows, stopped_by)


def print_outcome(rows: Sequence[Row], files: Sequence[Path]) -> None:
    """Print what became of the stacks, and why some were not mapped."""
    failed = [row for row in rows if row["outcome"] == "failed"]
    console.print(f"{len(rows) - len(failed)} stacks mapped, {len(failed)} not")
    for row in failed[:_MOST_PRINTED]:
        console.print(f"[yellow]{escape(row['name'])}: {escape(row['reason'])}[/]")
    if len(failed) > _MOST_PRINTED:
        console.print(f"[yellow]and {len(failed) - _MOST_PRINTED} more, in the table[/]")
    for path in files:
        console.print(escape(str(path)))


def end(rows: Sequence[Row], stopped_by: BaseException | None) -> None:
    """End a command with the exit code of what happened."""
    if stopped_by is not None:
        console.print("stopped before the end; the same command goes on with the rest")
    if isinstance(stopped_by, KeyboardInterrupt):
        raise typer.Exit(INTERRUPTED)
    if stopped_by is not None:
        raise stopped_by
    if any(row["outcome"] == "failed" for row in rows):
        raise typer.Exit(1)


def tasks_of(
    sources: Sequence[Source], recipe: Recipe, out: Path, *, page: bool = False
) -> list[Task]:
    """Return a task for each source, with the hash that says if it is done."""
    from stxm_live.live.archive.kept import kept_recipe, key_of, made_by
    from stxm_live.live.archive.task import Task

    recipe.read_files()
    folder, made = str(kept_recipe(recipe, out).absolute()), made_by(recipe)
    made += " with pages" if page else ""
    place = str(out.absolute())
    return [Task(source, folder, place, key_of(source, made)) for source in sources]


def rows_of(tasks: Sequence[Task], how: How) -> tuple[list[Row], BaseException | None]:
    """Return the rows of all tasks in their order, and what ended the work before its end."""
    from stxm_live.live.archive.kept import kept_rows
    from stxm_live.live.archive.workers import each_task

    done = {task.source.name: kept_rows(task.folder, task.key) for task in tasks}
    found = {name: rows for name, rows in done.items() if rows is not None}
    open_tasks = [task for task in tasks if task.source.name not in found]
    if found:
        console.print(f"{len(found)} of {len(tasks)} are done already")
    stopped_by: BaseException | None = None
    with _progress() as progress:
        bar = progress.add_task("mapping", total=len(open_tasks), rate="")
        try:
            each = each_task(
                open_tasks,
                partial(write_result, page=how.page),
                n_workers=how.workers,
                scheduler=how.scheduler,
            )
            for task, rows in each:
                found[task.source.name] = rows
                progress.advance(bar)
                speed = progress.tasks[bar].speed
                progress.update(bar, rate="" if not speed else f"{60 * speed:.1f} per minute")
        except (KeyboardInterrupt, OSError) as error:
            stopped_by = error
    return [row for task in tasks for row in found.get(task.source.name, [])], stopped_by


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
    )


def write_result(maps: PhaseMaps, folder: Path, *, page: bool = False) -> list[Path]:
    """Write a result of many: the NeXus file, the map that the table's page shows, its own page."""
    from stxm_live.dashboard.offline_page.archive_page import FILE, PAGE, SMALL_MAP
    from stxm_live.io.results import write_nexus
    from stxm_live.plotting.small_map import write_small_map

    dataset = maps.to_xarray()
    folder.mkdir(parents=True, exist_ok=True)
    written = [write_nexus(dataset, folder / FILE)]
    written.append(write_small_map(maps, folder / SMALL_MAP))
    if page:
        from stxm_live.dashboard import write_page

        written.append(write_page(dataset, folder / PAGE))
    return written


def write_archive(rows: Sequence[Row], out: Path, recipe: Recipe) -> list[Path]:
    """Write the table of all results and its page."""
    from stxm_live.dashboard.offline_page.archive_page import write_archive_page
    from stxm_live.io.results.run_table import write_table

    files = write_table(rows, out / TABLE)
    title = f"Phase maps of {len(rows)} stacks, recipe {recipe.name}"
    files.append(write_archive_page(rows, out / f"{TABLE}.html", title=title, colors=recipe.colors))
    return files
