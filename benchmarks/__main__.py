"""The benchmarks one after the other, and their key figures in one table.

    python -m benchmarks [--all] [--only NAME ...] [--record] [--strict]

Without ``--all`` the quick ones, with small sizes. Every ratio is compared with that of the
recorded run in `benchmarks/results.json`; ``--record`` puts the figures there and into
`docs/explanation/benchmarks.md`. A program that fails or cannot run here is named, and the
others go on.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import nullcontext

from rich.console import Console
from rich.table import Table

from benchmarks.common.figures import HEADER
from benchmarks.common.machine import Conditions
from benchmarks.common.programs import ALS_STACK, PROGRAMS, ROOT, Outcome, real_stack, run_program
from benchmarks.common.recorded import (
    WORSE,
    Run,
    read_results,
    times_worse,
    with_runs,
    write_page,
    write_results,
)

RESULTS = ROOT / "benchmarks" / "results.json"
PAGE = ROOT / "docs" / "explanation" / "benchmarks.md"
TIMEOUT_S = {"quick": 600.0, "all": 4 * 3600.0}


def main() -> None:
    """Run, print, compare and, where asked for, record."""
    options = _options()
    mode = "all" if options.all else "quick"
    conditions, recorded, console = Conditions.now(), read_results(RESULTS), Console(width=150)
    console.print(conditions.in_words(), markup=False)
    if options.all and not ALS_STACK.exists():
        console.print("the measured stack is not in ../shared/data: synthetic data only")
    runs, failed = {}, False
    for name, arguments, outcome in _outcomes(mode, options.only):
        console.print(f"{name} {arguments}: {outcome.seconds:.0f} s {outcome.reason}", markup=False)
        failed |= bool(outcome.reason) and not outcome.skipped
        if not outcome.reason:
            runs[name] = Run(conditions, arguments, round(outcome.seconds, 1), outcome.figures)
    worse = {name: times_worse(run, recorded.get(mode, {}).get(name)) for name, run in runs.items()}
    console.print(_table(mode, runs, worse))
    for name, factors in worse.items():
        for figure, factor in factors.items():
            if factor >= WORSE:
                line = f"{name}, {figure}: worse than recorded: {factor:.1f} x"
                console.print(line, markup=False)
                failed = True
    if options.record:
        results = with_runs(recorded, mode, runs)
        write_results(RESULTS, results)
        write_page(PAGE, results)
    if options.strict and failed:
        raise SystemExit(1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--all", action="store_true", help="all of them, with full sizes; hours")
    parser.add_argument("--only", nargs="+", choices=PROGRAMS, metavar="NAME", help="some of them")
    parser.add_argument(
        "--record", action="store_true", help="keep the figures as the recorded ones"
    )
    parser.add_argument(
        "--strict", action="store_true", help="exit with 1 if one fails or is worse by half"
    )
    options = parser.parse_args()
    slow = [name for name in options.only or () if PROGRAMS[name].quick is None]
    if slow and not options.all:
        parser.error(f"{', '.join(slow)}: no quick run; add --all")
    return options


def _outcomes(mode: str, only: list[str] | None) -> Iterator[tuple[str, str, Outcome]]:
    """Name, arguments and outcome of each program, one after the other."""
    with real_stack() if mode == "all" else nullcontext() as real:
        for name, program in PROGRAMS.items():
            arguments = program.full if mode == "all" else program.quick
            if arguments is None or (only and name not in only):
                continue
            further = ["--real", str(real)] if program.real and real else []
            words = " ".join([arguments, *further[:1]]).strip()
            command = [*arguments.split(), *further]
            yield name, words, run_program(program.module, command, TIMEOUT_S[mode])


def _table(mode: str, runs: dict[str, Run], worse: dict[str, dict[str, float]]) -> Table:
    table = Table("program", *HEADER, "worse by", title=f"benchmarks, {mode}")
    for name, run in runs.items():
        for figure in run.figures:
            factor = worse[name].get(figure.name)
            times = "" if factor is None else f"{factor:.2f} x"
            table.add_row(name, *figure.cells(), times)
        table.add_section()
    return table


if __name__ == "__main__":
    main()
