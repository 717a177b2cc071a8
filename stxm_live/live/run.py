"""One run, from its first document to its maps or its error."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.stack import the_one
from stxm_live.io.documents import RunFrames
from stxm_live.live.analysis import Found, Show, StackAnalysis, StackStatus, State
from stxm_live.live.progress import time_of
from stxm_live.phase_mapping.exploration import Exploration

Analyze = Callable[[RunFrames], Sequence[StackAnalysis]]

_ORDER: tuple[State, ...] = ("failed", "scanning", "waiting", "overview", "explored", "mapped")
"""States of stacks; a run of several has the first of these that one of them has."""


class LiveRun:
    """A run and its stacks; it has none before the analysis, or if the run is not a stack.

    It is made on the thread that delivers the run's documents, with the start document. The
    analysis starts with `begin` on the worker's thread; `ignore` and `give_up` end it.

    Parameters
    ----------
    uid : str

    Attributes
    ----------
    stacks : tuple of StackAnalysis
        Analyses of the stacks; a stack of several runs is shared by these.
    delivered_by : int or None
        The thread that delivers its documents, until the stop document arrives.
    has_stopped : bool
        True if its stop document was taken; its stacks may wait for files or for other runs.
    problems : list of str
    """

    def __init__(self, uid: str) -> None:
        self.uid = uid
        self.stacks: tuple[StackAnalysis, ...] = ()
        self.delivered_by: int | None = threading.get_ident()
        self.has_stopped = False
        self.problems: list[str] = []
        self._lock = threading.Lock()
        self._without_stacks = StackStatus("waiting")
        self._frames: RunFrames | None = None
        self._patience_s = 0.0
        self._deadline_s = math.inf
        self._event_s = math.nan
        self._analyze: Analyze | None = None

    def begin(self, frames: RunFrames, analyze: Analyze, *, patience_s: float) -> None:
        """Start the analysis of the run, unless it was given up before.

        Parameters
        ----------
        frames : RunFrames
        analyze : function
            Return the analyses of ``frames.stacks``; it is called as soon as there are any.
        patience_s : float
            Longest wait for image files after the end of the run.
        """
        with self._lock:
            if self.is_given_up:
                return
            self._patience_s = patience_s
            self._frames, self._analyze = frames, analyze
        self._begin_stacks(frames)

    def _begin_stacks(self, frames: RunFrames) -> tuple[StackAnalysis, ...]:
        """Return the stacks, which are begun as soon as the run's documents describe them.

        A run that is none, and one that is too large, is ignored.
        """
        if self._analyze is None or self.stacks:
            return self.stacks
        stacks: tuple[StackAnalysis, ...] = ()
        try:
            stacks = tuple(self._analyze(frames))
        except ValueError as error:
            self._frames = None
            self.ignore(error)
        if frames.is_closed and frames.why_no_stack is not None:
            self.ignore(frames.why_no_stack)
        with self._lock:
            self.stacks = () if self.is_given_up else stacks
        return stacks

    def ignore(self, error: Exception) -> None:
        """Ignore the run, because it is not a stack."""
        self._without_stacks = StackStatus("ignored", error=error)

    def give_up(self, error: Exception) -> None:
        """Release the data of the run."""
        with self._lock:
            self._without_stacks = replace(self.status(), state="given up", error=error)
            self.stacks = ()
            self._frames = None
        self.delivered_by = None

    def close_files(self) -> None:
        """Close the image files of a run that has not ended."""
        if self._frames is not None:
            self._frames.close_files()

    def take(
        self, name: str, doc: Mapping[str, Any], show: Show | None, *, is_last: bool = True
    ) -> Iterator[Found]:
        """Take a document, or another look for files ("retry"); yield new results."""
        frames = self._frames  # it may be given up meanwhile
        if frames is None:
            self.has_stopped |= name == "stop"
            return
        if name == "retry":
            new = frames.retry()
            if frames.n_waiting and time.monotonic() + frames.next_look_s > self._deadline_s:
                new += frames.give_up()
        else:
            new = frames(name, doc)
        stacks = self._begin_stacks(frames)
        if name == "stop":
            self.has_stopped = True
            self._deadline_s = time.monotonic() + self._patience_s
        if name in ("event", "event_page"):
            self._event_s = time_of(doc)
        for stack_frames, stack in zip(frames.stacks, stacks, strict=False):
            whole = [frame for of, frame in new if of is stack_frames]
            yield from stack.take(whole, show, is_last=is_last, time_s=self._event_s)
            if stack_frames.is_closed:
                yield from stack.end()
        if frames.is_closed:
            self._frames = None

    @property
    def is_given_up(self) -> bool:
        """Return True if the mapper could not keep up with the run."""
        return self._without_stacks.state == "given up"

    @property
    def is_waiting(self) -> bool:
        """Return True if images wait for their files."""
        frames = self._frames
        return frames is not None and frames.n_waiting > 0

    @property
    def is_done(self) -> bool:
        """Return True if the run has ended and nothing more will come to its stacks."""
        stacks = self.stacks
        if not stacks:
            return self.has_stopped
        return self._frames is None and all(stack.is_done for stack in stacks)

    def status(self) -> StackStatus:
        """Return the state of the run; for several stacks the sums, and the first error."""
        each = [stack.status() for stack in self.stacks]
        if not each:
            return replace(self._without_stacks, is_done=self.has_stopped)
        states = [status.state for status in each]
        return StackStatus(
            next(state for state in _ORDER if state in states),
            sum(status.n_images for status in each),
            sum(status.n_announced for status in each),
            self.is_done,
            (*self.problems, *(problem for status in each for problem in status.problems)),
            next((status.error for status in each if status.error is not None), None),
        )

    def maps(self, region: str | None, polarization: str | None) -> PhaseMaps:
        """Return the maps of a stack of the finished run; None stands for any.

        Raises
        ------
        ValueError
            If there are none. Any other error of the analysis is raised as it is.
        """
        stack = self._stack(region, polarization)
        if stack.maps is None:
            raise ValueError(f"run {self.uid[:8]}: {stack.why_no_maps}")
        return stack.maps

    def exploration(self, region: str | None, polarization: str | None) -> Exploration:
        """Return what was found in a stack without references; errors as for `maps`."""
        stack = self._stack(region, polarization)
        if stack.exploration is None:
            why = "it was mapped with references" if stack.maps is not None else stack.no_phases
            raise ValueError(f"run {self.uid[:8]} was not explored: {why or 'nothing was made'}")
        return stack.exploration

    def _stack(self, region: str | None, polarization: str | None) -> StackAnalysis:
        """Return a stack of the finished run; raise its error if it has one."""
        if not self.stacks:
            error = self._without_stacks.error
            raise error or ValueError(f"run {self.uid[:8]} is not a stack")
        stack = the_one(self.stacks, region, polarization)
        if stack.error is not None:
            raise stack.error.with_traceback(None)
        return stack

    def check_may_wait(self, *, is_worker: bool) -> None:
        """Raise an error if this thread would wait for something that it has to do itself."""
        if is_worker:
            raise RuntimeError(
                "a sink cannot wait for maps, because it runs on the thread that makes them"
            )
        if self.delivered_by == threading.get_ident():
            raise RuntimeError(
                f"run {self.uid[:8]} is delivered by this thread and cannot end while it waits; "
                "in a plan use: yield from stxm_live.plans.wait_for_maps(live, uid, timeout_s=...)"
            )

    def not_done(self, timeout_s: float, *, is_closed: bool) -> Exception:
        """Return the reason why there is no result yet."""
        if is_closed:
            return RuntimeError(
                f"run {self.uid[:8]}: the mapper was closed before the run ended; "
                "use map_run(catalog[uid], recipe)"
            )
        status = self.status()
        return TimeoutError(
            f"run {self.uid[:8]}: no maps after {timeout_s:g} s; {status.n_images} of "
            f"{status.n_announced} images are in, "
            f"{'the stack is not whole' if self.has_stopped else 'the run has not ended'}"
        )

    @property
    def failures(self) -> dict[str, Exception]:
        """Return the errors that prevent maps or growing cubes, by their message."""
        errors = [error for stack in self.stacks for error in (stack.hidden, stack.error)]
        return {str(error): error for error in errors if error is not None}
