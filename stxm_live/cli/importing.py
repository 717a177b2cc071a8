"""The command that stores files in the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.markup import escape
from rich.table import Table

from stxm_live.cli.errors import EXPECTED, one_line_errors
from stxm_live.cli.map_inputs import files_of
from stxm_live.cli.output import console
from stxm_live.cli.run_options import (
    CatalogOption,
    DetectorOption,
    QuantityOption,
    RegionOption,
    opened,
)

if TYPE_CHECKING:
    from stxm_live.io.catalog import Broker

JoinOption = Annotated[
    bool,
    typer.Option("--join", help="The files are the images of one stack, an energy in each."),
]
AgainOption = Annotated[
    bool, typer.Option("--again", help="Import files that are already in the catalogue once more.")
]


class _Outcome(NamedTuple):
    """What became of a file, and if it is in the catalogue now."""

    name: str
    words: str
    is_there: bool


@one_line_errors
def import_stacks(
    files: Annotated[
        list[str], typer.Argument(help="Stacks, as for the command map; also patterns: '*.hdr'.")
    ],
    catalog: CatalogOption = None,
    region: RegionOption = None,
    detector: DetectorOption = None,
    quantity: QuantityOption = None,
    join: JoinOption = False,
    again: AgainOption = False,
) -> None:
    """Import stacks from files into the catalogue, as runs that can be replayed.

    Files that are no stacks are skipped and named at the end.

    Examples: stxm-live import 71214078.hdr --catalog runs; stxm-live import '*.hdr'
    """
    paths = files_of(files)
    options = {"region": region, "detector": detector, "quantity": quantity, "again": again}
    inputs: list[Sequence[Path]] = [paths] if join else [[path] for path in paths]
    with opened(catalog, create=True) as broker:
        if len(inputs) == 1:
            console.print(_line(_imported(broker, inputs[0], options)))
            return
        outcomes = []
        for several in inputs:
            try:
                outcomes.append(_imported(broker, several, options))
            except EXPECTED as error:
                reason = str(error).removeprefix(f"{several[0]}").lstrip(":, ")
                outcomes.append(_Outcome(str(several[0]), f"skipped: {reason}", is_there=False))
    table = Table("file", "in the catalogue")
    for outcome in outcomes:
        table.add_row(escape(outcome.name), escape(outcome.words))
    console.print(table)
    if not all(outcome.is_there for outcome in outcomes):
        raise typer.Exit(1)


def _imported(broker: Broker, paths: Sequence[Path], options: dict[str, Any]) -> _Outcome:
    from stxm_live.io.catalog.document_files import is_document_file
    from stxm_live.io.files.documents import import_new

    name = ", ".join(map(str, paths))
    if len(paths) == 1 and is_document_file(paths[0]):
        return _imported_documents(broker, paths[0])
    with console.working(f"importing {escape(name)}"):
        path = paths[0] if len(paths) == 1 else paths
        uid, is_new = import_new(broker, path, **options)
    return _Outcome(name, f"run {uid}" if is_new else f"already there as run {uid}", is_there=True)


def _imported_documents(broker: Broker, path: Path) -> _Outcome:
    """Store the runs of a file of documents under their own uids."""
    from stxm_live.io.catalog.document_files import runs_in_file
    from stxm_live.io.catalog.run_store import has_run, store_documents

    words = []
    with console.working(f"importing {escape(str(path))}"):
        for run in runs_in_file(path):
            uid = str(run[0][1]["uid"])
            is_new = not has_run(broker, uid)
            words.append(f"run {store_documents(broker, run)}" if is_new else f"there as run {uid}")
    return _Outcome(str(path), ", ".join(words), is_there=True)


def _line(outcome: _Outcome) -> str:
    return escape(f"{outcome.name}: {outcome.words}")
