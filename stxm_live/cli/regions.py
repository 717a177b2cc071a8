"""The command ``regions``: the next regions of a past result, as a queue."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from stxm_live.cli.errors import UsageError, one_line_errors
from stxm_live.cli.output import console
from stxm_live.cli.run_options import (
    CatalogOption,
    PolarizationOption,
    RegionOption,
    RootsOption,
    SettingsOption,
    Which,
    names_files,
    opened,
    parse_settings,
    recipe_of,
    runs_and_recipe,
)
from stxm_live.core.whole_file import whole_file

if TYPE_CHECKING:
    from stxm_live.core.phase_maps import PhaseMaps
    from stxm_live.core.region import Region

RunsArgument = Annotated[
    list[str],
    typer.Argument(
        help="Files of a stack; or a run of the catalogue: uid, the beginning of one, scan_id, or "
        "-1; several if each energy is a separate run.",
        metavar="RUN|FILE...",
    ),
]
SizeOption = Annotated[
    str, typer.Option(help="Size of each region in um, or in x and y, as 0.5,0.3.")
]
CriterionOption = Annotated[
    str | None,
    typer.Option(
        help='What to look for: "phase:Na3VPF", "x between 2.0 and 2.4", "boundary of A and B", '
        '"area above 0.2", joined by "and" or "or"; doubt, boundaries, rare, unidentified or '
        "particles; default: the recipe's."
    ),
]
LimitsOption = Annotated[
    str | None,
    typer.Option(help="Limits of the motors in um, x0,x1,y0,y1; default: the field of the maps."),
]
WithOption = Annotated[
    list[str] | None,
    typer.Option("--with", help="Argument of the plan, as detector=camera. Repeatable."),
]
QueueOption = Annotated[
    str | None, typer.Option(help="Add the regions to the queue of the RE Manager at this address.")
]


@one_line_errors
def regions(
    runs: RunsArgument,
    size: SizeOption,
    criterion: CriterionOption = None,
    number: Annotated[int, typer.Option("--n", "-n", min=1, help="Largest number of regions.")] = 3,
    step: Annotated[
        float | None, typer.Option(help="Step of their pixels in um; default: half of the map's.")
    ] = None,
    dwell: Annotated[
        float | None, typer.Option(help="Exposure of a pixel in ms; default: the map's.")
    ] = None,
    limits: LimitsOption = None,
    recipe: Annotated[
        str | None, typer.Option(help="Recipe; default: that of the stored result, else nvpf.")
    ] = None,
    changes: SettingsOption = None,
    catalog: CatalogOption = None,
    region: RegionOption = None,
    polarization: PolarizationOption = None,
    roots: RootsOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write items for the queue server (JSON).")
    ] = None,
    queue: QueueOption = None,
    arguments: WithOption = None,
) -> None:
    """Find the next regions to scan in a past run or a file, and make a queue of them.

    Examples: stxm-live regions -1 --size 0.5 --criterion "phase:Na3VPF and area above 0.02";
    stxm-live regions 3f2a91 --size 0.5 --out queue.json --with detector=camera --with energy=mono
    """
    from stxm_live.adaptive.regions import suggest_regions

    size_um, bounds = _numbers("--size", size, (1, 2)), None
    if limits is not None:
        x0, x1, y0, y1 = _numbers("--limits", limits, (4,))
        bounds = (x0, x1), (y0, y1)
    given = _arguments(arguments, needed=out is not None or queue is not None)
    with console.working("mapping"):
        maps = _maps(runs, recipe, changes, catalog, Which(region, polarization, roots))
    found = suggest_regions(
        maps,
        number,
        size_um=(size_um[0], size_um[-1]),
        criterion=criterion,
        step_um=step,
        dwell_ms=dwell,
        limits=bounds,
    )
    _print(maps, found)
    if given is not None and found:
        _queue(found, {"energies_ev": [*map(float, maps.energies_ev)], **given}, out, queue)


def _maps(
    runs: Sequence[str],
    recipe: str | None,
    changes: list[str] | None,
    catalog: str | None,
    which: Which,
) -> PhaseMaps:
    """Return the maps of files, or of a run with the recipe of its stored result."""
    from stxm_live.cli.map_inputs import files_of, stack_of_files
    from stxm_live.live.replay import map_run
    from stxm_live.phase_mapping.workflow import map_phases

    settings = parse_settings(changes)
    if names_files(runs):
        chosen = recipe_of(recipe, None).with_changes(settings)
        stack = stack_of_files(
            files_of(runs), fields=chosen.fields, region=which.region, roots=which.roots
        )
        return map_phases(stack, chosen)
    with opened(catalog, roots=which.roots) as broker:
        found, chosen = runs_and_recipe(broker, runs, recipe, settings, which)
        return map_run(found, chosen, **which.options)


def _queue(
    found: Sequence[Region], arguments: dict[str, Any], out: Path | None, address: str | None
) -> None:
    """Write the regions as items for a queue server, or add them to its queue."""
    from stxm_live.adaptive.queueserver import Queue

    manager = Queue(address, arguments) if address else Queue(arguments=arguments)
    if out is not None:
        items = [manager.item(region) for region in found]
        with whole_file(out) as unfinished:
            unfinished.write_text(json.dumps(items, indent=1) + "\n", encoding="utf-8")
        console.print(f"wrote {escape(str(out))}")
    if address is not None:
        for region in found:
            uid = manager.submit(region)
            console.print(f"region {escape(region.name)}: item {escape(uid)} of the queue")


def _arguments(given: Sequence[str] | None, *, needed: bool) -> dict[str, Any] | None:
    """Return the arguments of the plan; None if no queue is asked for."""
    arguments = parse_settings(given, "--with")
    if not needed:
        return None
    missing = [name for name in ("detector", "energy") if name not in arguments]
    if missing:
        raise UsageError(f"a queue needs the names of your devices: add --with {missing[0]}=NAME")
    return arguments


def _numbers(option: str, text: str, counts: tuple[int, ...]) -> list[float]:
    """Return numbers that are separated by commas."""
    try:
        found = [float(cell) for cell in text.split(",")]
    except ValueError:
        found = []
    if len(found) not in counts:
        many = " or ".join(map(str, counts))
        raise UsageError(f"{option} {text}: expected {many} numbers in um, separated by commas")
    return found


def _print(maps: PhaseMaps, found: Sequence[Region]) -> None:
    """Print a row for each region."""
    if not found:
        console.print(f"{escape(str(maps.key))}: there is no such region")
        return
    title = f"{maps.key}: next regions by {found[0].criterion}"
    table = Table(title=escape(title), title_justify="left")
    for column in ("region", "x (um)", "y (um)", "pixels", "what is there"):
        table.add_column(column)
    for one in found:
        x, y = one.x_extent_um, one.y_extent_um
        table.add_row(
            escape(one.name),
            f"{x[0]:.4g} to {x[1]:.4g}",
            f"{y[0]:.4g} to {y[1]:.4g}",
            f"{one.nx} x {one.ny}",
            escape(one.reason),
        )
    console.print(table)
