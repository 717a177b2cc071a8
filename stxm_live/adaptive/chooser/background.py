"""Suggestions made in the background, on their own thread, from the newest maps only."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from stxm_live.adaptive.chooser.drawn_boxes import LimitsUm
from stxm_live.core.harmless import as_error
from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.region import Region
from stxm_live.core.worker import Worker

logger = logging.getLogger("stxm_live")

Suggest = Callable[[PhaseMaps, Sequence[Region]], Sequence[Region]]
"""Function from maps, and the regions scanned since, to the next regions; the best first."""


@dataclass(frozen=True)
class Suggestions:
    """Suggested regions; ``problem`` is the reason if there are none.

    ``is_ready`` is False while they are being made.
    """

    regions: tuple[Region, ...] = ()
    problem: str = ""
    is_ready: bool = False


class Suggesting:
    """Make suggestions from maps; results for older maps are dropped.

    Parameters
    ----------
    suggest : Suggest
        Called on this object's thread. A ValueError is the reason if there is nothing to suggest;
        any other failure is logged and reported in the same place.
    """

    def __init__(self, suggest: Suggest) -> None:
        self._suggest = suggest
        self._lock = threading.Lock()
        self._wanted: tuple[PhaseMaps, tuple[Region, ...]] | None = None
        self._made = Suggestions()
        self._worker: Worker[None] = Worker(self._work, name="stxm-live-suggest")

    @property
    def newest(self) -> Suggestions:
        """Return the suggestions of the newest maps, finished or not."""
        with self._lock:
            return self._made

    def begin(self, maps: PhaseMaps, scanned: Sequence[Region]) -> None:
        """Make suggestions from these maps; returns at once."""
        with self._lock:
            self._wanted = (maps, tuple(scanned))
            self._made = Suggestions()
        self._worker.submit(None)

    def forget(self, problem: str) -> None:
        """Drop the suggestions; ``problem`` gives the reason until the next `begin`."""
        with self._lock:
            self._wanted = None
            self._made = Suggestions(problem=problem)

    def close(self, timeout_s: float) -> bool:
        """End the thread; return True if it ended in time."""
        with self._lock:
            self._wanted = None
        return self._worker.close(timeout_s)

    def _work(self, _: None) -> None:
        with self._lock:
            wanted = self._wanted
        if wanted is None or self.newest.is_ready:
            return
        made = self._made_from(*wanted)
        with self._lock:
            if self._wanted is wanted:
                self._made = made

    def _made_from(self, maps: PhaseMaps, scanned: Sequence[Region]) -> Suggestions:
        """Return suggestions, or the error as their problem, since someone may wait for them."""
        try:
            regions = tuple(self._suggest(maps, scanned))
        except ValueError as error:
            return Suggestions(problem=f"{maps.key}: {error}", is_ready=True)
        except BaseException as caught:
            logger.exception("%s: no regions could be suggested", maps.key)
            problem = f"{maps.key}: no regions could be suggested ({as_error(caught)!r})"
            return Suggestions(problem=problem, is_ready=True)
        problem = "" if regions else f"{maps.key}: no region is left that would be worth a scan"
        return Suggestions(regions, problem, is_ready=True)


def suggester(
    n: int,
    *,
    size_um: tuple[float, float] | None = None,
    limits_um: LimitsUm | None = None,
    **options: Any,
) -> Suggest:
    """Return the library's own function: `suggest_regions` without regions already scanned.

    Parameters
    ----------
    n : int
        Largest number of suggestions.
    size_um : (float, float), optional
        Width and height; by default a third of the field.
    limits_um : ((float, float), (float, float)), optional
        Limits of x and y.
    **options
        Options of `suggest_regions`: criterion, step_um, dwell_ms and others.
    """

    def suggest(maps: PhaseMaps, scanned: Sequence[Region]) -> Sequence[Region]:
        from stxm_live.adaptive.regions import suggest_regions

        x0, x1, y0, y1 = maps.extent_um
        size = size_um or (abs(x1 - x0) / 3, abs(y1 - y0) / 3)
        return suggest_regions(maps, n, size_um=size, limits=limits_um, scanned=scanned, **options)

    return suggest
