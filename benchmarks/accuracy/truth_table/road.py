"""Scans that went the whole way: drifting, aligned, with I0 and specimen as the package finds them.

Particles of `stxm_live.sim`, whose lamellae are not marked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.truth_table.ways import Answer, Known
from benchmarks.common.documents import scanned_counts
from stxm_live import PhaseMaps, Recipe, Stack, map_phases
from stxm_live.phase_mapping.correlation import best_two
from stxm_live.sim.instrument import SimulatedMicroscope
from stxm_live.sim.microscope import Beam
from stxm_live.sim.truth import true_index

WAYS: dict[str, dict[str, Any]] = {
    "paper: mahalanobis, pair": {"resolver.method": "mahalanobis"},
    "paper: mahalanobis, all": {
        "resolver.method": "mahalanobis",
        "resolver.candidates": "all",
    },
    "likelihood, none": {"resolver.method": "likelihood", "resolver.spatial": "none"},
    "likelihood, potts": {"resolver.method": "likelihood", "resolver.spatial": "potts"},
}


@dataclass(frozen=True, eq=False)
class MappedScan:
    """What `scores` asks of a scan; arrays over the mapped pixels whose phase is known."""

    truth: NDArray[np.int8]
    lamella_px: NDArray[np.int8]
    absent: NDArray[np.bool_]
    references: NDArray[np.float64]


def mapped_answers(
    recipe: Recipe, *, state: str, photons: float, seed: int, side: int
) -> tuple[Known, dict[str, Answer]]:
    """The maps of one scan, by way."""
    instrument = SimulatedMicroscope.with_particle(
        recipe.reference_spectra,
        rng=np.random.default_rng(1000 + seed),
        shape=(side, side),
        state_of_charge=state,
        beam=Beam(photons_per_pixel=photons),
    )
    energies = tuple(recipe.energies_ev or ())
    counts = scanned_counts(instrument, energies, side)
    stack = Stack.from_arrays(counts, energies, extent_um=instrument.specimen.extent_um)
    maps = map_phases(stack, recipe)
    truth = true_index(instrument, maps, energies)
    counted = (maps.phase_index >= 0) & (truth >= 0)
    n = int(counted.sum())
    scan = MappedScan(
        truth[counted], np.zeros(n, dtype=np.int8), np.zeros(n, dtype=bool), maps.reference_od
    )
    known = Known(scan, best_two(maps.correlation[:, counted]), maps.ambiguous[counted])  # type: ignore[arg-type]
    said = {"PCC": Answer(maps.phase_index[counted])}
    for name, changes in WAYS.items():
        said[name] = _answer(maps.redo(changes), counted, with_probability="paper" not in name)
    return known, said


def _answer(maps: PhaseMaps, counted: NDArray[np.bool_], *, with_probability: bool) -> Answer:
    assert maps.resolved_index is not None
    index = maps.resolved_index[counted]
    if not with_probability or maps.probability is None:
        return Answer(index)
    strange = None if maps.unidentified is None else maps.unidentified[counted]
    return Answer(index, maps.probability[:, counted], unidentified=strange)
