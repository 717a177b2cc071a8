"""Even selections of pixels, from which numbers of a whole scan are estimated."""

from __future__ import annotations


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
