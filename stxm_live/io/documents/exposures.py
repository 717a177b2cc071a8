"""Exposures of one image that come in events of their own, and are added up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.io.documents.handlers import MAX_FRAMES

_SAME_EV = 0.05
"""Readbacks of one energy differ by less."""


class Exposure(NamedTuple):
    """Counts of an image (ny, nx), with the energy and the monitor that were read with it."""

    counts: NDArray[np.float32]
    readback_ev: float | None
    monitor: float | None


def exposures_of(start: Mapping[str, Any], *, is_part: bool) -> int:
    """Return how many exposures of each energy the plan takes; 1 if it does not say.

    Parameters
    ----------
    start : dict
        The start document. Its ``num``, or that of ``plan_args``, is the number, unless it is the
        number of points.
    is_part : bool
        True if the run is a part of a stack, so that a count of several is one image.

    Examples
    --------
    >>> exposures_of({"plan_name": "mine", "plan_args": {"num": 3}}, is_part=False)
    3
    >>> exposures_of({"plan_name": "scan", "num_points": 3, "plan_args": {"num": 3}}, is_part=True)
    1
    """
    arguments = start.get("plan_args")
    num = start.get("num", arguments.get("num") if isinstance(arguments, Mapping) else None)
    if not isinstance(num, int) or not 1 < num <= MAX_FRAMES:
        return 1
    is_count = start.get("plan_name") == "count"
    if is_count:
        return num if is_part else 1
    return 1 if start.get("num_points") == num else num


class _Group:
    """Exposures of one energy, by the numbers of their events."""

    def __init__(self) -> None:
        self.parts: dict[int, Exposure] = {}

    def fits(self, exposure: Exposure) -> bool:
        """Return True if the energy is that of the others, as far as it is known."""
        energies_ev = [p.readback_ev for p in self.parts.values() if p.readback_ev is not None]
        if exposure.readback_ev is None or not energies_ev:
            return True
        return abs(energies_ev[0] - exposure.readback_ev) <= _SAME_EV

    def added(self) -> Exposure:
        """Return the sum of the counts and of the monitor, at the mean energy."""
        parts = [self.parts[number] for number in sorted(self.parts)]
        counts = np.sum([p.counts for p in parts], axis=0, dtype=np.float64)
        energies = [p.readback_ev for p in parts if p.readback_ev is not None]
        monitors = [p.monitor for p in parts if p.monitor is not None]
        return Exposure(
            np.asarray(counts, dtype=np.float32),
            float(np.mean(energies)) if energies else None,
            float(np.sum(monitors)) if len(monitors) == len(parts) else None,
        )


class Exposures:
    """Images of one stack whose exposures are added.

    Exposures belong together if they follow each other at the same energy. One that is sent again
    replaces the earlier. If already the second event has another energy, the number of the plan
    means something else, and each event is an image.

    Parameters
    ----------
    n_exposures : int
        Number of exposures of each image, as the plan says it.
    needs_energy : bool
        If True, events without an energy are not added: nothing shows that they belong together.

    Attributes
    ----------
    note : str
        What is to be said about the exposures so far; empty if nothing.
    """

    def __init__(self, n_exposures: int, *, needs_energy: bool = True) -> None:
        self.n_exposures = n_exposures
        self._needs_energy = needs_energy
        self.note = ""
        self._groups: dict[int, _Group] = {}

    def add(self, number: int, exposure: Exposure) -> list[tuple[int, Exposure]]:
        """Take the exposure of an event; return images that are complete, with their places."""
        if self._needs_energy and exposure.readback_ev is None and not self._groups:
            self.n_exposures = 1
        if self.n_exposures == 1:
            return [(number - 1, exposure)]
        for place, group in self._groups.items():
            if number in group.parts:
                group.parts[number] = exposure
                return self._complete(place)
        place = max(self._groups, default=-1)
        done: list[tuple[int, Exposure]] = []
        current = self._groups.get(place)
        if current is not None and len(current.parts) < self.n_exposures:
            if current.fits(exposure):
                current.parts[number] = exposure
                return self._complete(place)
            if place == 0 and len(current.parts) == 1:
                self.n_exposures = 1
                (first,) = current.parts
                return [(first - 1, current.parts[first]), (number - 1, exposure)]
            done = self._cut_off(place)
        self._groups[place + 1] = _Group()
        self._groups[place + 1].parts[number] = exposure
        self._groups.pop(place - 1, None)  # a scan that is resumed goes back by one image
        return done

    def _complete(self, place: int) -> list[tuple[int, Exposure]]:
        parts = self._groups[place].parts
        if len(parts) < self.n_exposures:
            return []
        return [((min(parts) - 1) // self.n_exposures, self._groups[place].added())]

    def _cut_off(self, place: int) -> list[tuple[int, Exposure]]:
        """Return an image of fewer exposures than the plan says, if it is the first one."""
        n = len(self._groups[place].parts)
        if place > 0:
            self.note = f"image {place + 1} has {n} of {self.n_exposures} exposures; left out"
            return []
        self.note = f"each image has {n} exposures; the plan says {self.n_exposures}"
        self.n_exposures = n
        return self._complete(place)

    def end(self) -> None:
        """Say in ``note`` if the last image lacks exposures."""
        place = max(self._groups, default=-1)
        n = len(self._groups[place].parts) if place >= 0 else self.n_exposures
        if n == self.n_exposures:
            self.note = ""
        else:
            self.note = f"image {place + 1} has {n} of {self.n_exposures} exposures; left out"
