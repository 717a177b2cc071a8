"""Save a recipe with the files that it names, in a folder that can be moved."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stxm_live.core.recipe import Recipe

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
                shutil.copyfile(source, folder / table[last])
    path = folder / "recipe.toml"
    path.write_text("\n".join(_lines(values)) + "\n", encoding="utf-8")
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
