"""Order in which images, lines and pixels of a stack are scanned."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate

ENERGY, Y, X = 0, 1, 2
"""Axes of a stack, as in its shape (n_energies, ny, nx)."""


@dataclass(frozen=True)
class ScanOrder:
    """The order of a scan over energy, y and x.

    Parameters
    ----------
    shape : (n_energies, ny, nx)
    axes : tuple of int
        `ENERGY`, `Y` and `X`, from slowest to fastest.
    snaking : tuple of bool
        For each of ``axes``, True if every second pass over it goes backwards.
    runs_on : bool
        True if the direction continues from one pass over the outer axes to the next, as in
        Bluesky's snaking grids; otherwise every image begins with a forward line.
    rows : tuple of tuple of int
        Rows of each energy, if not all are scanned.
    """

    shape: tuple[int, int, int]
    axes: tuple[int, int, int] = (ENERGY, Y, X)
    snaking: tuple[bool, bool, bool] = (False, False, False)
    runs_on: bool = False
    rows: tuple[tuple[int, ...], ...] = ()

    def pixel(self, number: int) -> tuple[int, int, int]:
        """Return energy, row and column of the pixel with this scan number; 0 is the first.

        Examples
        --------
        >>> ScanOrder((1, 2, 3), snaking=(False, False, True)).pixel(3)
        (0, 1, 2)
        """
        if self.rows:
            line, column = divmod(number, self.shape[X])
            energy, row, backwards = self._line_of_some(line)
            return energy, row, self.shape[X] - 1 - column if backwards else column
        place = self._place(number, 3)
        return place[ENERGY], place[Y], place[X]

    def line(self, number: int) -> tuple[int, int, bool]:
        """Return energy and row of the line with this scan number, and True if it ran backwards."""
        if self.rows:
            return self._line_of_some(number)
        place = self._place(number, 2)
        return place[ENERGY], place[Y], self._is_backwards(2, number)

    def ends_image(self, line: int) -> bool:
        """Return True if the scan of an image ends with the line of this number."""
        if self.rows:
            return line + 1 in accumulate(map(len, self.rows))
        return (line + 1) % self.shape[Y] == 0

    def _line_of_some(self, number: int) -> tuple[int, int, bool]:
        """Return the same if not all rows are scanned; beyond the end as if all were."""
        for energy, rows in enumerate(self.rows):
            if number < len(rows):
                return energy, rows[number], self.snaking[2] and number % 2 == 1
            number -= len(rows)
        beyond, row = divmod(number, self.shape[Y])
        return len(self.rows) + beyond, row, False

    def ends_image_with_pixel(self, pixel: int) -> bool:
        """Return True if an image, or the whole scan, ends with this pixel number."""
        if self.rows:
            line, column = divmod(pixel, self.shape[X])
            return column == self.shape[X] - 1 and self.ends_image(line)
        in_turn = self.shape[Y] * self.shape[X] if self.axes[0] == ENERGY else math.prod(self.shape)
        return (pixel + 1) % in_turn == 0

    def _place(self, number: int, n_levels: int) -> dict[int, int]:
        lengths = [self.shape[axis] for axis in self.axes[:n_levels]]
        place = {}
        for level, axis in enumerate(self.axes[:n_levels]):
            count = number // math.prod(lengths[level + 1 :])
            turn, digit = (0, count) if level == 0 else divmod(count, lengths[level])
            backwards = self._is_backwards(level, turn)
            place[axis] = lengths[level] - 1 - digit if backwards else digit
        return place

    def _is_backwards(self, level: int, turn: int) -> bool:
        """Return True if this pass over an axis goes backwards; ``turn`` counts the passes."""
        if not self.runs_on and level:
            turn %= self.shape[self.axes[level - 1]]
        return bool(level) and self.snaking[level] and turn % 2 == 1
