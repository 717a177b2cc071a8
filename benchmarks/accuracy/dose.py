"""How right labels are for the dose that a specimen takes, with fewer energies or fewer photons.

    python -m benchmarks.accuracy.dose [--photons 1000 3000] [--seeds 1 3] [--offset 0.1]
    python -m benchmarks.accuracy.dose --plan

Synthetic particles at five states of charge; odd seeds to report, even ones for tuning. Dose is
the energy that the specimen absorbs, relative to that of the thirteen energies. Energies are
chosen from the references (``fixed``: the best so many of `choose_energies`, with the first;
``random``), or while the scan runs (``in order``, ``any order``: the advice of `EnergyAdvisor`, for
which the images come one by one). ``fixed``, ``random`` and ``all, fewer photons`` are given what
``in order`` used in the same scan: its number of energies, or its dose spread over all thirteen
or over five.
``all, 60 %`` and ``fixed 6`` and so on are the same in every scan. Without drift, I0 and specimen
as the package finds them. With ``--plan`` the particles drift, and the plan itself runs beside the
ordinary one in a RunEngine.
"""

from __future__ import annotations

import argparse
import json
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.accuracy.dose_by_plan import scanned_by_plan
from benchmarks.accuracy.truth_table.scores import calibration_error
from benchmarks.common.figures import Beside, Figure, benchmark_parser, write_figures
from stxm_live import (
    Frame,
    PhaseMaps,
    Recipe,
    ReferenceSpectra,
    Stack,
    StackScan,
    map_phases,
)
from stxm_live.adaptive.energies import advise, minimum_set, next_energy, still_left
from stxm_live.adaptive.energies.cost import Conditions
from stxm_live.adaptive.energies.selection import Offer, choose_energies
from stxm_live.live.cube import cube_view
from stxm_live.preprocessing.stack_images import ImageCache
from stxm_live.sim.phantom import STATES_OF_CHARGE, Particle, make_particle, od_cube

ADAPTIVE = "adaptive, in order"

FIXED = (5, 6, 7, 8)
"""Numbers of energies that are the same for every scan."""

POINTS = ("lost", "worst state", "energies")
"""Columns with one decimal: points of accuracy less than with all energies, on average and of the
worst state of charge, and a number.

``dose`` and ``largest`` (of a state of charge) are parts of that of all; ``promised`` is the mean
probability of the labels less the share that is right.
"""


class Score(NamedTuple):
    """What is counted of the maps of one scan."""

    accuracy: float
    balanced: float
    dose: float
    energies: int
    ece: float
    promised: float


@dataclass(frozen=True, eq=False)
class Scan:
    """A particle, and its images at every energy."""

    particle: Particle
    od: NDArray[np.float64]
    photons: float
    seed: int
    recipe: Recipe

    @property
    def energies_ev(self) -> tuple[float, ...]:
        """Ascending."""
        return tuple(self.recipe.energies_ev or ())

    def counts(self, share: float = 1.0) -> NDArray[np.float32]:
        """With a share of the photons; the same noise for the same share."""
        rng = np.random.default_rng([self.seed, zlib.crc32(self.particle.thickness_nm.tobytes())])
        return rng.poisson(share * self.photons * np.exp(-self.od)).astype(np.float32)

    def doses(self) -> NDArray[np.float64]:
        """Of each energy, in parts of that of all, (n_energies,)."""
        absorbed = (1 - np.exp(-self.od[:, self.particle.specimen])).mean(axis=1)
        dose = absorbed * self.energies_ev
        return np.asarray(dose / dose.sum())

    def dose(self, energies_ev: Sequence[float]) -> float:
        """Of some energies, in parts of that of all."""
        return float(sum(self.doses()[self.energies_ev.index(e)] for e in energies_ev))

    def score(self, energies_ev: Sequence[float], share: float = 1.0) -> Score:
        """Of the maps from some of the energies."""
        rows = [self.energies_ev.index(e) for e in sorted(energies_ev)]
        stack = Stack.from_arrays(self.counts(share)[rows], sorted(energies_ev))
        maps = map_phases(stack, self.recipe.with_changes({"energies_ev": sorted(energies_ev)}))
        return scored(maps, self.particle.phase_index, share * self.dose(energies_ev))


def scored(maps: PhaseMaps, truth: NDArray[np.int8], dose: float) -> Score:
    """The most probable phase against the truth, where both are known."""
    assert maps.probability is not None
    counted = (maps.phase_index >= 0) & (truth >= 0)
    confidence = maps.probability.max(axis=0)[counted]
    right = maps.probability.argmax(axis=0)[counted] == truth[counted]
    each = [right[truth[counted] == k].mean() for k in np.unique(truth[counted])]
    return Score(
        float(right.mean()),
        float(np.mean(each)),
        dose,
        len(maps.energies_ev),
        calibration_error(confidence, right),
        float(confidence.mean()),
    )


def main() -> None:
    """Print a table for each photon number."""
    arguments = _arguments()
    started, console = time.monotonic(), Console(width=150)
    changes = {f"adaptive.{name}": value for name, value in arguments.set}
    recipe = Recipe.load("nvpf").with_changes({"model": None, **changes})
    figures: list[Figure] = []
    for photons in arguments.photons:
        scans: list[tuple[str, dict[str, Score]]] = []
        for state, seed in product(STATES_OF_CHARGE, arguments.seeds):
            if arguments.plan:
                ran = scanned_by_plan(recipe, state, photons, seed, arguments.side)
                ways = {name: scored(r.maps, r.truth, r.dose) for name, r in ran.items()}
                times = ", ".join(f"{name} {r.image_s:.2f} s" for name, r in ran.items())
                console.print(f"{state} {seed}, from one image to the next: {times}")
            else:
                scan = scan_of(recipe, state, photons, seed, arguments.side, arguments.offset)
                ways = dict(compared(scan))
            scans.append((state, ways))
        summary = summarised(scans)
        figures += dose_figures(f"{photons:g} photons", summary)
        console.print(_table(f"{photons:g} photons", summary))
    console.print(f"{time.monotonic() - started:.0f} s; synthetic, seeds {arguments.seeds}")
    write_figures(arguments.figures, figures)


def dose_figures(title: str, summary: dict[str, dict[str, float]]) -> Iterator[Figure]:
    """Wrong labels of the adaptive scan, beside all energies and beside as many random ones."""
    wrong = {name: 100 * (1 - values["accuracy"]) for name, values in summary.items()}
    ours = summary[ADAPTIVE]
    for beside in ("all", "random, same number"):
        if beside in wrong:
            yield Figure(
                f"wrong labels, {ADAPTIVE}, {title}, beside {beside}",
                wrong[ADAPTIVE],
                "%",
                Beside(beside, wrong[beside]),
                note=f"{ours['energies']:.1f} energies, {100 * ours['dose']:.0f} % of the dose",
            )


def _arguments() -> argparse.Namespace:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--photons", nargs="+", type=float, default=[300, 1000, 3000, 10_000])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 3])
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--offset", type=float, default=0.0, help="of the energy axis, in eV")
    parser.add_argument("--plan", action="store_true", help="by the RunEngine, with drift")
    parser.add_argument("--set", nargs="+", type=_setting, default=[], help="such as min_gain=0.01")
    return parser.parse_args()


def _setting(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    return name, json.loads(value)


def scan_of(
    recipe: Recipe, state: str, photons: float, seed: int, side: int, offset_ev: float = 0.0
) -> Scan:
    """A particle and its counts."""
    rng = np.random.default_rng(100 + seed)
    particle = make_particle((side, side), phase_weights=STATES_OF_CHARGE[state], rng=rng)
    true_ev = [energy_ev + offset_ev for energy_ev in recipe.energies_ev or ()]
    od = od_cube(particle, recipe.reference_spectra, true_ev)
    still = recipe.with_changes({"alignment.enabled": False, "energy_fit": False})
    return Scan(particle, od, photons, seed, still)


def compared(scan: Scan) -> Iterator[tuple[str, Score]]:
    """Every way to spend photons on one particle."""
    energies = scan.energies_ev
    rng = np.random.default_rng(scan.seed)
    yield "all", scan.score(energies)
    for n in FIXED:
        yield f"fixed {n}", scan.score(fixed(scan.recipe, n))
    yield "all, 60 % of the photons", scan.score(energies, 0.6)
    in_order = scan.score(adaptive(scan, any_order=False))
    yield ADAPTIVE, in_order
    yield "adaptive, any order", scan.score(adaptive(scan, any_order=True))
    same = in_order.energies
    yield "fixed, same number", scan.score(fixed(scan.recipe, same))
    others = rng.choice(energies[1:], same - 1, replace=False).tolist()
    yield "random, same number", scan.score([energies[0], *others])
    yield "all, same dose", scan.score(energies, in_order.dose)
    few = fixed(scan.recipe, FIXED[0])
    yield f"fixed {FIXED[0]}, same dose", scan.score(few, in_order.dose / scan.dose(few))


def fixed(recipe: Recipe, n_energies: int) -> tuple[float, ...]:
    """So many of the thirteen, for every particle alike; the first is one of them."""
    references, energies = recipe.reference_spectra, tuple(recipe.energies_ev or ())
    if n_energies >= len(energies):
        return energies
    offered = ReferenceSpectra(
        references.phase_names, np.array(energies), references.at(energies), references.synthetic
    )
    conditions = Conditions(1000.0, baseline="none")
    return choose_energies(offered, n_energies, conditions, Offer(keep_ev=energies[:1]))


def adaptive(scan: Scan, *, any_order: bool) -> list[float]:
    """What `stxm_stack_adaptive` would measure, without devices."""
    announced = Stack.from_arrays(scan.counts(), scan.energies_ev)
    way = {"skipping": "any-order" if any_order else "in-order"}
    plan = StackScan(**(announced.scan.model_dump() | way))
    required = minimum_set(scan.energies_ev, scan.recipe)
    seen, frames = ImageCache(scan.recipe), dict[float, Frame]()
    left, energy_ev = list(scan.energies_ev), scan.energies_ev[0]
    while True:
        frames[energy_ev] = announced.frames[scan.energies_ev.index(energy_ev)]
        so_far = tuple(frames[e] for e in sorted(frames))
        key = announced.key._replace(run_uids=("simulated",))
        stack = Stack(key, plan, so_far, finished=False)
        view = cube_view(stack, frames[energy_ev], scan.recipe, seen=seen)
        assert view is not None
        advice = advise(view, scan.recipe, required)
        left = still_left(left, energy_ev, any_order=any_order)
        following = next_energy(left, advice.wanted_ev, required, any_order=any_order)
        if following is None:
            return list(frames)
        energy_ev = following


def summarised(scans: list[tuple[str, dict[str, Score]]]) -> dict[str, dict[str, float]]:
    """Means over the scans, and the worst state of charge or scan."""
    summary = {}
    states = np.array([state for state, _ in scans])
    every = np.array([ways["all"] for _, ways in scans])
    for name in scans[0][1]:
        values = np.array([ways[name] for _, ways in scans])
        mean = Score(*values.mean(axis=0))
        lost = 100 * (every - values)[:, 0]
        of_state = [states == state for state in dict.fromkeys(states.tolist())]
        summary[name] = {
            "accuracy": mean.accuracy,
            "balanced": mean.balanced,
            "lost": float(lost.mean()),
            "worst state": max(float(lost[s].mean()) for s in of_state),
            "dose": mean.dose,
            "largest": max(float(values[s, 2].mean()) for s in of_state),
            "energies": mean.energies,
            "ece": mean.ece,
            "worst ece": float(values[:, 4].max()),
            "promised": mean.promised - mean.accuracy,
        }
    return summary


def _table(title: str, summary: dict[str, dict[str, float]]) -> Table:
    table = Table("way", *next(iter(summary.values())), title=title)
    for name, values in summary.items():
        cells = [
            f"{v:.1f}" if k in ("lost", "worst state", "energies") else f"{v:.3f}"
            for k, v in values.items()
        ]
        table.add_row(name, *cells)
    return table


if __name__ == "__main__":
    main()
