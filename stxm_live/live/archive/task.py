"""The one function that maps a run of many, wherever it is called."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.recipe import Recipe
from stxm_live.core.stack import StackKey
from stxm_live.io.file_lock import only_one
from stxm_live.io.results.run_row import failed_row, run_row
from stxm_live.live.archive.kept import Row, keep_rows, kept_rows
from stxm_live.live.archive.source import Source
from stxm_live.phase_mapping.latent_space.bundle import BundleError
from stxm_live.phase_mapping.latent_space.model import LatentModel, load_model
from stxm_live.phase_mapping.workflow import map_phases

_WAIT_S = 3600.0
"""Seconds to wait for another process that maps the same run."""

Finish = Callable[[PhaseMaps, Path], list[Path]]
"""Writes a result into a folder, and returns its files."""


@dataclass(frozen=True)
class Task:
    """A source to map, the recipe to do it with, and where the results go.

    Parameters
    ----------
    source : Source
    recipe : str
        Folder of `kept_recipe`.
    out : str
        Folder of all results.
    key : str
        See `key_of`.
    """

    source: Source
    recipe: str
    out: str
    key: str

    @property
    def folder(self) -> Path:
        """Return the folder of the results."""
        return Path(self.out) / self.source.name

    def values(self) -> dict[str, Any]:
        """Return the task as JSON has it."""
        return asdict(self)

    @classmethod
    def of_values(cls, values: Mapping[str, Any]) -> Task:
        """Return the task of `values`."""
        return cls(**{**values, "source": Source.of_values(values["source"])})


def run_task(values: Mapping[str, Any], finish: Finish) -> list[Row]:
    """Map the stacks of a source unless that is done, and return a row of the table for each.

    An error of one source is a row, too. Two processes with the same task wait for each other, and
    the second one finds the first one's result.

    Parameters
    ----------
    values : mapping
        `Task.values`.
    finish : callable
        ``finish(maps, folder)`` writes the result and returns its files.
    """
    task = Task.of_values(values)
    begun_s = time.monotonic()
    try:
        task.folder.mkdir(parents=True, exist_ok=True)
        lock = task.folder / ".lock"
        with only_one(lock, f"the result in {task.folder}", _WAIT_S):
            rows = kept_rows(task.folder, task.key)
            if rows is not None:
                return rows
            rows = _mapped(task, finish)
            for row in rows:
                row["seconds"] = round((time.monotonic() - begun_s) / len(rows), 2)
            if all(row["outcome"] == "mapped" for row in rows):
                keep_rows(task.folder, task.key, rows)
            return rows
    except Exception as error:  # noqa: BLE001  one damaged run of a thousand is a row of the table
        return [failed_row(error, task.source.facts, places=task.source.places)]


def _mapped(task: Task, finish: Finish) -> list[Row]:
    recipe = _recipe(task.recipe)
    stacks = task.source.stacks(recipe.fields)
    rows = []
    for stack in stacks:
        folder = task.folder if len(stacks) == 1 else task.folder / _choice(stack.key)
        try:
            maps = map_phases(stack, recipe, model=_model(task.recipe))
            files = [path.relative_to(folder).as_posix() for path in finish(maps, folder)]
            result = folder.relative_to(task.out).as_posix()
            places = task.source.places
            rows.append(run_row(maps, task.source.facts, places=places, result=result, files=files))
        except Exception as error:  # noqa: BLE001  the other stacks of the run go on
            rows.append(
                failed_row(error, task.source.facts, places=task.source.places, key=stack.key)
            )
    return rows


def _choice(key: StackKey) -> str:
    """Return a name for the folder of one of several stacks."""
    text = "-".join(filter(None, (key.region, key.polarization)))
    plain = "".join(c if c.isalnum() and c.isascii() else "-" for c in text)
    return f"region-{plain[:60]}"


@lru_cache(maxsize=2)
def _recipe(folder: str) -> Recipe:
    return Recipe.load(folder)


@lru_cache(maxsize=2)
def _model(folder: str) -> LatentModel | None:
    """Return the recipe's model, loaded once in a process; None lets `map_phases` say why not."""
    try:
        return load_model(_recipe(folder))
    except BundleError:
        return None
