"""The plan of an exploration: an overview, and zooms into chosen regions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import numpy as np
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from stxm_live.adaptive.chooser import RegionChooser
from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.region import Region
from stxm_live.core.scan import StackScan
from stxm_live.live.mapper import LivePhaseMapper
from stxm_live.plans.choose import wait_for_region
from stxm_live.plans.limits import check_limits, check_reach
from stxm_live.plans.maps import wait_for_maps
from stxm_live.plans.stack import stxm_stack
from stxm_live.plans.waiting import until

logger = logging.getLogger("stxm_live")


def explore(
    detector: Readable,
    energy: Movable,
    energies_ev: Sequence[float],
    overview: Region,
    *,
    chooser: RegionChooser,
    live: LivePhaseMapper,
    y_axis: Movable | None = None,
    maps: PhaseMaps | None = None,
    n_zooms: int = 3,
    auto: bool = False,
    choice_timeout_s: float = 600.0,
    default: int | None = None,
    maps_timeout_s: float = 60.0,
    stack_plan: Callable[..., MsgGenerator[str]] = stxm_stack,
    md: dict[str, Any] | None = None,
    **options: Any,
) -> MsgGenerator[tuple[str, ...]]:
    """Record an overview, then stacks of regions that are chosen on its maps.

    Every stack is a run of its own; those of one exploration have the same ``group_uid``, and the
    zooms name the overview's run as ``parent``, and carry its I0 for fields without empty
    support. The shutter is closed between them. A choice made
    while a stack is recorded is kept for the next question; one that is out of reach is refused,
    in `RegionChooser.refused`, and the question stays. The exploration ends early, with a
    warning that gives the reason, if no choice is made in time, or if no suggestion is left.

    Parameters
    ----------
    detector, energy, y_axis
        As for `stxm_stack`.
    energies_ev : sequence of float
        Energies of all stacks, also of the overview, because regions are chosen on its maps.
    overview : Region
        The whole field, coarsely.
    chooser : RegionChooser
        Source of choices and suggestions.
    live : LivePhaseMapper
        Mapper subscribed to the RunEngine.
    maps : PhaseMaps, optional
        Maps of the overview, if it is already recorded, to continue an exploration that ended.
    n_zooms : int
        Largest number of zooms.
    auto : bool
        If True, take the best suggestion at once, unless a person has chosen meanwhile.
    choice_timeout_s : float
        Longest wait for a choice.
    default : int, optional
        Suggestion to take if no choice is made in time (the best is 1); None ends the
        exploration then.
    maps_timeout_s : float
        Longest wait for maps and suggestions.
    stack_plan : callable
        Plan that records a stack, with the arguments of `stxm_stack`.
    md : dict, optional
        Metadata for every run.
    **options
        Options of every stack: ``mode``, ``shutter``, ``monitors`` and others of `stxm_stack`.

    Returns
    -------
    tuple of str
        The uids of the runs recorded, the overview's first.

    Raises
    ------
    ValueError
        As `stxm_stack`, before anything moves; if the recipe has no references; or if the
        overview shows no specimen.
    TimeoutError, KeyError
        As `wait_for_maps`. After any error, the shutter is closed and the axes are moved back.
    """

    def record(region: Region, md: dict[str, Any], parent: PhaseMaps | None) -> MsgGenerator[str]:
        return stack_plan(
            detector,
            energy,
            energies_ev,
            region,
            y_axis=y_axis,
            i0_counts=None if parent is None else _i0_counts(parent, overview, region, energies_ev),
            group_uid=group_uid,
            parent=None if parent is None else parent.key.run_uids[0],
            md={"plan_name": "explore", **common, **md},
            **options,
        )

    if live.recipe.references is None:
        raise ValueError(
            "regions are chosen from maps, and the recipe has no references yet; scan the field "
            "with stxm_stack, name its clusters and save them as references first"
        )
    group_uid, common = str(uuid4()), md or {}
    exploration = _Exploration(
        chooser=chooser,
        live=live,
        record=record,
        out_of_reach=lambda region: _out_of_reach(detector, y_axis, region, energies_ev),
        maps_timeout_s=maps_timeout_s,
    )
    ask = _Asking(auto, choice_timeout_s, 1 if auto else default)

    def steps() -> MsgGenerator[tuple[str, ...]]:
        seen = maps or (yield from exploration.overview(replace(overview, name="overview")))
        uids = () if maps else seen.key.run_uids
        return uids + (yield from exploration.zooms(seen, n_zooms, ask))

    return (yield from bpp.reset_positions_wrapper(steps(), [energy]))


@dataclass(frozen=True)
class _Asking:
    """Settings of the question for the next region."""

    auto: bool
    timeout_s: float
    default: int | None


@dataclass(frozen=True)
class _Exploration:
    """Devices and settings of all steps of an exploration."""

    chooser: RegionChooser
    live: LivePhaseMapper
    record: Callable[[Region, dict[str, Any], PhaseMaps | None], MsgGenerator[str]]
    out_of_reach: Callable[[Region], MsgGenerator[str]]
    maps_timeout_s: float

    def overview(self, region: Region) -> MsgGenerator[PhaseMaps]:
        """Record the whole field and return its maps."""
        uid = yield from self.record(region, {}, None)
        yield from bps.checkpoint()  # a pause from here on repeats nothing of the stack
        maps = yield from wait_for_maps(self.live, uid, timeout_s=self.maps_timeout_s)
        if not (maps.specimen & maps.valid).any():
            raise ValueError(
                f"{maps.key}: the overview shows no specimen, so there is nothing to zoom into"
            )
        return maps

    def zooms(self, maps: PhaseMaps, n: int, ask: _Asking) -> MsgGenerator[tuple[str, ...]]:
        """Ask for regions on these maps and record them; return the uids."""
        uids: list[str] = []
        with self.chooser.exploring(maps):
            for k in range(1, n + 1):
                region, chosen_by = yield from self._choice(ask, f"zoom {k} of {n}")
                if region is None:
                    logger.warning(
                        "the exploration ends after %d of %d zooms: %s", k - 1, n, chosen_by
                    )
                    break
                zoom = replace(region, name=f"zoom {k}")
                why = {"by": chosen_by, "criterion": region.criterion, "reason": region.reason}
                uids.append((yield from self.record(zoom, {"chosen": why}, maps)))
                yield from bps.checkpoint()
                yield from self._maps_of_zoom(zoom, uids[-1])
        return tuple(uids)

    def _maps_of_zoom(self, zoom: Region, uid: str) -> MsgGenerator[None]:
        """Wait for the maps of a zoom, for the next choice; go on without if there are none.

        The next question is asked on the overview in any case.
        """
        yield from until(lambda: self.live.status(uid).is_done, self.maps_timeout_s)
        status = self.live.status(uid)
        if not status.is_done or status.error is not None:
            problem = status.error or f"not there after {self.maps_timeout_s:g} s"
            logger.warning(
                "%s, run %s: no maps (%s); its images are kept, the exploration goes on",
                *(zoom.name, uid[:8], problem),
            )
        keys = self.live.stacks(uid)
        self.chooser.add_scanned(zoom, keys[0] if keys else None)

    def _choice(self, ask: _Asking, question: str) -> MsgGenerator[tuple[Region | None, str]]:
        """Return the region to scan next and its source; without a region, the reason."""
        if ask.auto:
            yield from until(self._has_suggestions, self.maps_timeout_s)
        while True:
            region = yield from wait_for_region(
                self.chooser, timeout_s=0 if ask.auto else ask.timeout_s, question=question
            )
            if region is None:
                return (yield from self._suggestion(ask))
            problem = yield from self.out_of_reach(region)
            if not problem:
                return region, "person"
            self.chooser.refuse(problem)

    def _suggestion(self, ask: _Asking) -> MsgGenerator[tuple[Region | None, str]]:
        """Return the first suggestion, from the default on, that is within reach."""
        if ask.default is None:
            return None, f"no region was chosen within {ask.timeout_s:g} s"
        yield from until(self._has_suggestions, self.maps_timeout_s)
        problem = self.chooser.no_suggestions or f"there is no suggestion {ask.default}"
        for region in self.chooser.suggestions[ask.default - 1 :]:
            problem = yield from self.out_of_reach(region)
            if not problem:
                return region, "suggestion"
        return None, problem

    def _has_suggestions(self) -> bool:
        return self.chooser.is_ready


def _i0_counts(
    maps: PhaseMaps, overview: Region, zoom: Region, energies_ev: Sequence[float]
) -> list[float]:
    """Return the I0 that the overview measured, for the dwell of a zoom."""
    longer = zoom.dwell_ms / overview.dwell_ms
    i0: list[float] = (longer * np.interp(energies_ev, maps.energies_ev, maps.i0)).tolist()
    return i0


def _out_of_reach(
    detector: Readable, y_axis: Movable | None, region: Region, energies_ev: Sequence[float]
) -> MsgGenerator[str]:
    """Return the reason why a region cannot be scanned; empty if it can."""
    try:
        scan = StackScan(
            shape=(len(energies_ev), region.ny, region.nx),
            energies_ev=tuple(energies_ev),
            x_extent_um=region.x_extent_um,
            y_extent_um=region.y_extent_um,
            dwell_ms=region.dwell_ms,
            data_field=detector.name,
        )
        check_reach(detector, scan)
        if y_axis is not None:
            yield from check_limits(y_axis, region.y_extent_um)
    except ValueError as error:
        return str(error)
    return ""
