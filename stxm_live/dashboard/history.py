"""Earlier runs of a catalogue, to show beside the run that is being measured."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.recipe import Recipe
from stxm_live.core.recipe_saving import with_saved_recipe
from stxm_live.dashboard.stored_maps import Remake, maps_of
from stxm_live.io.documents.announced import announced

if TYPE_CHECKING:
    from stxm_live.io.catalog import Broker

MOST_RUNS = 40


class History(Protocol):
    """A source of earlier results; both methods may take seconds and run on a thread."""

    def runs(self) -> Sequence[tuple[str, str]]:
        """Return uid and description of each run with a result, the latest first."""
        ...

    def maps(self, uid: str) -> Sequence[PhaseMaps]:
        """Return the results of a run, one for each stack."""
        ...


class CatalogHistory:
    """The runs in a catalogue.

    Parameters
    ----------
    catalog : path or databroker.Broker
        A folder is opened at the first request, which takes seconds.
    map_run : callable, optional
        `stxm_live.map_run`, to compute a stored result again from its raw runs with changes.
    recipe : Recipe, optional
        Recipe for runs without a stored result, which also need ``map_run``; without it those
        runs are not listed.
    image_roots : sequence of path
        Folders of image files, as for `open_catalog`.

    Examples
    --------
    >>> from stxm_live import map_run
    >>> serve(live, catalog=CatalogHistory("runs", map_run, live.recipe))  # doctest: +SKIP
    """

    def __init__(
        self,
        catalog: str | Path | Broker,
        map_run: Callable[..., PhaseMaps] | None = None,
        recipe: Recipe | None = None,
        *,
        image_roots: Sequence[str | Path] = (),
    ) -> None:
        self._catalog = catalog
        self._map_run = map_run
        self._recipe = recipe
        self._image_roots = tuple(image_roots)
        self._broker: Broker | None = None
        self._lock = threading.Lock()

    def runs(self) -> list[tuple[str, str]]:
        """Return uid and description of each run, the latest first."""
        from stxm_live.io.catalog import list_runs

        with self._lock:
            summaries = list_runs(self._opened(), limit=MOST_RUNS)
        lines = []
        for run in summaries:
            if run.scan is None or not (run.has_maps or (self._map_run and self._recipe)):
                continue
            n, ny, nx = run.scan.shape
            number = "" if run.scan_id is None else f", scan {run.scan_id}"
            of = run.origin.sample or run.origin.file
            named = f"{of}, " if of else ""
            ended = "" if run.exit_status == "success" else f", {run.exit_status or 'no end'}"
            lines.append(
                (
                    run.uid,
                    f"{named}{run.origin.when or '?'}{number} ({run.uid[:8]}): "
                    f"{n} energies, {nx} x {ny}{ended}",
                )
            )
        return lines

    def maps(self, uid: str) -> list[PhaseMaps]:
        """Return the stored result of each stack; computed from the raw runs if there is none.

        Raises
        ------
        ValueError
            If there is no stored result and it cannot be computed.
        """
        found, problems = [], []
        with self._lock:
            broker = self._opened()
            for which in _stacks_of(broker, uid):
                try:
                    found.append(self._of_stack(broker, uid, which))
                except ValueError as error:
                    problems.append(error)
        if not found:
            raise problems[0]
        return found

    def _of_stack(self, broker: Broker, uid: str, which: Mapping[str, str]) -> PhaseMaps:
        from stxm_live.io.catalog import load_maps

        try:
            stored = maps_of(load_maps(broker, uid, **which))
        except KeyError as error:
            if self._map_run is None or self._recipe is None:
                raise ValueError(str(error.args[0])) from error
            return self._map_run(broker[uid], self._recipe, **which)
        if self._map_run is None:
            return stored
        return replace(stored, remake=Remake(stored, partial(self._from_raw, stored)))

    def store(self, maps: PhaseMaps, folder: str | Path) -> str:
        """Store a result in the catalogue, and return its uid.

        The files that its recipe names are copied to ``recipes`` in the catalogue's folder, or to
        ``folder`` if the catalogue is on a server.
        """
        from stxm_live.io.catalog import store_maps
        from stxm_live.io.catalog.folder import catalog_folder

        with self._lock:
            broker = self._opened()
            own = catalog_folder(broker)
            recipes = Path(folder) if own is None else own / "recipes"
            name = str(maps.provenance.get("recipe_sha256", ""))[:12]
            return store_maps(broker, with_saved_recipe(maps, recipes / name))

    def close(self) -> None:
        """Close the catalogue, if this object opened it."""
        from stxm_live.io.catalog import close_catalog

        with self._lock:
            if self._broker is not None and self._broker is not self._catalog:
                close_catalog(self._broker)
            self._broker = None

    def map_again(self, maps: PhaseMaps, changes: Mapping[str, Any]) -> PhaseMaps:
        """Return maps of the raw runs of a result with changes, of the alignment too.

        Raises
        ------
        ValueError
            If there is no ``map_run``, or the catalogue does not have the images.
        """
        if self._map_run is None:
            raise ValueError("images are aligned anew by map_run: CatalogHistory(runs, map_run)")
        recipe = Recipe.from_values(maps.provenance["recipe_values"]).with_changes(changes)
        return self._from_raw(maps, recipe)

    def _from_raw(self, stored: PhaseMaps, changed: Recipe | None = None) -> PhaseMaps:
        """Map a result again with its recipe, or a changed one, so that it has its images."""
        assert self._map_run is not None
        recipe = changed or Recipe.from_values(stored.provenance["recipe_values"])
        with self._lock:
            broker = self._opened()
            missing = [uid[:8] for uid in stored.key.run_uids if uid not in broker.v2]
            if missing:
                raise ValueError(
                    f"the catalogue has the result but not the images of run {', '.join(missing)}; "
                    "the result can be compared but not changed"
                )
            return self._map_run(
                [broker[uid] for uid in stored.key.run_uids],
                recipe,
                region=stored.key.region,
                polarization=stored.key.polarization,
            )

    def _opened(self) -> Broker:
        from stxm_live.io.catalog import open_catalog

        if self._broker is None and isinstance(self._catalog, str | Path):
            roots = self._image_roots
            self._broker = open_catalog(self._catalog, image_roots=roots, create=False)
        elif self._broker is None:
            self._broker = self._catalog
        return self._broker


def _stacks_of(broker: Broker, uid: str) -> list[dict[str, str]]:
    """Return region and polarization of each stack of a run; empty for a single stack."""
    if uid not in broker.v2:
        return [{}]
    try:
        scans = [stack.scan for stack in announced(broker.v2[uid].metadata["start"]).stacks]
    except ValueError:  # described by its events only, which is one stack
        return [{}]
    if len(scans) == 1:
        return [{}]
    return [{"region": scan.region, "polarization": scan.polarization} for scan in scans]
