"""Regions as the points of bluesky-adaptive 1.x: its protocols, without importing it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import bluesky.preprocessors as bpp
import numpy as np
from bluesky.utils import MsgGenerator

from stxm_live.adaptive.chooser import RegionChooser
from stxm_live.core.region import Region
from stxm_live.live.mapper import LivePhaseMapper
from stxm_live.plans.waiting import until

Points = Sequence[Mapping[str, Any]]


class RegionOptimizer:
    """Optimizer, acquisition plan and evaluation function of an ``OptimizationProblem``.

    Points are regions of the chooser, with a person's choice first. The outcome of one is
    ``doubt``, the mean probability of a wrong label in its maps; NaN without maps. ``record`` is
    a plan that scans a region and returns the uid of its run.
    """

    def __init__(
        self,
        chooser: RegionChooser,
        live: LivePhaseMapper,
        record: Callable[[Region], MsgGenerator[str]],
        timeout_s: float = 60.0,
    ) -> None:
        self.chooser, self.live, self.record, self.timeout_s = chooser, live, record, timeout_s
        self.regions: list[Region] = []
        self.outcomes: list[Mapping[str, Any]] = []

    def suggest(self, num_points: int | None = None) -> Points:
        """Return the next regions, by their center; raises ValueError if there is none."""
        found = [r for r in (self.chooser.claim(), *self.chooser.suggestions) if r is not None]
        if not found:
            raise ValueError(self.chooser.no_suggestions or "there are no maps to choose on yet")
        first = len(self.regions)
        self.regions += found[: num_points or 1]
        middles = [(np.mean(r.x_extent_um), np.mean(r.y_extent_um)) for r in self.regions[first:]]
        return [{"_id": first + k, "x_um": x, "y_um": y} for k, (x, y) in enumerate(middles)]

    def acquire(self, points: Points, *_: Any, **__: Any) -> MsgGenerator[tuple[str, ...]]:
        """Scan each region in a run of its own; wait for its maps and new suggestions."""
        uids: list[str] = []
        for region in (self.regions[point["_id"]] for point in points):
            uids.append((yield from bpp.set_run_key_wrapper(self.record(region), "stxm_live")))
            yield from until(lambda: self.live.status(uids[-1]).is_done, self.timeout_s)
            self.chooser.add_scanned(region)
        yield from until(lambda: self.chooser.is_ready, self.timeout_s)
        return tuple(uids)

    def evaluate(self, uids: Sequence[str], points: Points) -> Points:
        """Return the outcome of each region."""
        both = zip(points, uids, strict=True)
        return [{"_id": point["_id"], "doubt": self._doubt(uid)} for point, uid in both]

    def ingest(self, points: Points) -> None:
        """Keep the outcomes; the suggestions already use the maps."""
        self.outcomes += points

    def get_best_points(self) -> Sequence[tuple[Any, Mapping[str, Any], Mapping[str, Any]]]:
        """Return all regions that were scanned."""
        return [(outcome["_id"], {}, outcome) for outcome in self.outcomes]

    def _doubt(self, uid: str) -> float:
        if self.live.status(uid).state != "mapped":
            return float("nan")
        wrong = self.live.wait(uid, timeout_s=0).wrong_probability
        return float("nan") if wrong is None else float(np.nanmean(wrong))
