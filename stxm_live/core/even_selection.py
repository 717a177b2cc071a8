"""Even selections of pixels, from which numbers of a whole scan are estimated, and even parts."""

from __future__ import annotations

from itertools import pairwise


def at_most(number: int, n: int) -> slice:
    """Return a slice that takes no more than a number of ``n`` items, evenly spaced.

    Examples
    --------
    >>> list(range(10))[at_most(4, 10)]
    [0, 3, 6, 9]
    """
    return slice(None, None, max(1, -(-n // number)))


def at_least(number: int, n: int) -> slice:
    """Return a slice that takes a number of ``n`` items or a few more; all of fewer.

    Examples
    --------
    >>> list(range(10))[at_least(4, 10)]
    [0, 2, 4, 6, 8]
    """
    return slice(None, None, max(1, n // number))


def even_parts(n: int, *, most: int) -> list[slice]:
    """Return slices of about equal size through ``n`` items, for two threads to share.

    Their number is even, unless one is enough.

    Examples
    --------
    >>> [list(range(10))[part] for part in even_parts(10, most=4)]
    [[0, 1], [2, 3, 4], [5, 6], [7, 8, 9]]
    """
    number = -(-n // most)
    number += number % 2 if number > 1 else 0
    ends = [n * k // number for k in range(number + 1)] if number else []
    return [slice(*both) for both in pairwise(ends)]
