"""Many runs on two workers beside one, and what a result costs of the time.

    python -m benchmarks.speed.archive [--runs 200] [--side 256]

Every worker is a process of Dask with one thread for linear algebra, also the single one. The
start of the workers is not counted: the first four tasks are done before.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.common.figures import (
    Beside,
    Figure,
    Target,
    benchmark_parser,
    write_figures,
)
from stxm_live.cli.archive import tasks_of, write_result
from stxm_live.core.recipe import Recipe
from stxm_live.core.stack import Stack
from stxm_live.io.files import write_ncb
from stxm_live.live.archive.choice import sources_of_files
from stxm_live.live.archive.workers import on_dask
from stxm_live.sim.phantom import STATES_OF_CHARGE, make_particle, od_cube

TIMES_FASTER = 1.7


def main() -> None:
    """Print the time of one worker and of two."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--side", type=int, default=256, help="pixels along each side")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    table = Table("workers", "s", "stacks per minute")
    seconds = []
    with TemporaryDirectory() as folder:
        files = write_stacks(Path(folder), arguments.runs, arguments.side)
        for n_workers in (1, 2):
            seconds.append(duration_s(files, Path(folder) / f"out{n_workers}", n_workers))
            per_minute = 60 * arguments.runs / seconds[-1]
            table.add_row(str(n_workers), f"{seconds[-1]:.1f}", f"{per_minute:.1f}")
    Console().print(table)
    one, two = seconds
    figure = Figure(
        f"{arguments.runs} stacks of 13 x {arguments.side} x {arguments.side} on one worker",
        one,
        "s",
        Beside("on two", two),
        Target(TIMES_FASTER, of="ratio"),
        larger_is_better=True,
    )
    write_figures(arguments.figures, [figure])


def write_stacks(folder: Path, n_stacks: int, side: int) -> list[Path]:
    """Write one particle with other noise in each file."""
    recipe = Recipe.load("nvpf")
    rng = np.random.default_rng(1)
    weights = STATES_OF_CHARGE["Na2VPF"]
    particle = make_particle((side, side), phase_weights=weights, rng=rng)
    od = od_cube(particle, recipe.reference_spectra, recipe.energies_ev)
    files = []
    for k in range(n_stacks + 4):
        counts = rng.poisson(2000 * np.exp(-od)).astype(np.float32)
        files.append(folder / f"{k:04d}.ncb")
        write_ncb(files[-1], Stack.from_arrays(counts, recipe.energies_ev))
    return files


def duration_s(files: list[Path], out: Path, n_workers: int) -> float:
    """Return the seconds from the fifth result to the last."""
    out.mkdir()
    tasks = tasks_of(sources_of_files(files), Recipe.load("nvpf"), out)
    begun = 0.0
    for k, (_, rows) in enumerate(on_dask(tasks, write_result, n_workers, None)):
        assert rows[0]["outcome"] == "mapped", rows
        if k == 3:
            begun = time.monotonic()
    return time.monotonic() - begun


if __name__ == "__main__":
    main()
