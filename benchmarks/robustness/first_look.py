"""What a first look at a stack without references costs the session, beside a map of it.

    python -m benchmarks.robustness.first_look [--pixels 256]

A synthetic particle of 13 energies is explored on a thread, and mapped on another one afterwards.
Meanwhile the main thread looks at the clock every millisecond, as the RunEngine would look for what
is next: the longest time between two looks is what a scan would wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from threading import Thread
from typing import Any

import numpy as np

from benchmarks.common.figures import Beside, Figure, Target, benchmark_parser, report
from stxm_live import Recipe, Stack, map_phases
from stxm_live.live.preparation import prepare
from stxm_live.phase_mapping.exploration import explore_stack
from stxm_live.sim.phantom import STATES_OF_CHARGE, make_particle, od_cube

MOST_MS = 100.0
"""A callback that blocks for longer can make a suspender miss a beam dump."""


def simulated_stack(recipe: Recipe, n: int) -> Stack:
    """Measure a particle of all phases with 1000 photons a pixel."""
    rng = np.random.default_rng(1)
    particle = make_particle((n, n), phase_weights=STATES_OF_CHARGE["Na2VPF"], rng=rng)
    od = od_cube(particle, recipe.reference_spectra, recipe.energies_ev)
    return Stack.from_arrays(rng.poisson(1000 * np.exp(-od)).astype(np.float32), recipe.energies_ev)


def meanwhile(work: Callable[[], Any]) -> tuple[float, float]:
    """Return the longest time between two looks at the clock in ms, and that of the work in s."""
    thread, longest = Thread(target=work), 0.0
    thread.start()
    begun = last = time.perf_counter()
    while thread.is_alive():
        time.sleep(0.001)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    return 1000 * longest, last - begun


def main() -> None:
    """Print the longest wait and the time of both."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--pixels", type=int, default=256)
    arguments = parser.parse_args()
    recipe, blank = Recipe.load("nvpf").with_changes({"model": None}), Recipe.load("first-look")
    stack = simulated_stack(recipe, arguments.pixels)
    for each in (recipe, blank):
        prepare(each)
    explored, mapped = (
        meanwhile(partial(work, stack, each))
        for work, each in ((explore_stack, blank), (map_phases, recipe))
    )
    size = f"{arguments.pixels} x {arguments.pixels} x {len(stack.frames)}"
    figures = [
        Figure(
            f"longest wait of another thread, {size}",
            explored[0],
            "ms",
            Beside("while it is mapped", mapped[0]),
            Target(MOST_MS),
        ),
        Figure(f"time of a first look, {size}", explored[1], "s", Beside("of a map", mapped[1])),
    ]
    report("first look", figures, arguments.figures)


if __name__ == "__main__":
    main()
