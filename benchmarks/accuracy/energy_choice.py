"""How right maps are with chosen energies, where the truth is known.

    python -m benchmarks.accuracy.energy_choice [--side 128] [--seeds 2] [--photons 1000]

Energies are chosen from the references alone, and scored on particles at five states of charge
(synthetic; counting noise, no drift, references matched but for a planted offset of the energy
axis). Mean and standard error over particles of the share of right labels in the likelihood map;
each particle has the same noise seed for every list. The lists: evenly spaced over the V and O
edges (512 to 535 eV, and 505 eV), the shipped thirteen, the best of these thirteen, and those of
`choose_energies` from the whole range, with its defaults (``chosen``) and others.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.common.figures import Beside, Figure, benchmark_parser, write_figures
from stxm_live import Recipe, ReferenceSpectra, Stack, map_phases
from stxm_live.adaptive.energies.cost import Conditions
from stxm_live.adaptive.energies.selection import Offer, choose_energies
from stxm_live.sim.phantom import STATES_OF_CHARGE, Particle, make_particle, od_cube

NUMBERS = (4, 6, 8, 13)
OFFSETS_EV = (0.0, 0.05, 0.1)
PRE_EDGE_EV = 505.0


def main() -> None:
    """Print a table: a line per list, a column per planted offset."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=2, help="particles per state of charge")
    parser.add_argument("--photons", type=float, default=1000)
    arguments = parser.parse_args()
    changes = {"model": None, "alignment.enabled": False, "energy_fit": False}
    recipe = Recipe.load("nvpf").with_changes(changes)
    particles = list(simulated_particles(recipe, arguments.side, arguments.seeds))
    table = Table("list", "n", *(f"offset {offset:g} eV" for offset in OFFSETS_EV), "energies (eV)")
    right_of: dict[tuple[str, int, float], float] = {}
    for name, energies in lists(recipe, arguments.photons):
        cells = []
        for offset in OFFSETS_EV:
            right = [
                accuracy(recipe, particle, energies, arguments.photons, offset)
                for particle in particles
            ]
            error = np.std(right, ddof=1) / np.sqrt(len(right))
            right_of[name, len(energies), offset] = float(np.mean(right))
            cells.append(f"{np.mean(right):.3f} ± {error:.3f}")
        table.add_row(name, f"{len(energies)}", *cells, " ".join(f"{e:g}" for e in energies))
    Console(width=170).print(table)
    write_figures(arguments.figures, list(choice_figures(right_of)))


def choice_figures(right_of: dict[tuple[str, int, float], float]) -> Iterator[Figure]:
    """Wrong labels with chosen energies, beside evenly spaced ones and the shipped thirteen."""
    for n, other, n_other in ((6, "even", 6), (8, "even", 8), (8, "shipped", 13)):
        wrong, beside = (
            100 * (1 - right_of[key]) for key in (("chosen", n, 0.0), (other, n_other, 0.0))
        )
        against = Beside(f"{n_other} {other}", beside)
        yield Figure(
            f"wrong labels, {n} chosen energies, beside {against.name}", wrong, "%", against
        )


def simulated_particles(recipe: Recipe, side: int, seeds: int) -> Iterator[Particle]:
    """Particles at the five states of charge."""
    for weights in STATES_OF_CHARGE.values():
        for seed in range(seeds):
            rng = np.random.default_rng(100 + seed)
            yield make_particle((side, side), phase_weights=weights, rng=rng)


def lists(recipe: Recipe, photons: float) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Names and energies of what is compared."""
    references = recipe.reference_spectra
    shipped = recipe.energies_ev or ()
    of_shipped = ReferenceSpectra(
        references.phase_names, np.array(shipped), references.at(shipped), references.synthetic
    )
    yield "shipped", shipped
    for n in NUMBERS:
        yield "even", (PRE_EDGE_EV, *np.linspace(512, 535, n - 1).round(1).tolist())
    kept = Offer(keep_ev=(PRE_EDGE_EV,))
    usual = Conditions(photons)
    for n in NUMBERS[:-1]:
        yield "of the shipped", choose_energies(of_shipped, n, usual, kept)
    for n in NUMBERS:
        yield "chosen", choose_energies(references, n, usual, kept)
    for axis_error_ev in (0.0, 0.05):
        conditions = Conditions(photons, axis_error_ev=axis_error_ev)
        for n in NUMBERS:
            chosen = choose_energies(references, n, conditions, kept)
            yield f"axis error {axis_error_ev:g}", chosen
    for step in (0.1, 0.2, 0.5):
        chosen = choose_energies(references, 13, usual, replace(kept, min_step_ev=step))
        yield f"step {step:g}", chosen
    no_constant = Conditions(photons, baseline="none")
    for n in NUMBERS:
        yield "no constant", choose_energies(references, n, no_constant, kept)
    for n in NUMBERS:
        yield "no pre-edge", choose_energies(references, n, usual)


def accuracy(
    recipe: Recipe,
    particle: Particle,
    energies_ev: tuple[float, ...],
    photons: float,
    offset_ev: float,
) -> float:
    """Share of right labels, of the mapped specimen pixels."""
    seed = zlib.crc32(particle.thickness_nm.tobytes())
    rng = np.random.default_rng(seed)
    od = od_cube(particle, recipe.reference_spectra, [e + offset_ev for e in energies_ev])
    counts: NDArray[np.float32] = rng.poisson(photons * np.exp(-od)).astype(np.float32)
    stack = Stack.from_arrays(counts, energies_ev)
    maps = map_phases(stack, recipe.with_changes({"energies_ev": energies_ev}))
    assert maps.probability is not None
    counted = (maps.phase_index >= 0) & (particle.phase_index >= 0)
    right = maps.probability.argmax(axis=0)[counted] == particle.phase_index[counted]
    return float(right.mean())


if __name__ == "__main__":
    main()
