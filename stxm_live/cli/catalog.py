"""The commands ``catalog check``, ``repair`` and ``export``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape
from rich.table import Table

from stxm_live.cli.errors import UsageError, one_line_errors
from stxm_live.cli.json_output import JsonOption, only_json, print_json
from stxm_live.cli.output import console
from stxm_live.cli.run_options import CatalogOption, RootsOption, opened

if TYPE_CHECKING:
    from stxm_live.io.catalog import Broker
    from stxm_live.io.catalog.upkeep import Finding

app = typer.Typer(help="Upkeep of a catalogue in a folder.", no_args_is_help=True)


@app.command()
@one_line_errors
def check(catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """Show what is wrong with a catalogue; nothing is changed. Exit code 1 if anything is.

    Example: stxm-live catalog check --catalog runs
    """
    from stxm_live.io.catalog import upkeep

    only_json(as_json)
    found = upkeep.check(_folder(catalog))
    if as_json:
        print_json("catalog", {"findings": _values(found)})
    _print(found)
    if found:
        raise typer.Exit(1)


@app.command()
@one_line_errors
def repair(catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """Mend what can be mended without a loss, and say what was done. Exit code 1 if more is wrong.

    Example: stxm-live catalog repair --catalog runs
    """
    from stxm_live.io.catalog import upkeep

    only_json(as_json)
    with console.working("repairing"):
        done, left = upkeep.repair(_folder(catalog))
    for line in done or ["nothing was changed"]:
        console.print(escape(line))
    if as_json:
        print_json("catalog", {"done": done, "findings": _values(left)})
    _print(left)
    if left:
        raise typer.Exit(1)


@app.command(context_settings={"ignore_unknown_options": True})
@one_line_errors
def export(
    runs: Annotated[
        list[str] | None, typer.Argument(help="uid, the beginning of one, scan_id, or -1.")
    ] = None,
    all_runs: Annotated[bool, typer.Option("--all", help="Every raw run.")] = False,
    catalog: CatalogOption = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the files.")] = Path("runs"),
    file_format: Annotated[
        Literal["documents", "nxstxm"],
        typer.Option(
            "--format",
            "-f",
            help="documents: all documents and images, bit for bit; nxstxm: the counts of a stack.",
        ),
    ] = "documents",
    roots: RootsOption = None,
) -> None:
    """Write raw runs as files that the commands map and import open.

    Examples: stxm-live catalog export --all --catalog runs --out copies; stxm-live catalog export
    -1 --format nxstxm
    """
    from stxm_live.io.catalog.reading import find_run

    if bool(runs) == all_runs:
        raise UsageError("name runs, or give --all")
    failed = 0
    with opened(catalog, roots=roots) as broker:
        for name in runs or _all_uids(broker):
            try:
                path = _write(find_run(broker, name), out, file_format, roots)
            except (ValueError, OSError, LookupError) as error:
                if runs and len(runs) == 1:
                    raise
                failed += 1
                console.print(f"[yellow]{escape(name)}: not written: {escape(str(error))}[/]")
            else:
                console.print(escape(str(path)))
    if failed:
        raise typer.Exit(1)


def _all_uids(broker: Broker) -> list[str]:
    from stxm_live.io.catalog import raw_runs

    with raw_runs(broker) as (listed, _):
        return [str(run.start.get("uid", run.key)) for run in reversed(listed)]


def _write(run: object, out: Path, file_format: str, roots: Sequence[Path] | None) -> Path:
    """Write a run as a file named after its uid, and return it."""
    from stxm_live.core.whole_file import whole_file
    from stxm_live.io.catalog.backup import BackupFile, backup_name
    from stxm_live.io.files import write_nexus_stxm
    from stxm_live.live.replay import stack_of_run

    out.mkdir(parents=True, exist_ok=True)
    uid = str(run.metadata["start"]["uid"])  # type: ignore[attr-defined]
    target = out / backup_name(uid)
    if file_format == "nxstxm":
        target = target.with_suffix(".hdf5")
        write_nexus_stxm(target, stack_of_run(run, roots=tuple(roots or ())))
        return target
    with whole_file(target) as unfinished:
        unfinished.unlink(missing_ok=True)
        file = BackupFile(unfinished)
        try:
            for name, document in _read(run):
                file(name, document)
            file.sync()
        finally:
            file.close()
    return target


def _read(run: object) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the documents of a run; an error of reading is none of the file that is written."""
    from stxm_live.io.catalog.reading import documents

    try:
        yield from documents(run)
    except OSError as error:
        raise ValueError(str(error)) from error


def _folder(catalog: str | None) -> Path:
    from stxm_live.io.catalog import default_folder
    from stxm_live.io.catalog.anywhere import folder_only

    return (folder_only(catalog) or default_folder()).expanduser()


def _values(found: Sequence[Finding]) -> list[dict[str, str | bool]]:
    return [
        {"kind": f.kind, "what": f.what, "advice": f.advice, "repairable": f.repairable}
        for f in found
    ]


def _print(found: Sequence[Finding]) -> None:
    if not found:
        console.print("[green]nothing is wrong with the catalogue[/]")
        return
    table = Table("kind", "what", "what to do")
    for finding in found:
        table.add_row(escape(finding.kind), escape(finding.what), escape(finding.advice))
    console.print(table)
