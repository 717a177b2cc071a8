"""Words for what one looks for in a region, such as "phase:Na3VPF and area above 0.2"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal["phase", "boundary", "area", "number", "name"]

_NAME = r'"[^"]+"|[^\s"]+'
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = rf"(?:between\s+({_NUMBER})\s+and\s+({_NUMBER})|(above|below)\s+({_NUMBER}))"

_TERMS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("phase", re.compile(rf"phase:\s*({_NAME})", re.I)),
    ("boundary", re.compile(rf"boundary\s+(?:of|between)\s+({_NAME})\s+and\s+({_NAME})", re.I)),
    ("area", re.compile(rf"(area)\s+{_RANGE}(?:\s+[uµ]m[2²])?", re.I)),
    ("number", re.compile(rf"(\w[\w-]*)\s+{_RANGE}(?:\s+nm)?", re.I)),
    ("name", re.compile(r'("[^"]+"|[^\s":]+)')),
)

_JOINED = re.compile(r"\s+(and|or)\s+", re.I)

EXPECTED = (
    'expected words such as "phase:Na3VPF", "x between 2.0 and 2.4", "thickness above 50", '
    '"boundary of Na3VPF and Na2VPF", "area between 0.2 and 2" (um2), or a criterion as "doubt", '
    'joined by "and" or "or"'
)


@dataclass(frozen=True)
class Term:
    """One thing to look for.

    Parameters
    ----------
    kind : {"phase", "boundary", "area", "number", "name"}
    names : tuple of str
        The phase, the two phases of a boundary, "area", the number ("x", "thickness"), or the
        name of another criterion.
    low, high : float
        Limits of an area in um2, or of a number.
    """

    kind: Kind
    names: tuple[str, ...]
    low: float = -np.inf
    high: float = np.inf


def parse_criterion(text: str) -> tuple[tuple[Term, ...], ...]:
    """Return the alternatives ("or") of what is looked for together ("and").

    Raises
    ------
    ValueError
        If the words are none of these, or the first limit is above the second.

    Examples
    --------
    >>> parse_criterion("phase:Na3VPF")
    ((Term(kind='phase', names=('Na3VPF',), low=-inf, high=inf),),)
    >>> [len(together) for together in parse_criterion("x above 2 and area below 1 or doubt")]
    [2, 1]
    """
    alternatives: list[list[Term]] = [[]]
    for word, term in _terms(text):
        if word == "or":
            alternatives.append([])
        alternatives[-1].append(term)
    for together in alternatives:
        if sum(term.kind == "area" for term in together) > 1:
            raise ValueError(f"criterion {text!r} limits the area twice; give both limits at once")
    return tuple(map(tuple, alternatives))


def is_worded(text: str) -> bool:
    """Return True if a criterion is more than one name.

    Examples
    --------
    >>> is_worded("doubt"), is_worded("phase:Na3VPF")
    (False, True)
    """
    return ":" in text or bool(re.search(r"\s", text.strip()))


def _terms(text: str) -> Iterator[tuple[str, Term]]:
    """Yield each term after the word that joins it to the one before."""
    rest, word = text.strip(), "and"
    while True:
        term, length = _first_term(rest, text)
        yield word, term
        rest = rest[length:]
        if not rest:
            return
        joined = _JOINED.match(rest)
        if joined is None:
            raise ValueError(
                f"criterion {text!r} is not understood at {rest.strip()!r}: {EXPECTED}"
            )
        word, rest = joined[1].lower(), rest[joined.end() :]


def _first_term(rest: str, text: str) -> tuple[Term, int]:
    """Return the term at the beginning, and its length."""
    for kind, pattern in _TERMS:
        found = pattern.match(rest)
        if found is None or not (found.end() == len(rest) or rest[found.end()].isspace()):
            continue
        names = tuple(part.strip('"') for part in found.groups()[: 1 + (kind == "boundary")])
        low, high = -np.inf, np.inf
        if kind in ("area", "number"):
            low, high = _limits(*found.groups()[1:])
        if not low <= high:
            raise ValueError(f"criterion {text!r}: {low:g} is above {high:g}")
        return Term(kind, names, low, high), found.end()
    raise ValueError(f"criterion {text!r} is not understood at {rest!r}: {EXPECTED}")


def _limits(
    low: str | None, high: str | None, side: str | None, limit: str | None
) -> tuple[float, float]:
    """Return both limits of "between 1 and 2", "above 1" or "below 2"."""
    if low is not None and high is not None:
        return float(low), float(high)
    assert limit is not None
    return (float(limit), np.inf) if str(side).lower() == "above" else (-np.inf, float(limit))
