"""How long each step of a resolver takes, for 512 x 512 pixels and the shipped recipe.

    python -m benchmarks.accuracy.resolver [--side 512] [--rounds 5]

Smallest of several rounds: seconds by the clock, and of all cores together. The spectra are
simulated; every pixel is mapped.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.common.figures import Beside, Figure, benchmark_parser, write_figures
from stxm_live import Recipe
from stxm_live.phase_mapping.latent_space.model import load_model
from stxm_live.phase_mapping.likelihood import fit_references
from stxm_live.phase_mapping.mixtures import fit_mixtures
from stxm_live.phase_mapping.phase_frequencies import by_frequencies
from stxm_live.phase_mapping.spatial_prior import potts_mixed


def main() -> None:
    """Print seconds per step, and what the two spatial priors add to the encoder."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    table = Table("step", "clock", "cores")
    found = measured(arguments.side, arguments.rounds)
    for name, seconds in found.items():
        table.add_row(name, *(f"{value:.3f}" for value in seconds))
    Console().print(table)
    beside = Beside("encoder", found["encoder"][0])
    figures = [
        Figure(f"resolving by {name}", found[name][0], "s", beside)
        for name in ("likelihood, none", "likelihood, potts")
    ]
    write_figures(arguments.figures, figures)


def measured(side: int, rounds: int) -> dict[str, NDArray[np.float64]]:
    """Seconds of each step, by the clock and of the cores."""
    recipe = Recipe.load("nvpf")
    model = load_model(recipe)
    references = recipe.reference_spectra.at(recipe.energies_ev or ())
    rng = np.random.default_rng(0)
    labels = (np.arange(side * side) // (side * 40)) % len(references)
    expected = 4.0 * references[labels].T * rng.uniform(0.2, 1.5, side * side)
    counts = rng.poisson(2000 * np.exp(-expected)).clip(1).astype(np.float32)
    od = np.log(np.float32(2000) / counts)
    mask = np.ones((side, side), dtype=bool)
    seconds: dict[str, NDArray[np.float64]] = {}

    def timed(name: str, step: Callable[[], Any]) -> Any:
        times = []
        for _ in range(rounds):
            start = time.perf_counter(), time.process_time()
            result = step()
            times.append(np.subtract((time.perf_counter(), time.process_time()), start))
        seconds[name] = np.min(times, axis=0)
        return result

    fit = timed("fit_references", lambda: fit_references(od, counts, references))
    mixtures = timed(
        "fit_mixtures",
        lambda: fit_mixtures(od, counts, references, dispersion=fit.dispersion).hypotheses,
    )
    timed("encoder", lambda: model.encode(np.ascontiguousarray(od.T)))
    timed("by_frequencies", lambda: by_frequencies(mixtures))
    timed("potts_mixed", lambda: potts_mixed(mixtures, mask))
    alone, neighbors = seconds["by_frequencies"], seconds["potts_mixed"]
    likelihood = seconds["fit_references"] + seconds["fit_mixtures"]
    seconds["likelihood, none"] = likelihood + alone
    seconds["likelihood, potts"] = likelihood + neighbors
    return seconds


if __name__ == "__main__":
    main()
