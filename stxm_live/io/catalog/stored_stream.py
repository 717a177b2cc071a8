"""A stream of a stored run, wherever it is read from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class StoredStream:
    """What is known of a stream without its images.

    Parameters
    ----------
    name : str
    descriptor : dict
        The first one of the stream.
    shapes : mapping of str to sequence of int
        Shapes of the stored arrays; the first axis is that of the events.
    table : callable
        Returns the columns of the numbers and texts in its events; empty if there are none.
    """

    name: str
    descriptor: dict[str, Any]
    shapes: Mapping[str, Sequence[int]]
    table: Callable[[], Mapping[str, Sequence[Any]]]
