"""Progress of a stack, and its remaining time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Progress:
    """Progress of a stack, by the times of its events.

    Parameters
    ----------
    n_images : int
        Announced energies with a complete image, used by the recipe or not.
    n_announced : int
    image_s : float or None
        Typical seconds per image; None while it is unknown.
    may_skip : bool
        True if the scan may leave energies out; the time left is then an upper limit.
    """

    n_images: int
    n_announced: int
    image_s: float | None = None
    may_skip: bool = False

    @property
    def n_left(self) -> int:
        """Return the number of images that are still to come."""
        return max(0, self.n_announced - self.n_images)

    @property
    def left_s(self) -> float | None:
        """Return the seconds until the last image, from the newest one; None if not known."""
        return None if self.image_s is None else self.n_left * self.image_s


class Pace:
    """Record of the times of a stack's images.

    Parameters
    ----------
    start : dict
        The start document.
    """

    def __init__(self, start: Mapping[str, Any]) -> None:
        self._began_s = time_of(start)
        self._came_s: dict[float | None, float] = {}

    def came(self, energies_ev: Sequence[float | None], time_s: float) -> None:
        """Record when images became complete; the later time is used."""
        self._came_s.update(dict.fromkeys(energies_ev, time_s))

    def progress(self, n_images: int, n_announced: int, *, may_skip: bool = False) -> Progress:
        """Return the progress of the stack with this number of images."""
        times_s = [self._began_s, *self._came_s.values()]
        return Progress(n_images, n_announced, image_time_s(times_s), may_skip)


def time_of(doc: Mapping[str, Any]) -> float:
    """Return the time of a document, for a page that of its last event; NaN if it has none."""
    time_s = doc.get("time")
    if isinstance(time_s, Sequence) and time_s:
        time_s = time_s[-1]
    return float(time_s) if isinstance(time_s, float) else nan


def image_time_s(times_s: Sequence[float]) -> float | None:
    """Return the typical seconds per image.

    Parameters
    ----------
    times_s : sequence of float
        Times of the start of the scan and of each image, in any order. Times that are not
        finite are left out.

    Returns
    -------
    float or None
        The median of the times between them, or the lower one of the middle two. A pause, or an
        image that came again, counts as one long image and has no effect. None if there are not
        two different times.

    Examples
    --------
    >>> image_time_s([0.0, 10.0, 20.0, 620.0, 630.0])
    10.0
    """
    steps = np.diff(np.unique([time for time in times_s if isfinite(time)]))
    return float(np.sort(steps)[(len(steps) - 1) // 2]) if len(steps) else None


def duration_in_words(seconds: float) -> str:
    """Return a length of time in words.

    Examples
    --------
    >>> [duration_in_words(s) for s in (0.4, 8, 52, 89, 250, 3540, 5000, 100_000)]
    ['1 s', '8 s', '50 s', '90 s', '4 min', '59 min', '1 h 25 min', '28 h']
    """
    if seconds < 95:
        rounded = max(1, round(seconds)) if seconds < 10 else 5 * round(seconds / 5)
        return f"{rounded} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 600:
        hours, minutes = divmod(5 * round(minutes / 5), 60)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{round(minutes / 60)} h"
