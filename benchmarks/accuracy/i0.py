"""Whether I0 and the specimen are found in fields of view that make it hard.

    python -m benchmarks.accuracy.i0 [--side 128] [--seeds 2] [--json FILE]

Synthetic: 13 images without drift of fields whose truth is known (`simulated_fields`), seen
by a counter of unknown gain. For each way of finding I0 the worst error over energies and
particles beside the true one, and the worst overlap (intersection over union) of the specimen
with the true one; ``none`` where no I0 is given and there is one, ``error`` where it has to be.

brightest 5 %: mean of the brightest twentieth of the pixels of the averaged image, specimen where
the mean OD is above 0.05. Otsu: threshold_otsu of scikit-image on the averaged -ln I.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from simulated_fields import CASES, field_of_view
from skimage.filters import threshold_otsu

from stxm_live import Recipe
from stxm_live.preprocessing.detector import usable_intensity
from stxm_live.preprocessing.i0 import mean_over, stack_field

PHOTONS = (100, 300, 1000, 10_000)
GAIN = 2.5
Found = tuple[NDArray[np.float64], NDArray[np.bool_]]


def ours(counts: NDArray[np.float32], recipe: Recipe) -> Found:
    """As `map_phases` does it."""
    references = recipe.corrected_references.at(recipe.energies_ev or ())
    field = stack_field(np.log(counts), references, recipe)
    return mean_over(counts, field.empty), field.specimen


def brightest(counts: NDArray[np.float32], recipe: Recipe) -> Found:
    """The brightest twentieth of the averaged image."""
    mean = counts.mean(axis=0)
    i0 = mean_over(counts, mean > np.nanpercentile(mean, 95))
    od = np.mean(np.log(i0)) - np.log(counts).mean(axis=0)
    return i0, od > 0.05


def otsu(counts: NDArray[np.float32], recipe: Recipe) -> Found:
    """Two classes of the averaged -ln I."""
    mean_log = -np.log(counts).mean(axis=0)
    specimen = mean_log > threshold_otsu(mean_log[np.isfinite(mean_log)])
    return mean_over(counts, ~specimen & np.isfinite(mean_log)), specimen


METHODS: dict[str, Callable[[NDArray[np.float32], Recipe], Found]] = {
    "stxm_live": ours,
    "brightest 5 %": brightest,
    "Otsu": otsu,
}


def main() -> None:
    """Print one row per case and photon number."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=2, help="particles per case")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    arguments = parser.parse_args()
    titles = [f"{name}: {what}" for name in METHODS for what in ("I0 error %", "overlap")]
    table = Table("case", "photons", *titles, title="worst I0 error in %, worst overlap")
    figures = {}
    for case in CASES:
        for photons in PHOTONS:
            row = scores(case, photons, arguments.side, arguments.seeds)
            figures[f"{case} {photons}"] = row
            table.add_row(case, f"{photons}", *row)
        table.add_section()
    Console(width=120).print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))


def scores(case: str, photons: float, side: int, n_seeds: int) -> list[str]:
    """Worst error and overlap of every method, as text."""
    recipe = Recipe.load("nvpf")
    i0 = photons * GAIN * np.linspace(1.05, 0.95, len(recipe.energies_ev or ()))
    worst: dict[str, list[tuple[float, float] | None]] = {name: [] for name in METHODS}
    for seed in range(n_seeds):
        rng = np.random.default_rng(seed)
        view = field_of_view(
            case, recipe.reference_spectra, recipe.energies_ev or (), side=side, rng=rng
        )
        counts, _ = usable_intensity(view.counts(i0, rng, gain=GAIN))
        for name, method in METHODS.items():
            try:
                found, specimen = method(counts, recipe)
            except ValueError:
                worst[name].append(None)
                continue
            error = 100 * float(np.abs(found / (i0 * view.level) - 1).max())
            known = np.isfinite(counts).all(axis=0)
            both = (specimen & view.specimen & known).sum()
            overlap = both / ((specimen | view.specimen) & known).sum()
            worst[name].append((error, float(overlap)))
    return [text for name in METHODS for text in _worst(worst[name], case)]


def _worst(results: list[tuple[float, float] | None], case: str) -> tuple[str, str]:
    found = [result for result in results if result is not None]
    if len(found) < len(results):
        return ("error" if case == "fills the field" and not found else "none", "")
    errors, overlaps = zip(*found, strict=True)
    return (f"{max(errors):.2f}", f"{min(overlaps):.3f}")


if __name__ == "__main__":
    main()
