"""Earlier runs of a catalogue, to be shown beside the one that is measured."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from stxm_live.phase_maps import PRODUCTS, PhaseMaps, Quality
from stxm_live.recipe import Recipe
from stxm_live.stack import StackKey

if TYPE_CHECKING:
    import databroker
    import xarray

MOST_RUNS = 40

_NUMBERS = (
    *("dwell_ms", "dispersion"),
    *("energy_offset_ev", "energy_offset_std_ev", "energy_width_ev", "energy_width_std_ev"),
)


class History(Protocol):
    """Where earlier results come from; both methods may take seconds and run on a thread."""

    def runs(self) -> Sequence[tuple[str, str]]:
        """Uid and a line in words of each run with a result, the latest first."""
        ...

    def maps(self, uid: str) -> PhaseMaps:
        """The result of a run."""
        ...


class CatalogHistory:
    """The runs in a catalogue.

    Parameters
    ----------
    catalog : path or databroker.Broker
        A folder is opened when it is first asked for, which takes seconds.
    map_run : callable, optional
        `stxm_live.map_run`: makes a stored result again from its raw runs, to change it.
    recipe : Recipe, optional
        Maps runs without a stored result, for which ``map_run`` is needed too; without it they
        are not listed.

    Examples
    --------
    >>> from stxm_live import map_run
    >>> serve(live, catalog=CatalogHistory("runs", map_run, live.recipe))  # doctest: +SKIP
    """

    def __init__(
        self,
        catalog: str | Path | databroker.Broker,
        map_run: Callable[..., PhaseMaps] | None = None,
        recipe: Recipe | None = None,
    ) -> None:
        self._catalog = catalog
        self._map_run = map_run
        self._recipe = recipe
        self._broker: databroker.Broker | None = None
        self._lock = threading.Lock()

    def runs(self) -> list[tuple[str, str]]:
        """Uid and a line in words of each stack, the latest first."""
        from stxm_live.catalog import list_runs

        with self._lock:
            summaries = list_runs(self._opened(), limit=MOST_RUNS)
        lines = []
        for run in summaries:
            if run.scan is None or not (run.has_maps or (self._map_run and self._recipe)):
                continue
            n, ny, nx = run.scan.shape
            when = time.strftime("%d %b %H:%M", time.localtime(run.time_s))
            number = "" if run.scan_id is None else f", scan {run.scan_id}"
            ended = "" if run.exit_status == "success" else f", {run.exit_status or 'no end'}"
            lines.append(
                (run.uid, f"{when}{number} ({run.uid[:8]}): {n} energies, {nx} x {ny}{ended}")
            )
        return lines

    def maps(self, uid: str) -> PhaseMaps:
        """The result stored of a run; made anew where there is none and one knows how."""
        from stxm_live.catalog import load_maps

        with self._lock:
            broker = self._opened()
            try:
                stored = maps_of(load_maps(broker, uid))
            except KeyError as error:
                if self._map_run is None or self._recipe is None:
                    raise ValueError(str(error.args[0])) from error
                return self._map_run(broker[uid], self._recipe)
        if self._map_run is None:
            return stored
        return replace(stored, remake=Remake(stored, partial(self._from_raw, stored)))

    def close(self) -> None:
        """Close the catalogue, if this object opened it."""
        from stxm_live.catalog import close_catalog

        with self._lock:
            if self._broker is not None and self._broker is not self._catalog:
                close_catalog(self._broker)
            self._broker = None

    def _from_raw(self, stored: PhaseMaps) -> PhaseMaps:
        """A stored result mapped again with its recipe: now it has its images."""
        assert self._map_run is not None
        recipe = Recipe.from_values(stored.provenance["recipe_values"])
        with self._lock:
            broker = self._opened()
            missing = [uid[:8] for uid in stored.key.run_uids if uid not in broker.v2]
            if missing:
                raise ValueError(
                    f"the catalogue has the result but not the images of run {', '.join(missing)}; "
                    "it can be compared, not changed"
                )
            return self._map_run(
                [broker[uid] for uid in stored.key.run_uids],
                recipe,
                region=stored.key.region,
                polarization=stored.key.polarization,
            )

    def _opened(self) -> databroker.Broker:
        from stxm_live.catalog import open_catalog

        if self._broker is None:
            is_folder = isinstance(self._catalog, str | Path)
            self._broker = open_catalog(self._catalog, create=False) if is_folder else self._catalog
        return self._broker


class Remake:
    """What `PhaseMaps.redo` calls for a stored result: its raw runs are mapped the first time.

    Parameters
    ----------
    stored : PhaseMaps
    from_raw : callable
        The same result with its images.
    """

    def __init__(self, stored: PhaseMaps, from_raw: Callable[[], PhaseMaps]) -> None:
        self._stored, self._from_raw = stored, from_raw
        self._mapped: PhaseMaps | None = None

    def __call__(self, changes: Mapping[str, Any]) -> PhaseMaps:
        """Maps of the raw runs with changes."""
        if self._mapped is None:
            self._mapped = self._from_raw()
        made = self._mapped.redo(changes)
        differing = [n for n in self._mapped.differences(self._stored) if n in PRODUCTS]
        if not differing:
            return made
        note = (
            f"mapped again without changes, this run differs from its stored result in "
            f"{', '.join(differing)}: not all that is new comes from the changes"
        )
        return replace(made, warnings=(note, *made.warnings))


def maps_of(dataset: xarray.Dataset) -> PhaseMaps:
    """A stored result as `PhaseMaps`; it shows all, and has no images to be made again from."""
    attributes = dataset.attrs
    provenance = json.loads(attributes["provenance"])
    x, y = dataset["x"].values, dataset["y"].values
    verdict, _, rest = str(attributes["quality"]).partition(": ")
    cause, _, rest = rest.partition("; ")
    consequence, _, action = rest.partition(". ")
    products: dict[str, Any] = {
        name: np.array(dataset[name].values) for name in PRODUCTS if name in dataset
    }
    numbers: dict[str, Any] = {n: float(attributes[n]) for n in _NUMBERS if n in attributes}
    return PhaseMaps(
        key=StackKey(
            tuple(attributes["run_uids"]),
            str(attributes["region"]),
            str(attributes["polarization"]),
        ),
        status=attributes["status"],
        revision=int(attributes["revision"]),
        phase_names=tuple(map(str, dataset["phase"].values)),
        energies_ev=tuple(map(float, dataset["energy_ev"].values)),
        extent_um=(float(x[0]), float(x[-1]), float(y[0]), float(y[-1])),
        quality=Quality(verdict, cause, consequence, action),  # type: ignore[arg-type]
        synthetic_references=bool(attributes["synthetic_references"]),
        colors=(provenance.get("recipe_values") or {}).get("colors") or {},
        warnings=tuple(map(str, attributes["warnings"])),
        provenance=provenance,
        **products,
        **numbers,
    )
