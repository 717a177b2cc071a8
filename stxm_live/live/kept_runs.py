"""The runs that stay in memory, and which of them are forgotten or given up."""

from __future__ import annotations

from collections.abc import Iterator

from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.live.analysis import RunAnalysis, StackAnalysis, StackStatus

KEPT_RESULTS = 8
"""The results of so many stacks stay in memory."""

KEPT_UNFINISHED = 32
"""So many runs may be without an end; of more the oldest are given up."""


class KeptRuns:
    """Runs by uid, the oldest first; the status alone of those that are not analysed."""

    def __init__(self) -> None:
        self._runs: dict[str, RunAnalysis | StackStatus] = {}

    def __contains__(self, uid: str) -> bool:
        return uid in self._runs

    def __iter__(self) -> Iterator[str]:
        return iter(self._runs)

    def __setitem__(self, uid: str, run: RunAnalysis | StackStatus) -> None:
        self._runs[uid] = run

    def get(self, uid: str) -> RunAnalysis | StackStatus | None:
        """A run, if it is there."""
        return self._runs.get(uid)

    def __getitem__(self, uid: str) -> RunAnalysis | StackStatus:
        """A run.

        Raises
        ------
        KeyError
            If it was never there, or is forgotten.
        """
        if uid not in self._runs:
            raise KeyError(
                f"run {uid[:8]} did not begin while this mapper was subscribed, or is no longer "
                "in memory; use map_run(catalog[uid], recipe)"
            )
        return self._runs[uid]

    def is_done(self, uid: str) -> bool:
        """Whether nothing more will come to a run or to its stacks."""
        return self[uid].is_done

    def has_ended(self, uid: str) -> bool:
        """Whether a run has ended; its stack may wait for other runs."""
        run = self[uid]
        return run.is_done if isinstance(run, StackStatus) else run.has_stopped

    def is_under_way(self, uid: str) -> bool:
        """Whether a run has begun and not ended."""
        return uid in self._runs and not self.has_ended(uid)

    def endless(self) -> list[str]:
        """The oldest runs without an end, where there are too many of them."""
        return [uid for uid in self._runs if not self.has_ended(uid)][:-KEPT_UNFINISHED]

    def results(self) -> list[PhaseMaps]:
        """The maps of each stack that has any, in the order in which the runs began."""
        runs = [run for run in self._runs.values() if isinstance(run, RunAnalysis)]
        stacks = dict.fromkeys(stack for run in runs for stack in run.stacks)
        return [s.maps for s in stacks if s.maps is not None and s.error is None]

    def forget_outdated(self) -> None:
        """Forget finished runs beyond those of the last few stacks, and most that are no stack."""
        finished = [uid for uid in self._runs if self.is_done(uid)]
        others = [uid for uid in finished if not isinstance(self[uid], RunAnalysis)]
        outdated = others[: max(0, len(others) - KEPT_RESULTS + 1)]
        kept: dict[StackAnalysis, None] = {}
        for uid in reversed(finished):
            run = self[uid]
            if not isinstance(run, RunAnalysis):
                continue
            if len({*kept, *run.stacks}) < max(KEPT_RESULTS, len(run.stacks) + 1):
                kept |= dict.fromkeys(run.stacks)
            else:
                outdated.append(uid)
        for uid in outdated:
            del self._runs[uid]
