"""Memory of a map beside the stack, in cubes of the stack as float32, in a process of its own.

    python -m benchmarks.speed.memory [--side 512]

A small stack is mapped first, so that packages and the encoder are there. The peak is that of the
process (VmHWM, Linux), which counts what the C library keeps for later; "arrays" is the peak of
what Python's own count of its allocations has, in a run of its own.
"""

from __future__ import annotations

import ctypes
import gc
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.common.figures import (
    Figure,
    Target,
    benchmark_parser,
    write_figures,
)
from stxm_live.core.recipe import Recipe
from stxm_live.core.stack import Stack
from stxm_live.phase_mapping.latent_space.model import load_model
from stxm_live.phase_mapping.workflow import map_phases
from stxm_live.sim.phantom import STATES_OF_CHARGE, make_particle, od_cube

MOST_CUBES = 4.0


def main() -> None:
    """Print peak and rest of a map and of its amounts."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--side", type=int, default=512, help="pixels along each side")
    parser.add_argument("--count", choices=["process", "arrays"], help="measure here")
    arguments = parser.parse_args()
    if arguments.count:
        measure = of_process if arguments.count == "process" else of_arrays
        print(*measure(arguments.side))
        return
    table = Table("cubes beside the stack", "map, peak", "with amounts, peak", "kept")
    figures = []
    for count in ("process", "arrays"):
        command = [sys.executable, "-m", "benchmarks.speed.memory", "--count", count]
        done = subprocess.run(
            [*command, "--side", str(arguments.side)], capture_output=True, text=True, check=True
        )
        peaks = [float(text) for text in done.stdout.split()]
        table.add_row(count, *(f"{peak:.1f}" for peak in peaks))
        name = f"memory of a map, 13 x {arguments.side} x {arguments.side}, {count}"
        figures.append(Figure(name, max(peaks[:2]), "cubes", target=Target(MOST_CUBES)))
    Console().print(table)
    write_figures(arguments.figures, figures)


def of_process(side: int) -> list[float]:
    """Return the peak of a map, that with its amounts, and what is kept, of the whole process."""
    stack, recipe, model, cube_mib = prepared(side)
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # begin a new peak
    before = status_mib("VmRSS")
    maps = map_phases(stack, recipe, model=model)
    peak = status_mib("VmHWM")
    maps.to_xarray()
    found = peak, status_mib("VmHWM"), status_mib("VmRSS")
    return [round((mib - before) / cube_mib, 2) for mib in found]


def of_arrays(side: int) -> list[float]:
    """Return the same of what Python allocates."""
    stack, recipe, model, cube_mib = prepared(side)
    tracemalloc.start()
    maps = map_phases(stack, recipe, model=model)
    peak = tracemalloc.get_traced_memory()[1]
    maps.to_xarray()
    kept, later = tracemalloc.get_traced_memory()
    return [round(n / 2**20 / cube_mib, 2) for n in (peak, later, kept)]


def prepared(side: int) -> tuple[Stack, Recipe, object, float]:
    """Return a stack, what maps it, and the size of a cube in MiB, after a small map."""
    recipe = Recipe.load("nvpf")
    model = load_model(recipe)
    map_phases(particle(64, recipe), recipe, model=model).to_xarray()
    stack = particle(side, recipe)
    gc.collect()
    return stack, recipe, model, 4 * len(stack.frames) * side**2 / 2**20


def particle(side: int, recipe: Recipe) -> Stack:
    """Return a stack of a particle with 2000 photons for a pixel of the support."""
    rng = np.random.default_rng(1)
    weights = STATES_OF_CHARGE["Na2VPF"]
    made = make_particle((side, side), phase_weights=weights, rng=rng)
    od = od_cube(made, recipe.reference_spectra, recipe.energies_ev)
    counts = np.stack([rng.poisson(2000 * np.exp(-one)).astype(np.float32) for one in od])
    return Stack.from_arrays(counts, recipe.energies_ev)


def status_mib(name: str) -> float:
    """Return a line of the process's status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024


if __name__ == "__main__":
    main()
