"""Save a recipe with the files that it names, and find these again where they were moved to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

from stxm_live.core.recipe import Recipe, shipped_recipes
from stxm_live.core.whole_file import whole_file

if TYPE_CHECKING:
    from stxm_live.core.phase_maps import PhaseMaps

_FILES = {
    ("references",): "references",
    ("i0", "spectrum"): "i0",
    ("specimen", "mask"): "mask",
    ("alignment", "shifts"): "shifts",
}
"""Values that name a file, and the name of its copy."""


def save_recipe(recipe: Recipe, folder: str | Path) -> Path:
    """Write ``recipe.toml`` and copies of the files that it names, and return its path.

    Values that are the default are left out. The folder of a trained bundle is not copied; its
    path stays as it is.

    Raises
    ------
    OSError
        If the folder cannot be written, or a file that the recipe names is gone.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    values = recipe.model_dump(mode="json", exclude_defaults=True)
    for place, name in _FILES.items():
        *tables, last = place
        table: dict[str, Any] = values
        for key in tables:
            table = table.get(key, {})
        if table.get(last) is not None:
            source = Path(table[last])
            table[last] = f"{name}{source.suffix}"
            if source.resolve() != (folder / table[last]).resolve():
                content = source.read_bytes()
                with whole_file(folder / table[last]) as unfinished:
                    unfinished.write_bytes(content)
    path = folder / "recipe.toml"
    with whole_file(path) as unfinished:
        unfinished.write_text("\n".join(_lines(values)) + "\n", encoding="utf-8")
    return path


def with_saved_recipe(maps: PhaseMaps, folder: str | Path) -> PhaseMaps:
    """Save the recipe of a result with its files, and return the result with the saved recipe.

    The files of a mask that was drawn, or of images that were moved by hand, are gone with the page
    that wrote them; those of the saved recipe stay. A result without a recipe is returned as it is,
    and one whose files are gone gets a warning.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    values = maps.provenance.get("recipe_values")
    if not values:
        return maps
    try:
        saved = Recipe.load(save_recipe(Recipe.from_values(values), folder))
    except FileNotFoundError as error:
        note = f"the recipe is not stored with this result: {error.filename} is gone"
        return replace(maps, warnings=(*maps.warnings, note))
    values = saved.model_dump(mode="json")
    return replace(maps, provenance={**maps.provenance, "recipe_values": values})


def moved_recipe_files(values: Mapping[str, Any], folder: Path | None) -> dict[str, Any]:
    """Return the values of a stored recipe with the files that are gone where they are now.

    A result that was stored on another machine, or in a folder that was moved since, names files by
    paths of then. They are looked for in the package's own recipes, and in ``recipes`` of the
    catalogue's folder.

    Parameters
    ----------
    values : mapping
        ``recipe_values`` of a result's provenance; it stays as it is.
    folder : path, optional
        The catalogue's folder.
    """
    package = next(iter(shipped_recipes().values())).parents[2]
    homes = {"recipes": folder, f"{package.name}/recipes": package.parent}
    moved: dict[str, Any] = json.loads(json.dumps(values))
    for *tables, last in (*_FILES, ("model",)):
        table = moved
        for key in tables:
            table = table.get(key) or {}
        stored = table.get(last)
        if stored is not None and not Path(stored).exists():
            parts = PureWindowsPath(stored).parts  # of either kind of path
            for below, home in homes.items():
                n = len(below.split("/")) + 2
                here = None if home is None else home.joinpath(*parts[-n:])
                if here is not None and "/".join(parts[-n:-2]) == below and here.exists():
                    table[last] = str(here)
    return moved


def _lines(values: Mapping[str, Any], table: str = "") -> Iterator[str]:
    """Yield the lines of a TOML table; its sub-tables follow its own values."""
    inner = {key: value for key, value in values.items() if isinstance(value, dict)}
    for key, value in values.items():
        if key not in inner and value is not None:
            # texts, numbers, truth values and lists of these are written alike in JSON and TOML
            yield f"{_key(key)} = {json.dumps(value, ensure_ascii=False)}"
    for key, value in inner.items():
        name = f"{table}.{_key(key)}" if table else _key(key)
        if value:
            yield ""
            yield f"[{name}]"
            yield from _lines(value, name)


def _key(name: str) -> str:
    return name if name.replace("_", "").isalnum() and name.isascii() else json.dumps(name)
