"""Whether further energies do what the advice promises of them.

    python -m benchmarks.accuracy.dose_promises [--photons 300 1000 3000] [--seeds 1 3]

Synthetic particles at five states of charge. After the first energy, and after the minimum set, the
share of labels that is expected wrong with all energies, beside what is expected and what is wrong
when all have been measured (means over particles, in percent).
"""

from __future__ import annotations

from itertools import product

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.accuracy.dose import Scan, scan_of
from benchmarks.common.figures import Beside, Figure, benchmark_parser, write_figures
from stxm_live import Frame, Recipe, Stack, StackScan
from stxm_live.adaptive.energies import Advice, advise, minimum_set
from stxm_live.live.cube import cube_view
from stxm_live.sim.phantom import STATES_OF_CHARGE

COLUMNS = ("first: promised", "minimum: now", "minimum: promised", "all: expected", "all: wrong")


def main() -> None:
    """Print a line for each photon number."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--photons", nargs="+", type=float, default=[300, 1000, 3000])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 3])
    parser.add_argument("--side", type=int, default=128)
    arguments = parser.parse_args()
    recipe = Recipe.load("nvpf").with_changes({"model": None})
    table = Table("photons", *COLUMNS)
    figures: list[Figure] = []
    for photons in arguments.photons:
        rows = [
            promises(scan_of(recipe, state, photons, seed, arguments.side))
            for state, seed in product(STATES_OF_CHARGE, arguments.seeds)
        ]
        found = [100 * float(mean) for mean in np.mean(rows, axis=0)]
        table.add_row(f"{photons:g}", *(f"{percent:.1f}" for percent in found))
        name = f"labels wrong with all energies, {photons:g} photons"
        figures.append(Figure(name, found[4], "%", Beside("promised by the minimum", found[2])))
    Console(width=120).print(table)
    write_figures(arguments.figures, figures)


def promises(scan: Scan) -> tuple[float, ...]:
    """One number for each column."""
    energies = scan.energies_ev
    first = advice_after(scan, energies[:1])
    minimum = advice_after(scan, minimum_set(energies, scan.recipe))
    every = advice_after(scan, energies)
    wrong = 1 - scan.score(energies).accuracy
    return (
        1 - first.most_certainty,
        1 - minimum.certainty,
        1 - minimum.most_certainty,
        1 - every.certainty,
        wrong,
    )


def advice_after(scan: Scan, measured_ev: tuple[float, ...]) -> Advice:
    """The advice when these energies have been measured, in any order."""
    announced = Stack.from_arrays(scan.counts(), scan.energies_ev)
    plan = StackScan(**(announced.scan.model_dump() | {"skipping": "any-order"}))
    frames: tuple[Frame, ...] = tuple(f for f in announced.frames if f.energy_ev in measured_ev)
    key = announced.key._replace(run_uids=("simulated",))
    view = cube_view(Stack(key, plan, frames, finished=False), frames[-1], scan.recipe)
    assert view is not None
    return advise(view, scan.recipe, ())


if __name__ == "__main__":
    main()
