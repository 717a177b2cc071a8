"""Results that are kept in a folder, and the files that say by what they were made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from stxm_live.core.json_values import json_clean
from stxm_live.core.recipe import Recipe
from stxm_live.core.recipe_saving import save_recipe
from stxm_live.core.whole_file import whole_file
from stxm_live.live.archive.source import Source
from stxm_live.phase_mapping.latent_space.bundle import Bundle, BundleError

NOTE = "done.json"
"""Written last: a folder without it is not done."""

VERSION = 1
"""Version of these files."""

Row = dict[str, Any]


def kept_recipe(recipe: Recipe, out: Path) -> Path:
    """Write a recipe with its files beside the results, and return its folder.

    All workers read this copy: a reference file that is changed meanwhile changes nothing.
    """
    folder = out / f"recipe-{recipe.fingerprint[:12]}"
    if not (folder / "recipe.toml").is_file():
        save_recipe(recipe, folder)
    return folder


def made_by(recipe: Recipe) -> str:
    """Return a hash of all that decides the maps besides the images: recipe, bundle, version."""
    try:
        model = "none" if recipe.model is None else Bundle.load(recipe.model).sha256
    except (BundleError, OSError, ValueError) as error:
        model = f"none: {type(error).__name__}"
    parts = [str(VERSION), recipe.fingerprint, model, version("stxm-live")]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def key_of(source: Source, made: str) -> str:
    """Return a hash that differs if another result is to be expected."""
    choice = [source.region, source.polarization, source.detector, source.quantity]
    parts = json.dumps([made, *source.places, source.state, *choice])
    return hashlib.sha256(parts.encode()).hexdigest()


def kept_rows(folder: Path, key: str) -> list[Row] | None:
    """Return the rows of a result that is done; None if it is to be made."""
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(note, dict) or note.get("version") != VERSION or note.get("key") != key:
        return None
    rows: list[Row] = note["rows"]
    is_there = all(
        (folder.parent / row["result"] / name).is_file() for row in rows for name in row["files"]
    )
    return rows if rows and is_there else None


def keep_rows(folder: Path, key: str, rows: list[Row]) -> None:
    """Note that a result is done."""
    note: Mapping[str, Any] = {"version": VERSION, "key": key, "rows": rows}
    with whole_file(folder / NOTE) as unfinished:
        unfinished.write_text(json.dumps(json_clean(note), allow_nan=False), encoding="utf-8")
