"""Which way to resolve pixels is right, sure and fair, where the truth is known.

    python -m benchmarks.accuracy.truth [--worlds matched blur] [--photons 1000] [--seeds 1 3]

Synthetic: particles that no trainer saw, at five states of charge, without drift; in a matched
world, and in worlds that the resolver is not told of. Means over scans; even seeds are for
tuning, odd ones to report. ``paper`` is its best variant (nearest cluster, reference, neighbors
or centroid; of the pair or of all; clusters of the training or of the scan). Worlds that end in
``-told`` give the resolver the references as the monochromator shows them, as after a correct
calibration. In the world ``road`` other particles drift a pixel per image and go the package's
whole way, with the maps as a user gets them.

    python -m benchmarks.accuracy.truth --write-second DIR  # a second material
    stxm-live train --recipe DIR/recipe.toml --simulated 60000 --out DIR/bundle
    python -m benchmarks.accuracy.truth --recipe DIR/recipe.toml
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.accuracy.truth_table.particles import SHARES
from benchmarks.accuracy.truth_table.road import mapped_answers
from benchmarks.accuracy.truth_table.scores import COLUMNS, scores
from benchmarks.accuracy.truth_table.second import write_second
from benchmarks.accuracy.truth_table.ways import Model, answers
from benchmarks.accuracy.truth_table.worlds import WORLDS, make_scan
from benchmarks.common.figures import Beside, Figure, benchmark_parser, write_figures
from stxm_live import Recipe
from stxm_live.phase_mapping.latent_space.bundle import Bundle

Scores = dict[str, NDArray[np.float64]]

DEFAULT, ALONE = "likelihood, potts", "likelihood, none"

USUAL_PHOTONS = 1000
"""The key figures are at the photon number nearest to it."""

ROAD = "road"
"""The world of `truth_table.road`."""

WORST = "worst ece"
"""Largest calibration error of a scan, beside the mean."""


class Case(NamedTuple):
    """One scan of the table."""

    recipe: str
    world: str
    photons: float
    state: str
    seed: int
    side: int


def main() -> None:
    """Print a table for each world and photon number."""
    arguments = _arguments()
    if arguments.write_second:
        write_second(arguments.write_second)
        return
    started = time.monotonic()
    figures: list[Figure] = []
    for world, photons in product(arguments.worlds, arguments.photons):
        cases = [
            Case(arguments.recipe, world, photons, state, seed, arguments.side)
            for state, seed in product(arguments.states, arguments.seeds)
        ]
        summary = summarised(scored_all(cases, arguments.workers))
        if photons == min(arguments.photons, key=lambda n: abs(n - USUAL_PHOTONS)):
            figures += truth_figures(f"{world}, {photons:g} photons", summary)
        Console(width=150).print(_table(f"{world}, {photons:g} photons", summary, arguments.all))
    Console().print(f"{time.monotonic() - started:.0f} s; synthetic, seeds {arguments.seeds}")
    write_figures(arguments.figures, figures)


def truth_figures(title: str, summary: Scores) -> Iterator[Figure]:
    """Wrong labels of the default map, and how far its probabilities are off."""
    accuracy, calibration = COLUMNS.index("accuracy"), COLUMNS.index("ece")
    wrong = {name: 100 * (1 - float(values[accuracy])) for name, values in summary.items()}
    for beside in ("PCC", "paper, best"):
        if beside in wrong:
            name = f"wrong labels, {title}, beside {beside}"
            yield Figure(name, wrong[DEFAULT], "%", Beside(beside, wrong[beside]))
    error, alone = (100 * float(summary[name][calibration]) for name in (DEFAULT, ALONE))
    name = f"calibration error, {title}"
    yield Figure(name, error, "points", Beside("each pixel alone", alone))


def _arguments() -> argparse.Namespace:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--recipe", default="nvpf", help="a TOML file or a shipped name")
    parser.add_argument("--worlds", nargs="+", choices=[*WORLDS, ROAD], default=[*WORLDS, ROAD])
    parser.add_argument("--photons", nargs="+", type=float, default=[300, 1000, 3000, 10_000])
    parser.add_argument("--states", nargs="+", choices=SHARES, default=list(SHARES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 3])
    parser.add_argument("--side", type=int, default=160)
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--all", action="store_true", help="every variant of the paper's rule")
    parser.add_argument("--write-second", type=Path, metavar="DIR", help="make a second material")
    return parser.parse_args()


def scored_all(cases: Iterable[Case], workers: int) -> list[Scores]:
    """The scores of every way, for each scan."""
    if workers <= 1:
        return [scored(case) for case in cases]
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(scored, cases))


def scored(case: Case) -> Scores:
    """The scores of every way for one scan."""
    recipe = Recipe.load(case.recipe)
    if case.world == ROAD:
        known, said = mapped_answers(
            recipe, state=case.state, photons=case.photons, seed=case.seed, side=case.side
        )
        return {name: scores(answer, known) for name, answer in said.items()}
    scan = make_scan(
        recipe.reference_spectra,
        tuple(recipe.energies_ev or ()),
        WORLDS[case.world],
        state=case.state,
        photons=case.photons,
        seed=case.seed,
        side=case.side,
    )
    known, said = answers(scan, _model(recipe))
    return {name: scores(answer, known) for name, answer in said.items()}


def _model(recipe: Recipe) -> Model | None:
    if recipe.model is None or not Path(recipe.model).is_dir():
        return None
    return Model(Bundle.load(recipe.model))


def summarised(scans: list[Scores]) -> Scores:
    """Means over the scans, and the largest calibration error; beside each way the paper's best."""
    calibration = COLUMNS.index("ece")
    summary = {}
    for name in scans[0]:
        values = np.array([scan[name] for scan in scans])
        known = np.isfinite(values)
        total = np.where(known, values, 0.0).sum(axis=0)
        mean = np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)
        summary[name] = np.append(mean, values[:, calibration].max())
    variants = [name for name in summary if name.startswith("paper: ")]
    if variants:
        best = max(variants, key=lambda name: summary[name][0])
        summary["paper, best"] = summary[best]
    return summary


def _table(title: str, summary: Scores, everything: bool) -> Table:
    table = Table("way", *COLUMNS, WORST, title=title)
    for name, values in summary.items():
        if everything or not name.startswith("paper: "):
            table.add_row(name, *("" if np.isnan(v) else f"{v:.3f}" for v in values))
    return table


if __name__ == "__main__":
    main()
