"""The recorded figures of every program: the file, the page, and what has become worse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from benchmarks.common.figures import HEADER, Figure
from benchmarks.common.machine import Conditions
from benchmarks.common.page import markdown_table, write_between

WORSE = 1.5
"""A ratio so many times worse than the recorded one is reported."""

MODES = {"quick": "The quick ones: `make bench`", "all": "All: `make bench-all`"}


@dataclass(frozen=True)
class Run:
    """The key figures of one run of a program."""

    conditions: Conditions
    arguments: str
    seconds: float
    figures: tuple[Figure, ...]


Results = dict[str, dict[str, Run]]
"""Runs by mode (``quick`` or ``all``) and program."""

_RESULTS = TypeAdapter(Results)


def read_results(path: Path) -> Results:
    """Read the recorded runs; none without the file."""
    return _RESULTS.validate_json(path.read_bytes()) if path.exists() else {}


def write_results(path: Path, results: Results) -> None:
    """Write runs as JSON."""
    path.write_bytes(_RESULTS.dump_json(results, indent=1) + b"\n")


def with_runs(results: Results, mode: str, runs: dict[str, Run]) -> Results:
    """The results with these runs in place of earlier ones of the same mode and program."""
    return results | {mode: results.get(mode, {}) | runs}


def times_worse(run: Run, recorded: Run | None) -> dict[str, float]:
    """How many times worse each ratio is than the recorded one, by the figure's name.

    Figures that are new, that have nothing beside them or something else, or that were measured
    with other arguments do not compare.
    """
    if recorded is None or recorded.arguments != run.arguments:
        return {}
    known = {figure.name: figure for figure in recorded.figures}
    factors = {
        figure.name: figure.worse_than(known[figure.name])
        for figure in run.figures
        if figure.name in known
    }
    return {name: factor for name, factor in factors.items() if factor is not None}


def write_page(path: Path, results: Results) -> None:
    """Put a table for each mode between the page's comments ``recorded``."""
    recorded = [mode for mode in MODES if results.get(mode)]
    texts = [text for mode in recorded for text in (f"### {MODES[mode]}", _of_mode(results[mode]))]
    write_between(path, "recorded", "\n\n".join(texts) or "Nothing is recorded yet.")


def _of_mode(runs: dict[str, Run]) -> str:
    rows = [(f"`{name}`", *f.cells()) for name, run in runs.items() for f in run.figures]
    return markdown_table(("program", *HEADER), rows) + "\n\n" + "\n\n".join(_conditions(runs))


def _conditions(runs: dict[str, Run]) -> Iterator[str]:
    """A line for each time and machine, with its programs."""
    for conditions in dict.fromkeys(run.conditions for run in runs.values()):
        names = [f"`{name}`" for name, run in runs.items() if run.conditions == conditions]
        yield f"{', '.join(names)}: {conditions.in_words()}."
