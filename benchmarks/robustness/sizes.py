"""A long session: runs of many sizes, mapped and stored, and what the process holds afterwards.

    python -m benchmarks.robustness.sizes [--runs 200] [--seed 0]

Small images of a simulated particle (synthetic) on 16 to 128 pixels; some are too small to be
mapped. Memory is compared between the middle and the end: at the beginning the results of eight
stacks are kept, and libraries are imported.
"""

from __future__ import annotations

import logging
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
from growth import Memory, documents, small_counts

from benchmarks.common.figures import Figure, Target, benchmark_parser, report
from stxm_live import LivePhaseMapper, Recipe
from stxm_live.io.catalog import RawWriter, close_catalog, open_catalog

SIDES = (16, 24, 40, 64, 96, 128)


def session(n_runs: int, seed: int) -> list[Memory]:
    """Map and store runs of random sizes; return what is held after each tenth of them."""
    recipe = Recipe.load("nvpf")
    cube, rng = small_counts(recipe), np.random.default_rng(seed)
    memories = []
    with tempfile.TemporaryDirectory() as folder, LivePhaseMapper(recipe) as live:
        broker = open_catalog(Path(folder) / "catalogue")
        writer = RawWriter(broker)
        for n in range(1, n_runs + 1):
            places = np.linspace(0, cube.shape[1] - 1, int(rng.choice(SIDES))).astype(int)
            uid = ""
            for name, doc in documents(recipe, cube[:, places][:, :, places]):
                uid = uid or doc["uid"]
                writer(name, doc)
                live(name, doc)
            with suppress(ValueError):  # too small
                live.wait(uid, timeout_s=120)
            writer.wait(uid, 120)
            if n % max(1, n_runs // 10) == 0:
                memories.append(Memory.now(n))
                print(memories[-1], flush=True)
        writer.close()
        close_catalog(broker)
    return memories


def main() -> None:
    """Print how memory, threads and open files changed in the second half."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="of the sizes")
    arguments = parser.parse_args()
    logging.getLogger("stxm_live").setLevel(logging.CRITICAL)
    memories = session(arguments.runs, arguments.seed)
    middle, end = memories[len(memories) // 2 - 1], memories[-1]
    note = f"runs {middle.n_images} to {end.n_images}"
    figures = [
        Figure(
            "growth of memory", end.rss_mib - middle.rss_mib, "MiB", target=Target(20), note=note
        ),
        Figure("more threads", end.n_threads - middle.n_threads, target=Target(0), note=note),
        Figure("more open files", end.n_files - middle.n_files, target=Target(0), note=note),
    ]
    report("a long session", figures, arguments.figures)


if __name__ == "__main__":
    main()
