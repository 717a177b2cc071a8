"""A result read from a catalogue, as `PhaseMaps` that can be changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from stxm_live.core.amounts import Amounts
from stxm_live.core.map_dataset import NUMBERS
from stxm_live.core.map_products import PRODUCTS
from stxm_live.core.mixed_reference import stored_mixtures
from stxm_live.core.phase_maps import PhaseMaps, Quality
from stxm_live.core.stack import StackKey
from stxm_live.core.twins import stored_twins

if TYPE_CHECKING:
    import xarray


def maps_of(dataset: xarray.Dataset) -> PhaseMaps:
    """Return a stored result as `PhaseMaps`, complete but without images to map again."""
    attributes = dataset.attrs
    provenance = json.loads(attributes["provenance"])
    x, y = dataset["x"].values, dataset["y"].values
    quality = _quality(str(attributes["quality"]))
    products: dict[str, Any] = {
        name: np.array(dataset[name].values) for name in PRODUCTS if name in dataset
    }
    numbers: dict[str, Any] = {
        name: float(attributes[name]) for name in ("dwell_ms", *NUMBERS) if name in attributes
    }
    return PhaseMaps(
        key=StackKey(
            tuple(attributes["run_uids"]),
            str(attributes["region"]),
            str(attributes["polarization"]),
            str(attributes.get("source", "")),
        ),
        status=attributes["status"],
        revision=int(attributes["revision"]),
        phase_names=tuple(map(str, dataset["phase"].values)),
        energies_ev=tuple(map(float, dataset["energy_ev"].values)),
        extent_um=(float(x[0]), float(x[-1]), float(y[0]), float(y[-1])),
        quality=quality,
        mixed_references=stored_mixtures(attributes),
        twins=stored_twins(attributes),
        synthetic_references=bool(attributes["synthetic_references"]),
        colors=(provenance.get("recipe_values") or {}).get("colors") or {},
        warnings=tuple(map(str, attributes["warnings"])),
        provenance=provenance,
        find_amounts=partial(Amounts.stored, dataset),
        **products,
        **numbers,
    )


def _quality(text: str) -> Quality:
    """Return a verdict that was stored as text; a good one has nothing but its cause."""
    verdict, _, rest = text.partition(": ")
    if verdict == "good":
        return Quality("good", rest, "", "")
    cause, _, rest = rest.partition("; ")
    consequence, _, action = rest.partition(". ")
    return Quality(verdict, cause, consequence, action)  # type: ignore[arg-type]


class Remake:
    """The function behind `PhaseMaps.redo` of a stored result; its first call maps the raw runs.

    Parameters
    ----------
    stored : PhaseMaps
    from_raw : callable
        Returns the same result with its images.
    """

    def __init__(self, stored: PhaseMaps, from_raw: Callable[[], PhaseMaps]) -> None:
        self._stored, self._from_raw = stored, from_raw
        self._mapped: PhaseMaps | None = None

    def __call__(self, changes: Mapping[str, Any]) -> PhaseMaps:
        """Return maps of the raw runs with changes."""
        if self._mapped is None:
            self._mapped = self._from_raw()
        made = self._mapped.redo(changes)
        differing = [n for n in self._mapped.differences(self._stored) if n in PRODUCTS]
        if not differing:
            return made
        note = (
            f"mapped again without changes, this run differs from its stored result in "
            f"{', '.join(differing)}: some differences do not come from the changes"
        )
        return replace(made, warnings=(note, *made.warnings))
