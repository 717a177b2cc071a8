"""Options of commands about runs and stacks, and what they stand for."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from stxm_live.cli.errors import UsageError
from stxm_live.cli.output import console
from stxm_live.core.recipe import Recipe

if TYPE_CHECKING:
    from stxm_live.io.catalog import Broker

CatalogOption = Annotated[
    str | None,
    typer.Option(
        "--catalog",
        "-c",
        help="Folder of the catalogue, address of a Tiled server (its key in TILED_API_KEY), or a "
        "profile of Tiled; default: your data folder.",
    ),
]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", "-s", help="Change the recipe, e.g. resolver.method=mahalanobis. Repeatable."
    ),
]
RegionOption = Annotated[
    str | None, typer.Option(help="Region, if there are several; without it the error lists them.")
]
PolarizationOption = Annotated[
    str | None,
    typer.Option(help="Polarization, if a run has several; without it the error lists them."),
]
RootsOption = Annotated[
    list[Path] | None,
    typer.Option("--root", help="Folder from which a run's image files may be read. Repeatable."),
]
DetectorOption = Annotated[
    str | None,
    typer.Option(help="Detector, if a file has several; without it the error lists them."),
]
QuantityOption = Annotated[
    str | None,
    typer.Option(
        help="What the numbers are: counts, rate, transmission, od or yield; by default what the "
        "file says."
    ),
]
I0Option = Annotated[
    str | None,
    typer.Option(
        help="I0: a spectrum (FILE or FILE@COLUMN), a point scan or a stack of an empty field; "
        "default: the empty region of the images."
    ),
]
MaskOption = Annotated[Path | None, typer.Option(help="Specimen mask: .msk, .npy or .png.")]


class Which(NamedTuple):
    """The stack of a run to use, and the folders from which its image files may be read."""

    region: str | None = None
    polarization: str | None = None
    roots: Sequence[Path] | None = None

    def stored(self, broker: Broker, uid: str) -> Any:
        """Return the stored result of the stack, an xarray.Dataset, or None."""
        from stxm_live.io.catalog import load_maps

        try:
            return load_maps(broker, uid, region=self.region, polarization=self.polarization)
        except KeyError:
            return None

    @property
    def options(self) -> dict[str, Any]:
        """Return the options for `map_run` and `stack_of_run`."""
        return {**self._asdict(), "roots": tuple(self.roots or ())}


def names_file(name: str) -> bool:
    """Return True for a file, also one that is not there: the name of a run has no suffix.

    Examples
    --------
    >>> [names_file(one) for one in ("stack.hdr", "3f2a91", "-1")]
    [True, False, False]
    """
    return bool(Path(name).suffix) or Path(name).is_file()


def names_files(names: Sequence[str]) -> bool:
    """Return True if there are files, folders or patterns among names of runs.

    Examples
    --------
    >>> [names_files([one]) for one in ("stack.hdr", "e*", "3f2a91", "-1")]
    [True, True, False, False]
    """
    return any(
        names_file(one) or Path(one).exists() or any(sign in one for sign in "*?[/")
        for one in names
    )


@contextmanager
def opened(
    catalog: str | Path | None, *, create: bool = False, roots: Sequence[Path] | None = None
) -> Iterator[Broker]:
    """Open the catalogue and close it at the end; if it is missing, make it or raise an error."""
    from stxm_live.io.catalog.anywhere import open_anywhere
    from stxm_live.io.catalog.folder import catalog_folder, close_catalog, damage_named

    with console.working("opening the catalogue (some seconds)"):
        broker = open_anywhere(catalog, create=create, image_roots=roots or ())
    try:
        with damage_named(catalog_folder(broker)):
            yield broker
    finally:
        close_catalog(broker)


def parse_settings(settings: Sequence[str] | None, option: str = "--set") -> dict[str, Any]:
    """Return ``["a.b=1"]`` as ``{"a.b": 1}``; a value that is not TOML is taken as text.

    Examples
    --------
    >>> parse_settings(["resolver.method=pearson", "min_correlation=0.8"])
    {'resolver.method': 'pearson', 'min_correlation': 0.8}
    """
    changes: dict[str, Any] = {}
    for setting in settings or ():
        name, sign, value = setting.partition("=")
        if not sign or not name.strip():
            raise UsageError(f"{option} {setting}: expected name=value")
        try:
            changes[name.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            changes[name.strip()] = value.strip()
    return changes


def recipe_of(name: str | None, stored: Any) -> Recipe:
    """Return the recipe of that name, else the one of a stored result, else nvpf."""
    if name is None and stored is not None:
        return Recipe.from_values(json.loads(stored.attrs["provenance"])["recipe_values"])
    return Recipe.load("nvpf" if name is None else name)


def runs_and_recipe(
    broker: Broker,
    runs: Sequence[str],
    recipe: str | None,
    changes: Mapping[str, Any],
    which: Which,
) -> tuple[list[Any], Recipe]:
    """Return runs of the catalogue, and the recipe to map them with, as `recipe_of` the first."""
    from stxm_live.io.catalog.reading import find_run

    found = [find_run(broker, run) for run in runs]
    stored = None if recipe else which.stored(broker, str(found[0].start["uid"]))
    return found, recipe_of(recipe, stored).with_changes(changes)
