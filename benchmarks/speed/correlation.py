"""Correlation of every spectrum with every reference, beside plain numpy in one run.

    python -m benchmarks.speed.correlation [--side 512] [--repeats 7]

Synthetic counts. Ours are coefficients, reliability and ambiguity; numpy's the coefficients alone.
"""

from __future__ import annotations

import time
from statistics import median

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.documents import simulated_counts
from benchmarks.common.figures import Beside, Figure, Target, benchmark_parser, report
from stxm_live import Recipe
from stxm_live.phase_mapping.correlation import ambiguous, best_two, pearson, reliability


def main() -> None:
    """Print the times of both."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--side", type=int, default=512, help="pixels along each side")
    parser.add_argument("--repeats", type=int, default=7, help="the median counts")
    arguments = parser.parse_args()
    recipe = Recipe.load("nvpf")
    cube = simulated_counts(recipe, arguments.side)
    figures = [correlation_figure(recipe, cube, arguments.repeats)]
    report("correlation", figures, arguments.figures)


def correlation_figure(recipe: Recipe, cube: NDArray[np.float32], repeats: int) -> Figure:
    """PCC, R and ambiguity, and in turn a plain numpy PCC alone."""
    references = recipe.reference_spectra.at(recipe.energies_ev or ())
    spectra = -np.log(np.maximum(cube, 1)).reshape(len(cube), -1)
    ours, plain = [], []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        best = best_two(pearson(spectra, references))
        reliability(best)
        ambiguous(best, recipe.ambiguity_threshold)
        middle = time.perf_counter()
        plain_pearson(spectra, references)
        ours.append(middle - start)
        plain.append(time.perf_counter() - middle)
    return Figure(
        "PCC, R and ambiguity of every spectrum",
        1e3 * median(ours[1:]),
        "ms",
        Beside("plain numpy PCC", 1e3 * median(plain[1:])),
        Target(3, of="ratio"),
        note=f"{spectra.shape[1]} spectra",
    )


def plain_pearson(
    spectra: NDArray[np.float32], references: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What one writes in a notebook."""
    x = spectra - spectra.mean(axis=0)
    r = references - references.mean(axis=1, keepdims=True)
    return (r @ x) / np.linalg.norm(r, axis=1)[:, None] / np.linalg.norm(x, axis=0)


if __name__ == "__main__":
    main()
