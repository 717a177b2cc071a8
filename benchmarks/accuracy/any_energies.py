"""Maps of scans that lack lines, images or energies, beside the maps of the whole scan.

    python -m benchmarks.accuracy.any_energies [--seeds 3] [--photons 1000]

Own stacks (not those of `stxm_live.sim`): the five shipped phases in domains of a round specimen of
uneven thickness, drift of a pixel between the images. What is lost is a line of each image, a
third of one image, a tenth of the rows of each image, or all energies after the first n.

Of each the share of right labels, what the probabilities promise of it, how much more that is in
the mean over the specimens with its standard error, and the share of the specimen without a label.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, shift

from benchmarks.common.figures import Beside, Figure, Target, benchmark_parser, report
from stxm_live import Recipe, Stack, map_phases

SIDE = 90
Lose = Callable[[NDArray[np.float32], np.random.Generator], None]


def _line_of_each(counts: NDArray[np.float32], rng: np.random.Generator) -> None:
    counts[np.arange(len(counts)), rng.integers(15, 75, len(counts))] = 0


def _third_of_one(counts: NDArray[np.float32], rng: np.random.Generator) -> None:
    counts[6, 60:] = np.nan


def _tenth_of_rows(counts: NDArray[np.float32], rng: np.random.Generator) -> None:
    for image in counts:
        image[rng.random(SIDE) < 0.1] = np.nan


LOST: dict[str, Lose] = {
    "one line of each image": _line_of_each,
    "one image after 60 of 90 lines": _third_of_one,
    "10 % of the rows": _tenth_of_rows,
}
ENDED = (2, 3, 4, 5, 6, 8, 10, 12)


class World(NamedTuple):
    """Counts (n_energies, ny, nx) of a specimen whose phases (ny, nx) are known, -1 beside it."""

    counts: NDArray[np.float32]
    phase: NDArray[np.intp]
    drift_px: NDArray[np.float64]


def world(seed: int, photons: float, recipe: Recipe) -> World:
    """A specimen that drifts while it is scanned."""
    rng = np.random.default_rng(seed)
    references = recipe.corrected_references.at(recipe.energies_ev or ())
    y, x = (np.indices((SIDE, SIDE)) - SIDE / 2) / (0.36 * SIDE)
    specimen = y**2 + x**2 < 1
    smooth = [gaussian_filter(rng.normal(size=(SIDE, SIDE)), 4) for _ in references]
    phase = np.argmax(smooth, axis=0)
    thickness = 2 * specimen * (1 + gaussian_filter(rng.normal(size=(SIDE, SIDE)), 3))
    clean = photons * np.exp(-references[phase].transpose(2, 0, 1) * thickness)
    drift = rng.normal(size=(len(clean), 2))
    pairs = zip(clean, drift, strict=True)
    moved = [shift(image, by, order=3, mode="nearest") for image, by in pairs]
    counts = rng.poisson(np.clip(moved, 0.1, None)).astype(np.float32)
    return World(counts, np.where(specimen, phase, -1), drift)


def scores(stack: Stack, truth: World, recipe: Recipe) -> tuple[float, float, float]:
    """Share without a label, share of right labels, and what is promised of it."""
    maps = map_phases(stack, recipe, quick=True)
    assert maps.resolved_index is not None
    assert maps.wrong_probability is not None
    anchor = list(recipe.energies_ev or ()).index(maps.provenance["anchor_ev"])
    phase = np.roll(truth.phase, np.round(truth.drift_px[anchor]).astype(int), (0, 1))
    inside, labelled = phase >= 0, maps.resolved_index >= 0
    both = inside & labelled
    right = float((maps.resolved_index == phase)[both].mean())
    promised = 1 - float(maps.wrong_probability[both].mean())
    return float((~labelled)[inside].mean()), right, promised


def main() -> None:
    """Print a table and, where asked for, write the key figures."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--photons", type=float, default=1000)
    options = parser.parse_args()
    recipe = Recipe.load("nvpf")
    found: dict[str, list[tuple[float, float, float]]] = {}
    for seed in range(options.seeds):
        truth, rng = world(seed, options.photons, recipe), np.random.default_rng(seed)
        energies_ev = recipe.energies_ev or ()
        whole = Stack.from_arrays(truth.counts, energies_ev)
        found.setdefault("whole", []).append(scores(whole, truth, recipe))
        for name, lose in LOST.items():
            counts = truth.counts.copy()
            lose(counts, rng)
            stack = Stack.from_arrays(counts, energies_ev)
            found.setdefault(name, []).append(scores(stack, truth, recipe))
        for n in ENDED:
            stack = replace(whole, frames=whole.frames[:n], finished=False)
            found.setdefault(f"ended after {n}", []).append(scores(stack, truth, recipe))
    figures = []
    for name, of_seeds in found.items():
        unlabelled, right, promised = (float(v) for v in np.mean(of_seeds, axis=0))
        difference = np.array([each[2] - each[1] for each in of_seeds])
        error = difference.std() / np.sqrt(max(len(difference) - 1, 1))
        note = (
            f"promised {promised:.3f}, {difference.mean():+.3f} +- {error:.3f} more; "
            f"without a label {100 * unlabelled:.1f} %"
        )
        beside = Beside("whole", float(np.mean(found["whole"], axis=0)[1]))
        target = Target(-0.005, "difference") if name == "one line of each image" else None
        figures.append(
            Figure(
                f"right labels: {name}",
                right,
                beside=beside,
                target=target,
                larger_is_better=True,
                note=note,
            )
        )
    report("maps of what was measured", figures, options.figures)


if __name__ == "__main__":
    main()
