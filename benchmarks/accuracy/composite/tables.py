"""Tables that print to a terminal and to Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.table import Table as Printed

from benchmarks.common.page import markdown_table


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
        return markdown_table(self.header, self.rows)


def points(share: float) -> str:
    """A share as it stands in the tables: .95, 1.00, or nothing where there is none."""
    return "" if not np.isfinite(share) else f"{share:.2f}".replace("0.", ".", 1)


def fine(share: float) -> str:
    """The same with three digits, and its sign if it is negative."""
    return "" if not np.isfinite(share) else f"{share:.3f}".replace("0.", ".", 1)
