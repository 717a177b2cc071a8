"""Spectra for a training from runs of the catalogue, the simulator, or both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.cli.output import console
from stxm_live.cli.run_options import opened
from stxm_live.core.recipe import Recipe


class Gathered(NamedTuple):
    """Spectra (n_spectra, n_energies) with their labels and groups.

    ``labels`` are the true phases if all are simulated, ``groups`` the run of each spectrum if
    all are measured.
    """

    od: NDArray[np.float32]
    labels: NDArray[np.integer] | None
    groups: NDArray[np.integer] | None
    note: str


def gathered(
    recipe: Recipe,
    runs: Sequence[str],
    *,
    simulated: int,
    per_run: int,
    seed: int,
    catalog: str | None,
    roots: Sequence[Path] = (),
) -> Gathered:
    """Return the spectra of runs, followed by the simulated ones."""
    measured = _measured(runs, recipe, per_run, catalog, roots) if runs else []
    sizes = [len(part) for part in measured]
    notes = [f"{sum(sizes)} spectra of {len(runs)} runs"] if runs else []
    parts, labels = list(measured), None
    if simulated:
        od, labels = _simulated(recipe, simulated, seed)
        parts.append(od)
        notes.append(f"{simulated} simulated spectra of the recipe's references")
    return Gathered(
        np.concatenate(parts),
        None if runs else labels,
        None if simulated else np.repeat(np.arange(len(sizes)), sizes),
        " and ".join(notes),
    )


def _simulated(
    recipe: Recipe, n_spectra: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    from stxm_live.gmvae import recipe_energies_ev, simulated_spectra

    od, labels, _ = simulated_spectra(
        recipe.reference_spectra,
        recipe_energies_ev(recipe),
        n_spectra,
        np.random.default_rng(seed),
    )
    return od, labels


def _measured(
    runs: Sequence[str],
    recipe: Recipe,
    per_run: int,
    catalog: str | None,
    roots: Sequence[Path],
) -> list[NDArray[np.float32]]:
    """Return spectra of the specimen pixels of each run, with one run in memory at a time."""
    without_model = recipe.with_changes({"model": None, "energy_fit": False})
    with opened(catalog, roots=roots) as broker:
        return [_of_run(broker, run, without_model, per_run, roots) for run in runs]


def _of_run(
    broker: object, run: str, recipe: Recipe, per_run: int, roots: Sequence[Path]
) -> NDArray[np.float32]:
    """Return at most ``per_run`` spectra, evenly spread over the specimen."""
    from stxm_live.io.catalog.reading import find_run
    from stxm_live.live.replay import map_run

    maps = map_run(find_run(broker, run), recipe, roots=roots)
    whole = np.isfinite(maps.od).all(axis=0)
    pixels = np.flatnonzero(maps.specimen & maps.valid & whole)
    chosen = evenly(pixels, per_run)
    taken = f"{len(chosen)} of " if len(chosen) < len(pixels) else ""
    console.print(f"run {run}: {taken}{len(pixels)} spectra")
    return np.ascontiguousarray(maps.od.reshape(len(maps.od), -1)[:, chosen].T)


def evenly(rows: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """Return at most ``most`` of the rows, evenly spread.

    Examples
    --------
    >>> evenly(np.arange(10, 17), 3)
    array([10, 13, 16])
    """
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).round().astype(np.intp)]
