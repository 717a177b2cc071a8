"""The runs of a session, and the documents that belong to them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from stxm_live.core.harmless import uid_in
from stxm_live.core.open_runs import OpenRuns
from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.scan import StackScan
from stxm_live.core.worker import Limits
from stxm_live.io.documents import OpenStacks, Roots, RunFrames, StackFrames
from stxm_live.io.large_stacks import check_announced_size
from stxm_live.live.analysis import Found, StackAnalysis
from stxm_live.live.preparation import Prepared
from stxm_live.live.progress import Pace
from stxm_live.live.run import LiveRun
from stxm_live.phase_mapping.exploration import Exploration
from stxm_live.phase_mapping.steps import DEFAULT, Steps

logger = logging.getLogger("stxm_live")

KEPT_RESULTS = 8
"""Number of stacks whose results stay in memory."""

KEPT_UNFINISHED = 32
"""Most runs without an end; beyond this the oldest are given up."""

_PARENTS = ("descriptor", "resource", "stream_resource")
"""Documents that other documents name instead of their run."""


class LiveRuns:
    """Runs by uid, the oldest first; runs of one stack share its analysis.

    Parameters
    ----------
    scan : StackScan, optional
        Description of the scan, for start documents without one.
    roots : Roots, optional
        Folders from which images outside the documents may be read.
    patience_s : float
        Longest wait for image files after the end of a run.
    kept_bytes : int
        Memory that runs and results may take, see `Limits`.
    steps : Steps, optional
        As for `map_phases`.
    """

    def __init__(
        self,
        *,
        scan: StackScan | None = None,
        roots: Roots | None = None,
        patience_s: float = 10.0,
        kept_bytes: int = Limits.kept_bytes,
        steps: Steps = DEFAULT,
    ) -> None:
        self._kept_bytes = kept_bytes
        self._scan = scan
        self._roots = roots or Roots()
        self._patience_s = patience_s
        self._steps = steps
        self._runs: dict[str, LiveRun] = {}
        self._run_of_key: dict[str, str] = {}
        self._open_runs = OpenRuns()
        self._open_stacks = OpenStacks()
        self._joined: dict[StackFrames, StackAnalysis] = {}

    def __contains__(self, uid: str) -> bool:
        return uid in self._runs

    def __iter__(self) -> Iterator[str]:
        return iter(self._runs)

    def __getitem__(self, uid: str) -> LiveRun:
        """Return a run.

        Raises
        ------
        KeyError
            If it was never there, or is no longer in memory.
        """
        if uid not in self._runs:
            raise KeyError(
                f"run {uid[:8]} did not begin while this mapper was subscribed, or is no longer "
                "in memory; use map_run(catalog[uid], recipe)"
            )
        return self._runs[uid]

    def get(self, uid: str | None) -> LiveRun | None:
        """Return a run, or None if it is not there."""
        return None if uid is None else self._runs.get(uid)

    def of(self, name: str, doc: Mapping[str, Any]) -> LiveRun | None:
        """Return the run of a document, or None if it began before we were subscribed."""
        if name == "start":
            return self._runs.get(uid_in(doc, "uid"))
        if "descriptor" in doc:
            uid = self._run_of_key.get(uid_in(doc, "descriptor"), "")
        elif name in ("datum", "datum_page"):
            uid = self._run_of_key.get(uid_in(doc, "resource"), "")
        else:
            uid = uid_in(doc, "run_start")
            if name in _PARENTS and uid in self._runs:
                self._run_of_key[uid_in(doc, "uid")] = uid
        return self._runs.get(uid)

    def register(self, uid: str) -> None:
        """Register a run at its first document, and remove outdated ones."""
        if not uid:
            raise ValueError("a start document has no uid, or one that is no text")
        self._open_runs.take("start", {"uid": uid})
        self._runs[uid] = LiveRun(uid)
        self._forget_outdated()

    def stopped(self, doc: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a stop document with the uid of its run, to which nothing more will come.

        If it does not say which run it ends, the runs that are open have a problem.
        """
        may_end = self._open_runs.uids
        doc, remark = self._open_runs.take("stop", doc)
        if remark:
            logger.warning("%s", remark)
        for run in filter(None, map(self.get, may_end if remark else ())):
            run.problems.append(remark)
        ended = self.get(uid_in(doc, "run_start"))
        if ended is not None:
            ended.delivered_by = None
        return doc

    def begin(self, start: Mapping[str, Any], prepared: Prepared) -> None:
        """Start the analysis of a run with its start document.

        Raises
        ------
        ValueError
            If the run cannot be read as a stack. Some are known as one by their descriptors only.
        """
        frames = RunFrames(
            start,
            self._scan,
            fields=prepared.recipe.fields,
            roots=self._roots,
            open_stacks=self._open_stacks,
        )

        def analyze(frames: RunFrames) -> list[StackAnalysis]:
            for stack_frames in frames.stacks:
                check_announced_size(stack_frames.scan)
            return [self._analysis(f, prepared, Pace(start)) for f in frames.stacks]

        self[uid_in(start, "uid")].begin(frames, analyze, patience_s=self._patience_s)

    def _analysis(self, frames: StackFrames, prepared: Prepared, pace: Pace) -> StackAnalysis:
        """Return the analysis of a stack, which further runs may join."""
        stack = self._joined.get(frames)
        if stack is None:
            stack = StackAnalysis(frames, prepared.recipe, prepared.model, pace, self._steps)
        if self._open_stacks.is_open(frames):
            self._joined[frames] = stack
        return stack

    def close_files(self) -> None:
        """Close the image files of runs that have not ended."""
        for run in self._runs.values():
            run.close_files()

    def end_idle(self, idle_s: float) -> None:
        """End stacks that no run has joined for this time."""
        self._open_stacks.end_idle(idle_s)

    def end_stacks(self) -> Iterator[Found]:
        """Map the stacks that have ended since the last call."""
        for frames in self._open_stacks.take_ended():
            stack = self._joined.pop(frames, None)
            if stack is not None:
                yield from stack.end()

    def endless(self) -> list[LiveRun]:
        """Return the oldest runs without an end, if they are too many or take too much memory."""
        unfinished = [run for run in self._runs.values() if not run.has_stopped]
        too_many = unfinished[:-KEPT_UNFINISHED]
        too_large: list[LiveRun] = []
        for run in unfinished[len(too_many) : -1]:
            if self._held_bytes([*too_many, *too_large]) <= self._kept_bytes:
                break
            too_large.append(run)
        return [*too_many, *too_large]

    def results(self) -> list[PhaseMaps]:
        """Return the maps of each stack that has any, in the order in which the runs began."""
        stacks = self._stacks()
        return [s.maps for s in stacks if s.maps is not None and s.error is None]

    def explorations(self) -> list[Exploration]:
        """Return what was found in each stack that was explored, as `results` does."""
        stacks = self._stacks()
        return [s.exploration for s in stacks if s.exploration is not None and s.error is None]

    def _stacks(self) -> list[StackAnalysis]:
        """Return the stacks of all runs, each once."""
        return list(dict.fromkeys(s for run in self._runs.values() for s in run.stacks))

    def forget_descriptors(self, uid: str) -> None:
        """Remove the descriptors of a run, because no more of its documents will come."""
        for key, run in self._run_of_key.copy().items():  # others are added meanwhile
            if run == uid:
                self._run_of_key.pop(key, None)

    def _forget_outdated(self) -> None:
        """Remove finished runs beyond those of the last stacks, and most that are not stacks."""
        finished = [run for run in self._runs.values() if run.is_done]
        others = [run for run in finished if not run.stacks]
        outdated = others[: max(0, len(others) - KEPT_RESULTS + 1)]
        kept: dict[StackAnalysis, None] = {}
        for run in reversed(finished):
            if len({*kept, *run.stacks}) < max(KEPT_RESULTS, len(run.stacks) + 1):
                kept |= dict.fromkeys(run.stacks)
            elif run.stacks:
                outdated.append(run)
        for run in outdated:
            del self._runs[run.uid]
        for run in [run for run in finished if run.stacks and run.uid in self._runs][:-1]:
            if self._held_bytes() <= self._kept_bytes:
                break
            del self._runs[run.uid]

    def _held_bytes(self, without: Collection[LiveRun] = ()) -> int:
        """Return about how much memory the stacks of all runs take."""
        runs = (run for run in self._runs.values() if run not in without)
        return sum(s.held_bytes for s in {stack for run in runs for stack in run.stacks})
