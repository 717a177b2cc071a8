"""The command ``plugins``: a list and a check of what other packages add."""

from __future__ import annotations

import typer
from rich.markup import escape

from stxm_live.cli.errors import one_line_errors
from stxm_live.cli.output import console
from stxm_live.core import plugins as core


@one_line_errors
def plugins() -> None:
    """List all file formats, document shapes and criteria; fail if a plug-in is broken.

    Example: stxm-live plugins
    """
    problems = [_print_kind(kind, own) for kind, own in _own_names().items()]
    if any(problems):
        raise typer.Exit(1)


def _own_names() -> dict[core.Kind, list[str]]:
    """Return the names that stxm_live has without any plug-in."""
    from stxm_live.adaptive.regions.criteria import CRITERIA, OD_2018
    from stxm_live.io.documents.announced import OWN_SHAPES
    from stxm_live.io.files.reading import OWN_SUFFIXES

    return {
        "reader": list(OWN_SUFFIXES),
        "document shape": list(OWN_SHAPES),
        "criterion": [*CRITERIA, OD_2018],
    }


def _print_kind(kind: core.Kind, own: list[str]) -> int:
    """Print the plug-ins of one kind; return the number of those that do not work."""
    console.print(f"[bold]{kind}[/] ({core.GROUPS[kind]})")
    console.print(f"  of stxm_live: {escape(', '.join(own))}")
    n_broken = 0
    for plugin in core.plugins(kind).values():
        try:
            plugin.function()
        except core.PluginError as error:
            n_broken += 1
            console.print(f"  [red]{escape(str(error))}[/]")
        else:
            console.print(f"  {escape(plugin.name)} of {escape(plugin.package)}")
    return n_broken
