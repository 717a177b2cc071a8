"""How many labels are wrong after an overview and three zooms, by the way the zooms are chosen.

    python -m benchmarks.accuracy.regions [--fields 40] [--photons 5000] [--zoom 64] [--all]
    python -m benchmarks.accuracy.regions --speed

Synthetic fields of several particles, no two alike; each way to choose sees the same overview and
puts the same energy into the specimen. Labels of a zoom replace those of the overview, and what is
counted are wrong or missing labels of the specimen on the finest grid. Seeds go in steps of two:
even ones are for tuning, odd ones to report. What the zooms show is mapped with the package's
likelihood and neighbors, with the incident intensity known and no drift: registration is not what
is compared. A way that names fewer than three places gets random ones for the rest. The rule of
2018 is given the image that suits it best on even seeds; with its least area, and without.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.accuracy.region_table.session import STEP_UM, Conditions, Session
from benchmarks.accuracy.region_table.strategies import OTHERS, STRATEGIES, regions_of
from benchmarks.common.figures import Beside, Figure, Target, benchmark_parser, write_figures
from stxm_live import suggest_regions

OURS, RULES = "doubt", ("random", "OD 2018", "OD 2018, any area")


def main() -> None:
    """Print a line for each way to choose: shares of all fields, and means of each one's."""
    arguments = _arguments()
    if arguments.speed:
        Console().print(_speed())
        return
    conditions = Conditions(
        zoom_photons=arguments.photons,
        zoom_px=arguments.zoom,
        overview_photons=arguments.overview,
        coarse=arguments.coarse,
        changing=arguments.changing,
        background_od=arguments.background,
    )
    ways = {**STRATEGIES, **(OTHERS if arguments.all else {})}
    started = time.monotonic()
    left, promises = [], []
    for seed in range(arguments.first, arguments.first + 2 * arguments.fields, 2):
        session = Session.of(seed, conditions)
        before = int(session.errors(session.first_labels).sum())
        promises += [
            (region.expected_gain or 0.0, session.gain_of(session.window(region)))
            for region in regions_of(session)
        ]
        left.append([before, *(session.left_after(way(session)) for way in ways.values())])
    table = dict(zip(["overview alone", *ways], np.array(left).T, strict=True))
    console = Console(width=120)
    console.print(_table(table, conditions))
    promised, kept = np.array(promises).T
    console.print(
        f"gain of a region by doubt: {kept.mean():.1f} px where {promised.mean():.1f} px were "
        f"promised; correlation {np.corrcoef(promised, kept)[0, 1]:.2f}"
    )
    console.print(f"{len(left)} fields, {time.monotonic() - started:.0f} s; synthetic")
    write_figures(arguments.figures, list(region_figures(table)))


def region_figures(left: dict[str, NDArray[np.int_]]) -> Iterator[Figure]:
    """Wrong labels left by doubt, beside each other rule and the one who knows the truth."""
    for name, share in (("OD 2018", 0.7), ("OD 2018, any area", 0.7), ("oracle", None)):
        target = None if share is None else Target(share, of="ratio")
        beside = Beside(name, float(left[name].mean()))
        title = f"wrong labels left after three zooms, beside {name}"
        yield Figure(title, float(left[OURS].mean()), "px", beside, target)


def _arguments() -> argparse.Namespace:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--fields", type=int, default=40)
    parser.add_argument("--first", type=int, default=1, help="seed of the first field")
    parser.add_argument("--photons", type=float, default=Conditions.zoom_photons)
    parser.add_argument("--overview", type=float, default=Conditions.overview_photons)
    parser.add_argument("--coarse", type=int, default=Conditions.coarse, help="overview's step")
    parser.add_argument("--zoom", type=int, default=Conditions.zoom_px, help="pixels a side")
    parser.add_argument("--changing", type=float, default=Conditions.changing)
    parser.add_argument("--background", type=float, default=Conditions.background_od)
    parser.add_argument("--speed", action="store_true", help="time suggestions for 512 x 512 px")
    parser.add_argument("--all", action="store_true", help="the package's other criteria as well")
    return parser.parse_args()


def _speed(repetitions: int = 15) -> str:
    """How long five regions of 512 x 512 px maps take."""
    overview = Session.of(1, Conditions(side=512, coarse=1, overview_photons=1000)).overview
    times = []
    for _ in range(repetitions):
        started = time.perf_counter()
        suggest_regions(overview, 5, size_um=64 * STEP_UM, dwell_ms=5, map_dwell_ms=1)
        times.append(time.perf_counter() - started)
    mapped = int((overview.phase_index >= 0).sum())
    return (
        f"five regions of 512 x 512 px, {mapped} mapped: median {np.median(times):.2f} s, "
        f"{min(times):.2f} to {max(times):.2f} s in {repetitions}"
    )


def _table(left: dict[str, NDArray[np.int_]], conditions: Conditions) -> Table:
    c = conditions
    title = (
        f"{c.n_zooms} zooms of {c.zoom_px} px, {c.zoom_photons:g} photons "
        f"after an overview at {c.coarse} px, {c.overview_photons:g} photons"
    )
    rules = [f"of {name}" for name in RULES]
    table = Table("chosen by", "wrong labels left", *rules, "doubt is better in", title=title)
    ours = left[OURS]
    for name, values in left.items():
        shares = (
            f"{values.sum() / left[rule].sum():.3f} ({(values / left[rule]).mean():.3f})"
            for rule in RULES
        )
        wins = "" if name == OURS else f"{100 * (ours < values).mean():.0f} %"
        table.add_row(name, f"{values.mean():.0f}", *shares, wins)
    return table


if __name__ == "__main__":
    main()
