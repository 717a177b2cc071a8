"""How right and how honest maps are in worlds with several faults at once.

    python -m benchmarks.accuracy.composite_worlds [--quick] [--worlds 200] [--seed 0]
        [--photons 1000] [--jobs 1] [--parts worlds rows textures damage named]
        [--json FILE] [--figures FILE] [--write-docs]

Synthetic, and by code that shares nothing with the package's simulator: other textures, other
noise, references of the shipped material and of others, perturbed one by one, columns with two
phases through the thickness, an unknown phase. Everything goes the road of a user: counts,
references and a recipe that names nothing else go to `map_phases`. The same seed gives the same
worlds. ``--quick`` takes about two minutes, everything about half an hour on one core.

``worlds``: random worlds, each with several modest faults; all ways to label pixels, verdicts,
and what comes of following advice. ``rows``: one fault at a time beside the same scan without
it. ``textures``: faultless scans of all scales. ``damage``: whether a change during the scan is
noticed. ``named``: thirty ways to be fooled. ``--write-docs`` puts the tables into the pages of the
documentation that quote them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.accuracy.composite.goals import goals_table, key_figures
from benchmarks.accuracy.composite.named import WAYS_TO_BE_FOOLED
from benchmarks.accuracy.composite.report import (
    damage_table,
    named_table,
    row_table,
    texture_table,
    verdict_table,
    ways_table,
)
from benchmarks.accuracy.composite.sweeps import (
    ROWS,
    TEXTURE_PHOTONS,
    damage_result,
    row_results,
    texture_results,
)
from benchmarks.accuracy.composite.tables import Table
from benchmarks.accuracy.composite.trial import Trial, tried_all, tried_seed
from benchmarks.common.figures import Figure, benchmark_parser, write_figures
from benchmarks.common.machine import Conditions
from benchmarks.common.page import write_between

DOCS = Path(__file__).parents[2] / "docs" / "explanation"
PAGES = {
    "ways": "truth.md",
    "verdicts": "truth.md",
    "goals": "truth.md",
    "rows": "ways-to-be-fooled.md",
    "textures": "ways-to-be-fooled.md",
    "damage": "ways-to-be-fooled.md",
    "named": "ways-to-be-fooled.md",
}
"""Where each table is quoted, between comments named ``composite-`` and its name."""

PARTS = ("worlds", "rows", "textures", "damage", "named")
WIDTH = 200


@dataclass(frozen=True)
class Found:
    """What came of one part: tables by name, all that was scored, and key figures."""

    tables: dict[str, Table]
    plain: Any
    figures: Sequence[Figure] = ()


def main() -> None:
    """Print the tables of the parts that are asked for."""
    options = _options()
    console, scored, started = Console(width=WIDTH), {}, time.monotonic()
    figures: list[Figure] = []
    for part in options.parts:
        found = _PARTS[part](options)
        scored[part] = found.plain
        figures += found.figures
        for name, table in found.tables.items():
            console.print(table.printed())
            if options.write_docs:
                text = f"{_note(options)}\n\n{table.markdown()}"
                write_between(DOCS / PAGES[name], f"composite-{name}", text)
    console.print(f"{time.monotonic() - started:.0f} s; synthetic, seed {options.seed}")
    write_figures(options.figures, figures)
    if options.json:
        options.json.write_text(json.dumps(scored, indent=1))


def _options() -> argparse.Namespace:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer worlds and scans")
    parser.add_argument("--worlds", type=int, help="random worlds (200; quick: 20)")
    parser.add_argument("--seed", type=int, default=0, help="of the first one")
    parser.add_argument("--photons", type=float, help="of every random world; 300 to 10 000 else")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--json", type=Path, help="write everything that was scored here")
    parser.add_argument("--write-docs", action="store_true", help="put the tables into docs/")
    options = parser.parse_args()
    options.worlds = options.worlds or (20 if options.quick else 200)
    return options


def _note(options: argparse.Namespace) -> str:
    command = "python -m benchmarks.accuracy.composite_worlds"
    quick = " --quick" if options.quick else ""
    worlds = f" --worlds {options.worlds} --seed {options.seed}"
    return f"`{command}{quick}{worlds}` at {Conditions.now().commit}, synthetic:"


def _seeds(options: argparse.Namespace, n: int) -> list[int]:
    return list(range(options.seed, options.seed + n))


def _worlds(options: argparse.Namespace) -> Found:
    seeds = [(seed, options.photons) for seed in _seeds(options, options.worlds)]
    if options.jobs > 1:
        with ProcessPoolExecutor(options.jobs) as pool:
            trials = list(pool.map(tried_seed, seeds))
    else:
        trials = [tried_seed(seed) for seed in seeds]
    tables = {
        "ways": ways_table(trials),
        "verdicts": verdict_table(trials),
        "goals": goals_table(trials),
    }
    return Found(tables, _plain(trials), key_figures(trials))


def _rows(options: argparse.Namespace) -> Found:
    results = row_results(ROWS, _seeds(options, 2 if options.quick else 6), options.jobs)
    plain = {f"{r.name}, {r.photons:g} photons": _plain(r.trials) for r in results}
    return Found({"rows": row_table(results)}, plain)


def _textures(options: argparse.Namespace) -> Found:
    photons = TEXTURE_PHOTONS[1:2] if options.quick else TEXTURE_PHOTONS
    seeds = _seeds(options, 1 if options.quick else 4)
    results = texture_results(photons, seeds, options.jobs)
    return Found({"textures": texture_table(results, photons)}, [asdict(r) for r in results])


def _damage(options: argparse.Namespace) -> Found:
    result = damage_result(_seeds(options, 2 if options.quick else 50), options.jobs)
    return Found({"damage": damage_table(result)}, asdict(result))


def _named(options: argparse.Namespace) -> Found:
    worlds = [way.world(options.seed) for way in WAYS_TO_BE_FOOLED]
    trials = tried_all(worlds, options.jobs)
    return Found({"named": named_table(WAYS_TO_BE_FOOLED, trials)}, _plain(trials))


def _plain(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    return [trial.as_json() for trial in trials]


_PARTS: dict[str, Callable[[argparse.Namespace], Found]] = {
    "worlds": _worlds,
    "rows": _rows,
    "textures": _textures,
    "damage": _damage,
    "named": _named,
}


if __name__ == "__main__":
    main()
