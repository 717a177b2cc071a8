"""Which way to resolve the ambiguous pixels is right more often, where the truth is known.

    python benchmarks/truth.py [--side 160] [--seeds 3] [--json FILE]

Synthetic: particles at five states of charge, drifting a pixel per image, references matched.
Means over particles. Accuracy counts every mapped specimen pixel, balanced accuracy every phase
alike; ``expected`` is the accuracy that the probabilities promise. ``ambiguous share`` is that of
the specimen pixels, the same for every map.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from stxm_live import PhaseMaps, Recipe, Stack, map_phases
from stxm_live.latent import LatentModel, load_model
from stxm_live.sim.instrument import SimulatedMicroscope
from stxm_live.sim.microscope import Beam
from stxm_live.sim.phantom import STATES_OF_CHARGE
from stxm_live.sim.truth import true_index

PHOTONS = (300, 1000, 3000, 10_000)


def main() -> None:
    """Print a table per photon number."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=160)
    parser.add_argument("--seeds", type=int, default=3, help="particles per state of charge")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    arguments = parser.parse_args()
    recipe = Recipe.load("nvpf")
    model = load_model(recipe)
    table = Table(
        "photons", "map", "accuracy", "balanced", "ambiguous px", "expected", "ambiguous share"
    )
    figures = {}
    for photons in PHOTONS:
        scans = list(scored_scans(recipe, model, photons, arguments))
        for name in scans[0]:
            mean = np.mean([scan[name] for scan in scans], axis=0)
            figures[f"{photons} {name}"] = mean.tolist()
            table.add_row(f"{photons}", name, *("" if np.isnan(m) else f"{m:.3f}" for m in mean))
        table.add_section()
    Console(width=116).print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))


def scored_scans(
    recipe: Recipe, model: LatentModel, photons: float, arguments: argparse.Namespace
) -> Iterator[dict[str, NDArray[np.float64]]]:
    """For every particle, the figures of every map."""
    for state in STATES_OF_CHARGE:
        for seed in range(arguments.seeds):
            maps, truth = scanned(recipe, model, photons, state, seed, arguments.side)
            all_candidates = map_phases(
                maps[1], recipe.with_changes({"resolver.candidates": "all"}), model=model
            )
            yield scores(maps[0], all_candidates, truth)


def scanned(
    recipe: Recipe, model: LatentModel, photons: float, state: str, seed: int, side: int
) -> tuple[tuple[PhaseMaps, Stack], NDArray[np.int8]]:
    """Maps, frames and truth of one simulated scan."""
    instrument = SimulatedMicroscope.with_particle(
        recipe.reference_spectra,
        rng=np.random.default_rng(1000 + seed),
        shape=(side, side),
        state_of_charge=state,
        beam=Beam(photons_per_pixel=photons),
    )
    energies = recipe.energies_ev or ()
    x0, x1, y0, y1 = instrument.specimen.extent_um
    x, y = np.linspace(x0, x1, side), np.linspace(y0, y1, side)
    instrument.microscope.begin_stack()
    images = []
    for energy_ev in energies:
        instrument.microscope.begin_image()
        images.append(instrument.microscope.counts(energy_ev, x, y))
    stack = Stack.from_arrays(np.array(images), energies, extent_um=(x0, x1, y0, y1))
    maps = map_phases(stack, recipe, model=model)
    return (maps, stack), true_index(instrument, maps, energies)


def scores(
    maps: PhaseMaps, all_candidates: PhaseMaps, truth: NDArray[np.int8]
) -> dict[str, NDArray[np.float64]]:
    """Accuracy, balanced, on ambiguous pixels, expected, and the share of ambiguous pixels."""
    assert maps.probability is not None
    counted = (maps.phase_index >= 0) & (truth >= 0)
    indices = {
        "Pearson": maps.phase_index,
        "paper, nearest of the pair": maps.latent_index,
        "paper, nearest of all": all_candidates.latent_index,
        "likelihood + frequencies (default)": maps.probability.argmax(axis=0),
    }
    expected = {"likelihood + frequencies (default)": maps.probability.max(axis=0)[counted].mean()}
    result = {}
    for name, index in indices.items():
        right = index[counted] == truth[counted]
        per_phase = [right[truth[counted] == k].mean() for k in np.unique(truth[counted])]
        unclear = right[maps.ambiguous[counted]].mean()
        result[name] = np.array(
            [
                right.mean(),
                np.mean(per_phase),
                unclear,
                expected.get(name, np.nan),
                maps.ambiguous_share,
            ]
        )
    return result


if __name__ == "__main__":
    main()
