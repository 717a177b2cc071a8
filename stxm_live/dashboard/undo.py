"""The order in which a page made maps, to go back and forth in."""

from __future__ import annotations


class Undo:
    """Numbers of results, each made with changes after the one before it.

    Examples
    --------
    >>> undo = Undo()
    >>> undo.made(4, after=1)
    >>> undo.made(5, after=4)
    >>> undo.before(5), undo.after(5), undo.after(1), undo.before(1)
    (4, None, 4, None)
    >>> undo.made(6, after=4)  # 5 is left behind
    >>> undo.after(4), undo.before(5)
    (6, None)
    """

    def __init__(self) -> None:
        self._numbers: list[int] = []

    def made(self, number: int, *, after: int) -> None:
        """Note a new result, and forget what was undone before it was made."""
        kept = self._numbers[: self._numbers.index(after)] if after in self._numbers else []
        self._numbers = [*kept, after, number]

    def before(self, number: int) -> int | None:
        """Return the result before another one; None if there is none."""
        k = self._numbers.index(number) if number in self._numbers else 0
        return self._numbers[k - 1] if k > 0 else None

    def after(self, number: int) -> int | None:
        """Return the result after another one; None if there is none."""
        k = self._numbers.index(number) if number in self._numbers else len(self._numbers)
        return self._numbers[k + 1] if k + 1 < len(self._numbers) else None
