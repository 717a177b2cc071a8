"""The command ``check``: a report on how a run is read, and on what is missing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from stxm_live.cli.errors import one_line_errors
from stxm_live.cli.json_output import JsonOption, only_json, print_json
from stxm_live.cli.output import console
from stxm_live.cli.run_options import (
    CatalogOption,
    RootsOption,
    SettingsOption,
    names_file,
    opened,
    parse_settings,
)
from stxm_live.core.recipe import Recipe
from stxm_live.core.stack import Stack
from stxm_live.io.documents import OpenStacks, Roots, RunFrames, StackFrames, snapshot

Documents = Iterable[tuple[str, Any]]

MAX_SHOWN_KEYS = 12


@dataclass
class Report:
    """The documents and fields found in one run."""

    uid: str = "?"
    shape: str = ""
    error: str = ""
    found: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


@one_line_errors
def check(
    runs: Annotated[
        list[str],
        typer.Argument(
            help="uid, scan_id, -1, or a file of documents; several runs for one stack."
        ),
    ],
    recipe: Annotated[
        str | None, typer.Option(help="Recipe whose energies and fields are used; default: nvpf.")
    ] = None,
    catalog: CatalogOption = None,
    roots: RootsOption = None,
    changes: SettingsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check if a run can be mapped, how its documents are read, and what is missing.

    Examples: stxm-live check -1; stxm-live check run.jsonl --set fields.image=pmt
    """
    only_json(as_json)
    chosen = Recipe.load(recipe or "nvpf").with_changes(parse_settings(changes))
    files = [Path(run) for run in runs if names_file(run)]
    from stxm_live.io.catalog.document_files import runs_in_file

    found: list[Documents] = [run for path in files for run in runs_in_file(path)]
    if len(files) < len(runs):
        from stxm_live.io.catalog.reading import documents, find_run

        with opened(catalog, roots=roots) as broker:
            keys = [run for run in runs if not names_file(run)]
            found += [list(documents(find_run(broker, key))) for key in keys]
    reports, stacks = check_runs(found, chosen, Roots(roots or ()))
    for report in reports:
        _print_report(report)
    verdicts = [_print_stack(stack, chosen) for stack in stacks]
    if as_json:
        found_stacks = zip(stacks, verdicts, strict=True)
        print_json(
            "check",
            {
                "runs": [_report_values(report) for report in reports],
                "stacks": [_stack_values(stack, ok) for stack, ok in found_stacks],
            },
        )
    if not verdicts or not all(verdicts) or any(report.error for report in reports):
        raise typer.Exit(1)


def check_runs(
    runs: Iterable[Documents], recipe: Recipe, roots: Roots
) -> tuple[list[Report], list[Stack]]:
    """Return a report on each run, and the stacks that the runs contain."""
    open_stacks = OpenStacks()
    stacks: dict[StackFrames, None] = {}
    reports = [_checked(run, recipe, roots, open_stacks, stacks) for run in runs]
    return reports, [frames.stack() for frames in stacks]


def _checked(
    run: Documents,
    recipe: Recipe,
    roots: Roots,
    open_stacks: OpenStacks,
    stacks: dict[StackFrames, None],
) -> Report:
    report, frames = Report(), None
    for name, doc in run:
        report.counts[name] = report.counts.get(name, 0) + 1
        if name == "start":
            report.uid = str(doc.get("uid", "?"))
            try:
                frames = RunFrames(doc, fields=recipe.fields, roots=roots, open_stacks=open_stacks)
            except ValueError as error:
                report.error = str(error)
        elif name == "descriptor" and doc.get("name") != "baseline":
            report.keys |= {key: _described(d) for key, d in doc.get("data_keys", {}).items()}
        if frames is not None and name != "start":
            frames(name, snapshot(name, doc))
    if frames is not None and frames.why_no_stack is not None:
        report.error = str(frames.why_no_stack)
    elif frames is not None:
        frames.give_up()
        stacks |= dict.fromkeys(frames.stacks)
        report.shape, report.found = frames.shape, frames.found
    return report


def _described(data_key: dict[str, Any]) -> str:
    shape = " x ".join(str(n) for n in data_key.get("shape") or ())
    where = ", in files" if data_key.get("external") else ""
    return (shape or str(data_key.get("dtype", "?"))) + where


def _print_report(report: Report) -> None:
    counts = ", ".join(f"{n} {name}" for name, n in report.counts.items())
    console.print(f"[bold]run {escape(report.uid[:8])}[/]: {counts}")
    if report.error:
        console.print(f"  [red]cannot be read:[/] {escape(report.error)}")
    else:
        console.print(f"  read as: {escape(report.shape)}")
    for meaning, key in report.found.items():
        console.print(f"  {meaning}: {escape(key) or 'none'}")
    if report.error or not report.found:
        shown = list(report.keys.items())[:MAX_SHOWN_KEYS]
        listed = ", ".join(f"{key} ({what})" for key, what in shown) or "none"
        console.print(f"  data keys: {escape(listed)}")
        console.print(
            "  describe the run: with a stxm block in the start document, scan=StackScan(...) in "
            "Python, or \\[fields] in the recipe for other names"
        )


def _report_values(report: Report) -> dict[str, Any]:
    return {
        "uid": report.uid,
        "read_as": report.shape or None,
        "error": report.error or None,
        "found": report.found,
        "documents": report.counts,
    }


def _stack_values(stack: Stack, can_be_mapped: bool) -> dict[str, Any]:
    scan = stack.scan
    return {
        "stack": str(stack.key),
        "can_be_mapped": can_be_mapped,
        "shape": list(scan.shape),
        "energies_ev": list(scan.energies_ev),
        "missing_ev": list(stack.missing_ev),
        "stopped_early_ev": list(stack.skipped_ev),
        "notes": list(stack.notes),
        "refusal": stack.refusal or None,
    }


def _print_stack(stack: Stack, recipe: Recipe) -> bool:
    """Print a report on a stack; return True if it can be mapped."""
    scan, whole = stack.scan, [frame for frame in stack.frames if frame.is_whole]
    console.print(f"[bold]{escape(str(stack.key))}[/]")
    console.print(
        f"  {len(whole) + len(stack.checks)} of {scan.shape[0]} images "
        f"of {scan.shape[1]} x {scan.shape[2]} pixels, "
        f"{min(scan.energies_ev):g} to {max(scan.energies_ev):g} eV"
    )
    for what, energies_ev in (
        ("stopped early, skipped", stack.skipped_ev),
        ("missing", stack.missing_ev),
    ):
        if energies_ev:
            console.print(f"  {what}: {_listed(energies_ev)} eV")
    for note in stack.notes:
        console.print(f"  [dim]note: {escape(note)}[/]")
    if stack.refusal:
        console.print(f"  [red]cannot be mapped:[/] {escape(stack.refusal)}")
        return False
    used = recipe.selected(frame.nominal_ev for frame in whole)
    if len(used) < 2:
        console.print(
            f"  [red]cannot be mapped:[/] {len(used)} images at energies of the recipe "
            f"{escape(recipe.name)}; record at least two"
        )
        return False
    lacking = _listed(recipe.not_in((*used, *stack.skipped_ev, *stack.missing_ev)))
    console.print(
        f"  [green]can be mapped[/] with {len(used)} energies"
        + (f"; the recipe also has {lacking} eV" if lacking else "")
    )
    return True


def _listed(energies_ev: Iterable[float]) -> str:
    return ", ".join(f"{energy:g}" for energy in energies_ev)
