"""The command ``watch``, which shows a scan in the browser from a process of its own."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from stxm_live.cli.errors import UsageError, one_line_errors
from stxm_live.cli.output import console
from stxm_live.cli.priority import let_the_scan_go_first
from stxm_live.cli.run_options import (
    CatalogOption,
    DetectorOption,
    QuantityOption,
    RegionOption,
    RootsOption,
    SettingsOption,
    Which,
    names_files,
    opened,
    parse_settings,
    recipe_of,
)
from stxm_live.core.recipe import Recipe

if TYPE_CHECKING:
    from stxm_live.core.stack import Stack
    from stxm_live.dashboard import Board

FinishedRunsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        help="Finished runs to show: uid, the beginning of one, scan_id, or -1 (the "
        "default). Or a folder into which another program writes stacks, which are shown as "
        "they grow. None with --zmq, which shows the running scan, or with a server as --catalog, "
        "of which new runs are shown."
    ),
]
ProxyOption = Annotated[
    str | None, typer.Option("--zmq", help="Address at which the proxy sends documents.")
]
RecipeOption = Annotated[
    str | None,
    typer.Option(
        help="A TOML file or a shipped name; default: the one of the run's stored result, else "
        "nvpf. With first-look, or another one without references, clusters are shown, to name "
        "and save as references."
    ),
]
PortOption = Annotated[int, typer.Option(help="Port of the page; 0 for any free port.")]
ResultsOption = Annotated[
    str, typer.Option(help="With --zmq: address at which other programs get the maps.")
]
ChoicesOption = Annotated[
    str | None,
    typer.Option(
        help="With --zmq: address of the session's ChoiceServer, to choose regions for it."
    ),
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        envvar="STXM_LIVE_CHOICES_TOKEN",
        help="Token of the ChoiceServer; default: that of this account.",
    ),
]
NetworkOption = Annotated[
    bool, typer.Option("--allow-network", help="Let other machines open the page with its link.")
]


@one_line_errors
def watch(
    runs: FinishedRunsArgument = None,
    zmq: ProxyOption = None,
    recipe: RecipeOption = None,
    catalog: CatalogOption = None,
    changes: SettingsOption = None,
    roots: RootsOption = None,
    region: RegionOption = None,
    detector: DetectorOption = None,
    quantity: QuantityOption = None,
    port: PortOption = 0,
    results: ResultsOption = "127.0.0.1:0",
    choices: ChoicesOption = None,
    choices_token: TokenOption = None,
    allow_network: NetworkOption = False,
) -> None:
    """Show a scan in the browser while it is measured, or finished runs, until interrupted.

    With --zmq it maps and stores like the command serve; run only one of the two.
    Anybody with the printed link can see the page.

    Examples: stxm-live watch --zmq 127.0.0.1:5578 --catalog runs; stxm-live watch -1;
    stxm-live watch /data/today --recipe mine.toml; stxm-live watch --catalog https://tiled.lab.org
    """
    from stxm_live.io.catalog import default_folder
    from stxm_live.io.catalog.anywhere import folder_only, is_server

    if zmq is None and choices is not None:
        raise UsageError("--choices goes with --zmq: a finished run has no plan that asks")
    if zmq is not None and runs:
        raise UsageError("with --zmq the running scan is shown; leave the runs out")
    let_the_scan_go_first()
    settings = parse_settings(changes)
    page: dict[str, Any] = {
        "port": port,
        "address": "0.0.0.0" if allow_network else "127.0.0.1",
        "allow_network": allow_network,
    }
    if zmq is None and runs and len(runs) == 1 and Path(runs[0]).is_dir():
        chosen = Recipe.load(recipe or "nvpf").with_changes(settings)
        parts = {"region": region, "detector": detector, "quantity": quantity}
        _watch_folder(Path(runs[0]), chosen, page, parts)
        return
    if zmq is None and names_files(runs or ()):
        raise FileNotFoundError(
            f"{' '.join(runs or ())}: no such folder, and not the name of a run"
        )
    if zmq is None and not runs and is_server(catalog):
        chosen = Recipe.load(recipe or "nvpf").with_changes(settings)
        _watch_catalog(catalog, chosen, roots or [], page)
        return
    if zmq is None:
        _watch_finished(runs or ["-1"], catalog, recipe, settings, roots or [], page)
        return
    folder = (folder_only(catalog) or default_folder()).expanduser().absolute()
    asked = None if choices is None else (choices, choices_token)
    chosen = Recipe.load(recipe or "nvpf").with_changes(settings)
    _watch_live(zmq, results, folder, chosen, roots or [], page, asked)


def _watch_live(
    zmq: str,
    results: str,
    folder: Path,
    recipe: Recipe,
    roots: list[Path],
    page: dict[str, Any],
    choices: tuple[str, str | None] | None,
) -> None:
    """Map the runs of another process and show them."""
    from stxm_live.adaptive.chooser import RegionChooser
    from stxm_live.adaptive.remote_chooser import RemoteChooser
    from stxm_live.dashboard import CatalogHistory, serve
    from stxm_live.live.remote import Server
    from stxm_live.live.replay import map_run

    server = Server(
        recipe,
        raw=zmq,
        maps=results,
        catalog=folder,
        roots=roots,
        allow_network=bool(page["allow_network"]),
    )
    earlier = CatalogHistory(folder, partial(map_run, roots=roots), recipe, image_roots=roots)
    with ExitStack() as closing:
        closing.callback(server.close)
        suggesting = closing.enter_context(RegionChooser(server.live))
        page["suggesting"] = suggesting
        if choices is not None:
            address, token = choices
            network = bool(page["allow_network"])
            page["chooser"] = RemoteChooser(
                address, token=token, suggesting=suggesting, allow_network=network
            )
            closing.callback(page["chooser"].close)
        served = serve(server.live, catalog=earlier, **page)
        closing.callback(served.close)
        _announce(served.url, server.stop)
        server.run()


def _watch_folder(
    folder: Path, recipe: Recipe, page: dict[str, Any], parts: dict[str, Any]
) -> None:
    """Map the stacks that another program writes into a folder, and show them."""
    from stxm_live.adaptive.chooser import RegionChooser
    from stxm_live.dashboard import serve
    from stxm_live.live.folder import LiveFolder

    interrupted = threading.Event()
    with ExitStack() as closing:
        watching = closing.enter_context(LiveFolder(folder, recipe, **parts))
        suggesting = closing.enter_context(RegionChooser(watching.live))
        served = serve(watching.live, suggesting=suggesting, **page)
        closing.callback(served.close)
        console.print(escape(f"waiting for stacks in {folder}"))
        _announce(served.url, interrupted.set)
        interrupted.wait()


def _watch_catalog(
    catalog: str | None, recipe: Recipe, roots: list[Path], page: dict[str, Any]
) -> None:
    """Map the runs that appear on a server from now on, and show them."""
    from stxm_live.adaptive.chooser import RegionChooser
    from stxm_live.dashboard import CatalogHistory, serve
    from stxm_live.live.catalog import LiveCatalog
    from stxm_live.live.replay import map_run

    interrupted = threading.Event()
    with ExitStack() as closing:
        broker = closing.enter_context(opened(catalog, roots=roots))
        watching = closing.enter_context(LiveCatalog(broker, recipe, roots=roots))
        suggesting = closing.enter_context(RegionChooser(watching.live))
        earlier = CatalogHistory(broker, partial(map_run, roots=roots), recipe)
        served = serve(watching.live, catalog=earlier, suggesting=suggesting, **page)
        closing.callback(served.close)
        console.print(escape(f"waiting for runs in {catalog}"))
        _announce(served.url, interrupted.set)
        interrupted.wait()


def _watch_finished(
    names: list[str],
    catalog: str | None,
    recipe_name: str | None,
    settings: dict[str, Any],
    roots: list[Path],
    page: dict[str, Any],
) -> None:
    """Map runs of the catalogue and show them; the first one named is shown first."""
    from stxm_live.adaptive.chooser import RegionChooser
    from stxm_live.dashboard import Board, CatalogHistory, serve
    from stxm_live.io.catalog.reading import find_run
    from stxm_live.live.replay import map_run, stacks_of_runs

    interrupted = threading.Event()
    with opened(catalog, roots=roots) as broker:
        found = {str(run.start["uid"]): run for run in (find_run(broker, n) for n in names)}
        order = list(found)
        recipe = recipe_of(recipe_name, Which().stored(broker, order[0])).with_changes(settings)
        board = Board()
        with console.working(f"mapping run {', '.join(uid[:8] for uid in order)}"):
            stacks = stacks_of_runs(list(found.values()), fields=recipe.fields, roots=roots)
            for stack in sorted(stacks, key=lambda s: -order.index(s.key.run_uids[0])):
                try:
                    _show(stack, recipe, board)
                except ValueError as error:
                    if len(stacks) == 1:
                        raise
                    board.on_error(stack.key.run_uids[0], error)
        earlier = CatalogHistory(broker, partial(map_run, roots=roots), recipe)
        with RegionChooser() as suggesting:
            if board.now.newest is not None:
                suggesting.on_maps(board.now.newest.maps)
            served = serve(board, catalog=earlier, suggesting=suggesting, **page)
            try:
                _announce(served.url, interrupted.set)
                interrupted.wait()
            finally:
                served.close()


def _show(stack: Stack, recipe: Recipe, board: Board) -> None:
    """Map a stack and show it; without references, explore it."""
    from stxm_live.phase_mapping.exploration import explore_stack
    from stxm_live.phase_mapping.workflow import map_phases

    if recipe.references is None:
        board.on_exploration(explore_stack(stack, recipe))
    else:
        board.on_maps(map_phases(stack, recipe))


def _announce(url: str, stop: Callable[[], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop())
    console.print(escape(f"open {url}"))
