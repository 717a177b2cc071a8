"""The command ``serve``, which makes maps in a process of its own."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from stxm_live.cli.errors import one_line_errors
from stxm_live.cli.output import console
from stxm_live.cli.priority import let_the_scan_go_first
from stxm_live.cli.run_options import CatalogOption, RootsOption, SettingsOption, parse_settings
from stxm_live.core.recipe import Recipe

if TYPE_CHECKING:
    from stxm_live.core.phase_maps import PhaseMaps


@one_line_errors
def serve(
    zmq: Annotated[str, typer.Option("--zmq", help="Address at which the proxy sends documents.")],
    results: Annotated[
        str, typer.Option(help="Address at which other programs get the maps.")
    ] = "127.0.0.1:5579",
    recipe: Annotated[str, typer.Option(help="A TOML file or a shipped name.")] = "nvpf",
    catalog: CatalogOption = None,
    changes: SettingsOption = None,
    roots: RootsOption = None,
    allow_network: Annotated[
        bool,
        typer.Option("--allow-network", help="Accept addresses other than this machine's own."),
    ] = False,
) -> None:
    """Map the runs of a RunEngine in another process, until interrupted.

    Example: stxm-live serve --zmq 127.0.0.1:5578 --catalog runs
    """
    from stxm_live.io.catalog import default_folder
    from stxm_live.io.catalog.anywhere import folder_only
    from stxm_live.live.remote import Server
    from stxm_live.live.remote.server import END_S

    let_the_scan_go_first()
    chosen = Recipe.load(recipe).with_changes(parse_settings(changes))
    folder = (folder_only(catalog) or default_folder()).expanduser().absolute()
    server = Server(
        chosen,
        raw=zmq,
        maps=results,
        catalog=folder,
        roots=roots or (),
        allow_network=allow_network,
    )
    server.live.add_sink(
        on_maps=_print_maps,
        on_error=_print_error,
        on_exploration=lambda found: console.print(escape(str(found))),
    )

    def end(*_: object) -> None:
        server.stop()
        _end_within(2 * END_S, 1)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    console.print(escape(f"mapping the runs from {zmq}; maps are sent at {results}"))
    try:
        server.run()
    finally:
        server.close()
        _end_within(2.0, 0)  # Python would wait until a catalogue that is being opened is open


def _print_maps(maps: PhaseMaps) -> None:
    console.print(escape(f"{maps.key}: {maps.status}, revision {maps.revision}; {maps.quality}"))


def _print_error(uid: str, error: Exception) -> None:
    console.print(escape(f"run {uid[:8]}: {error}"))


def _end_within(seconds: float, status: int) -> None:
    """End this process after a time, whatever a disk or a library holds."""
    last = threading.Timer(seconds, os._exit, [status])
    last.daemon = True
    last.start()
