"""The command ``stxm-live``."""

from __future__ import annotations

from typing import Annotated

import typer

from stxm_live.cli import catalog, figures, importing, recipes, references, stacks
from stxm_live.cli.check import check
from stxm_live.cli.compare import compare
from stxm_live.cli.demo import demo
from stxm_live.cli.explore import explore
from stxm_live.cli.export import export
from stxm_live.cli.ioc import ioc
from stxm_live.cli.output import console
from stxm_live.cli.plain_types import PlainTypes
from stxm_live.cli.plugins import plugins
from stxm_live.cli.regions import regions
from stxm_live.cli.serve import serve
from stxm_live.cli.watch import watch

app = typer.Typer(
    name="stxm-live",
    cls=PlainTypes,
    help="Phase and ambiguity maps of X-ray microscope stacks, live in Bluesky and from files.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.command()(demo)
app.command()(ioc)
app.command("map")(stacks.map_stack)
app.command(context_settings={"ignore_unknown_options": True})(explore)
app.command("import")(importing.import_stacks)
# -1 is a run, not an option
app.command(context_settings={"ignore_unknown_options": True})(stacks.replay)
app.command(context_settings={"ignore_unknown_options": True})(compare)
app.command("runs")(stacks.list_catalog)
app.command(context_settings={"ignore_unknown_options": True})(check)
app.command()(serve)
app.command(context_settings={"ignore_unknown_options": True})(watch)
app.command(context_settings={"ignore_unknown_options": True})(recipes.train)
app.command(context_settings={"ignore_unknown_options": True})(figures.figures)
app.command(context_settings={"ignore_unknown_options": True})(export)
app.command(context_settings={"ignore_unknown_options": True})(regions)
app.command()(figures.diagnose)
app.command()(references.references)
app.command("choose-energies")(references.choose_energies)
app.command()(plugins)
app.add_typer(recipes.app, name="recipe")
app.add_typer(catalog.app, name="catalog")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"stxm-live {version('stxm-live')}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Exit codes: 0 done, 1 failed (one line gives the reason), 2 wrong usage, 3 a poor map.

    A map of an incomplete stack ends with 3, too.
    """
    console.quiet = False
