"""Tables that print to a terminal and to Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table as Printed


@dataclass(frozen=True)
class Table:
    """Words in rows, under a header."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def printed(self) -> Printed:
        """For a terminal."""
        table = Printed(*self.header, title=self.title, title_justify="left")
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """For the documentation."""
        lines = [self.header, ["---"] * len(self.header), *self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def points(share: float) -> str:
    """A share as it stands in the tables: .95, 1.00, or nothing where there is none."""
    return "" if not np.isfinite(share) else f"{share:.2f}".replace("0.", ".", 1)


def fine(share: float) -> str:
    """The same with three digits, and its sign if it is negative."""
    return "" if not np.isfinite(share) else f"{share:.3f}".replace("0.", ".", 1)


def written_between(path: Path, name: str, table: Table, note: str) -> None:
    """Replace what stands between the comments ``<!-- name -->`` and ``<!-- /name -->``.

    Raises
    ------
    ValueError
        If the page does not have the two comments.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    text = path.read_text(encoding="utf-8")
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    block = f"{begin}\n{note}\n\n{table.markdown()}\n{end}"
    changed, n = pattern.subn(lambda _: block, text)
    if n != 1:
        raise ValueError(f"{path} has no single place between {begin} and {end}")
    path.write_text(changed, encoding="utf-8")
