"""Key figures of a benchmark: what was measured, beside what, and what it should be."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Literal, NoReturn

from pydantic import TypeAdapter
from rich.console import Console
from rich.table import Table

SKIPPED = 77
"""Exit status of a program that cannot run here; it is the one that automake has for this."""

HEADER = ("figure", "measured", "beside it", "ratio", "target")


@dataclass(frozen=True)
class Beside:
    """The alternative, measured in the same run and in the same unit."""

    name: str
    value: float


@dataclass(frozen=True)
class Target:
    """Limit of a value, of its ratio to what stands beside it, or of its distance from that."""

    limit: float
    of: Literal["value", "ratio", "difference"] = "value"


@dataclass(frozen=True)
class Figure:
    """One number that a benchmark stands for.

    Parameters
    ----------
    name : str
        The same in every run with the same arguments.
    value : float
    unit : str
        Also of what stands beside it.
    beside : Beside, optional
    target : Target, optional
        Not to be exceeded, or to be reached at least where larger is better.
    larger_is_better : bool
    note : str
        Further numbers of the same measurement, as text.
    """

    name: str
    value: float
    unit: str = ""
    beside: Beside | None = None
    target: Target | None = None
    larger_is_better: bool = False
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """The value in parts of what stands beside it; None without that or if it is zero."""
        return self.value / self.beside.value if self.beside and self.beside.value else None

    @property
    def is_reached(self) -> bool | None:
        """Whether the target is met; None without one, or without anything to compare with."""
        if self.target is None:
            return None
        difference = self.value - self.beside.value if self.beside else None
        of = {"value": self.value, "ratio": self.ratio, "difference": difference}
        found = of[self.target.of]
        if found is None:
            return None
        return found >= self.target.limit if self.larger_is_better else found <= self.target.limit

    def worse_than(self, recorded: Figure) -> float | None:
        """How many times worse the ratio is than a recorded one; None if they do not compare."""
        same = self.beside and recorded.beside and self.beside.name == recorded.beside.name
        if not same or not self.ratio or not recorded.ratio:
            return None
        factor = self.ratio / recorded.ratio
        worse = 1 / factor if self.larger_is_better else factor
        return worse if isfinite(worse) and worse > 0 else None

    def cells(self) -> tuple[str, ...]:
        """Texts under `HEADER`."""
        measured = _with_unit(self.value, self.unit)
        beside = f"{self.beside.name}: {_number(self.beside.value)}" if self.beside else ""
        ratio = "" if self.ratio is None else _number(self.ratio)
        target = ""
        if self.target is not None:
            sign = ">=" if self.larger_is_better else "<="
            unit = "x" if self.target.of == "ratio" else self.unit
            more = " more" if self.target.of == "difference" else ""
            missed = "" if self.is_reached is not False else ", missed"
            target = f"{sign} {_with_unit(self.target.limit, unit)}{more}{missed}"
        note = f" ({self.note})" if self.note else ""
        return (self.name, measured + note, beside, ratio, target)


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}".replace(",", " ")


def _with_unit(value: float, unit: str) -> str:
    return f"{_number(value)} {unit}".rstrip()


def benchmark_parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser that says what the program is for, with the option that all of them have."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--figures", type=Path, help="write the key figures here, as JSON")
    return parser


def figures_table(figures: Sequence[Figure], title: str) -> Table:
    """A row for each figure."""
    table = Table(*HEADER, title=title)
    for figure in figures:
        table.add_row(*figure.cells())
    return table


def report(title: str, figures: Sequence[Figure], path: Path | None) -> None:
    """Print figures, and write them where a path is given."""
    Console(width=140).print(figures_table(figures, title))
    write_figures(path, figures)


def write_figures(path: Path | None, figures: Sequence[Figure]) -> None:
    """Write figures as JSON; nothing without a path."""
    if path is not None:
        path.write_bytes(_FIGURES.dump_json(list(figures), indent=1))


def read_figures(path: Path) -> list[Figure]:
    """Read what `write_figures` wrote.

    Raises
    ------
    ValueError
        If the file holds anything else, or a value that is no number.
    """
    return _FIGURES.validate_json(path.read_bytes())


def skip(reason: str) -> NoReturn:
    """End a program that cannot run on this machine, and say why."""
    print(reason, file=sys.stderr)
    raise SystemExit(SKIPPED)


_FIGURES = TypeAdapter(list[Figure])
