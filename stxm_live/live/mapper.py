"""`LivePhaseMapper`: subscribe it to a RunEngine, and wait for the maps."""

from __future__ import annotations

import atexit
import logging
import math
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stxm_live.core.harmless import Harmless, as_error, plain, uid_in
from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.plugins import PluginError
from stxm_live.core.recipe import Recipe
from stxm_live.core.scan import StackScan
from stxm_live.core.stack import StackKey
from stxm_live.core.worker import ITEM_BYTES, Limits, Timers, Worker, weakly
from stxm_live.io.documents import Copied, Roots, copied, prepare_copies, with_arrays
from stxm_live.live.analysis import Found, StackStatus
from stxm_live.live.cube import ODCube
from stxm_live.live.not_mapped import NotMapped
from stxm_live.live.preparation import Prepared, prepare
from stxm_live.live.run import LiveRun
from stxm_live.live.runs import LiveRuns
from stxm_live.live.sinks import Callbacks, Sinks
from stxm_live.phase_mapping.exploration import Exploration
from stxm_live.phase_mapping.steps import DEFAULT, Steps

logger = logging.getLogger("stxm_live")

QUIET_S = 0.02
"""Seconds after a document during which the worker pauses for the scan, if no document waits."""

RETRY_S = 0.25
"""Seconds between searches for image files that are not there yet."""

LAST_WAIT_S = 10.0
"""Longest wait for a sink on a thread of its own when Python ends."""


def _end(worker: Worker[Any], sinks: Sinks, timers: Timers, at_exit: Callable[[], None]) -> None:
    """End the threads of a mapper that nobody has any more."""
    atexit.unregister(at_exit)
    timers.cancel()
    worker.close(0.0)
    sinks.close(0.0)


class LivePhaseMapper:
    """A Bluesky callback that turns the documents of a stack into maps as they come.

    With a recipe that has no references it looks for clusters of similar spectra instead, which
    may become references.

    On the thread that runs the scan it copies the pixels and returns; the rest happens on a
    worker thread. Errors there are logged, reported to the sinks and raised by `wait`, but never
    reach the scan.

    Parameters
    ----------
    recipe : Recipe
    scan : StackScan, optional
        Description of runs without an ``stxm`` block; those without its counts are left alone.
    background : bool
        If False, everything happens in the call, on the caller's thread.
    limits : Limits, optional
        Amount of data that may wait for the analysis. Above the first limit display is skipped;
        above the second a run is given up and left to `map_run`. The scan goes on. The third is
        the memory for what is kept.
    roots : sequence of path
        Folders from which images outside the documents may be read; none by default.
    file_timeout_s : float
        Longest wait for image files after the end of a run.
    idle_timeout_s : float
        A stack of several runs ends when no run has joined or left it for this time.
    steps : Steps, optional
        Functions that replace the default ones, as for `map_phases`.

    Examples
    --------
    >>> from stxm_live import LivePhaseMapper, Recipe
    >>> live = LivePhaseMapper(Recipe.load("nvpf"))  # doctest: +SKIP
    >>> RE.subscribe(live)                           # doctest: +SKIP
    >>> (uid,) = RE(stxm_stack(...))                 # doctest: +SKIP
    >>> maps = live.wait(uid, timeout_s=10)          # doctest: +SKIP
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        scan: StackScan | None = None,
        background: bool = True,
        limits: Limits | None = None,
        roots: Sequence[str | Path] = (),
        file_timeout_s: float = 10.0,
        idle_timeout_s: float = 900.0,
        steps: Steps = DEFAULT,
    ) -> None:
        recipe.read_files()  # fail here, not in the middle of a scan
        self.recipe = recipe
        limits = limits or Limits(quiet_s=QUIET_S)
        self._runs = LiveRuns(
            scan=scan,
            roots=Roots(roots),
            patience_s=file_timeout_s,
            kept_bytes=limits.kept_bytes,
            steps=steps,
        )
        self._idle_timeout_s = idle_timeout_s
        self._timers = Timers()
        self._prepared: Prepared | None = None
        self._not_mapped = NotMapped()
        self._sinks = Sinks()
        self._changed = threading.Condition()
        self._is_closed = False
        self._worker: Worker[tuple[str, Copied]] | None = None
        if background:
            prepare_copies()
            # the thread must not keep the mapper alive: it ends with the last reference to it
            self._worker = Worker(
                weakly(self._handle), prepare=weakly(self._warm_up), limits=limits
            )
            at_exit = atexit.register(weakly(self._at_exit))
            parts = (self._worker, self._sinks, self._timers, at_exit)
            weakref.finalize(self, _end, *parts).atexit = False

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take a document; never raises, never waits."""
        with Harmless("a %s document could not be taken", name):
            self._receive(name, plain(doc))

    def _receive(self, name: str, doc: Mapping[str, Any]) -> None:
        if self._is_closed:
            logger.warning("a %s document arrived after close() and was ignored", name)
            return
        if name == "start":
            if (known := self._runs.get(uid := uid_in(doc, "uid"))) and not known.has_stopped:
                logger.warning("run %s began twice; the second is left out", uid)
                return
            self._register(uid)
        if name == "stop":
            doc = self._runs.stopped(doc)
        run, worker = self._runs.of(name, doc), self._worker
        copy = copied(name, doc, room_bytes=worker.room_bytes if worker else math.inf)
        if copy.left_out:
            logger.warning("a %s document has no %s here", name, "; ".join(copy.left_out))
        if worker is None:
            self._handle((name, copy))
        elif copy.has_no_room or not worker.submit((name, copy), n_bytes=copy.n_bytes):
            self._give_up(run, f"{worker.waiting_bytes / 2**20:.2g} MiB wait")
            if name == "stop" and run:  # those who wait for the run hear of it
                worker.submit((name, Copied({"run_start": run.uid}, 0)))

    def add_sink(
        self,
        sink: object = None,
        *,
        on_cube: Callable[[ODCube], None] | None = None,
        on_maps: Callable[[PhaseMaps], None] | None = None,
        on_error: Callable[[str, Exception], None] | None = None,
        on_exploration: Callable[[Exploration], None] | None = None,
        own_thread: bool = False,
    ) -> None:
        """Call functions, or the methods of an object so named, with news of the analysis.

        They run on the worker's thread, one after the other, with arrays that cannot be
        written. An error in one is logged and reported to the others through ``on_error``.
        With ``own_thread`` they run on a thread of their own, for slow work such as drawing:
        maps do not wait for it, and a cube is skipped if a newer one is there.

        Raises
        ------
        TypeError
            If there is no method or function to call.
        """
        given = Callbacks(on_cube, on_maps, on_error, on_exploration)
        self._sinks.add(given.or_those_of(sink), own_thread=own_thread)

    def wait(
        self,
        uid: str,
        *,
        region: str | None = None,
        polarization: str | None = None,
        timeout_s: float,
    ) -> PhaseMaps:
        """Return the maps of a run, when it has ended.

        Raises
        ------
        KeyError
            If the run began before this mapper was subscribed, or is no longer in memory.
        TimeoutError
            If the run has not ended and been mapped in time.
        RuntimeError
            If called on the thread that delivers the run's documents, inside a plan: nothing
            could arrive. Use `stxm_live.plans.wait_for_maps` there.
        ValueError
            If the run is not a stack, if no stack of it matches, or if it has one energy only;
            or if the recipe has no references, see `explored`. Any other error of the analysis is
            raised as it is.
        """
        return self._ended(uid, timeout_s).maps(region, polarization)

    def explored(
        self,
        uid: str,
        *,
        region: str | None = None,
        polarization: str | None = None,
        timeout_s: float,
    ) -> Exploration:
        """Return the clusters of a run without references, when it has ended; errors as `wait`."""
        return self._ended(uid, timeout_s).exploration(region, polarization)

    def change_recipe(self, recipe: Recipe) -> None:
        """Map the runs that begin from now on with another recipe, as one with new references.

        Raises
        ------
        ValueError or OSError
            If a file of the recipe cannot be read; the recipe stays as it was.
        """
        recipe.read_files()
        self.recipe = recipe

    def stacks(self, uid: str) -> list[StackKey]:
        """Return the stacks that a run belongs to."""
        return [stack.key for stack in self._runs[uid].stacks]

    def status(self, uid: str) -> StackStatus:
        """Return the state of a run."""
        return self._runs[uid].status()

    def results(self) -> list[PhaseMaps]:
        """Return the maps that are still in memory, one of each stack, the newest last."""
        with self._changed:
            return self._runs.results()

    def explorations(self) -> list[Exploration]:
        """Return what was found without references, as far as it is in memory, the newest last."""
        with self._changed:
            return self._runs.explorations()

    def close(self, timeout_s: float = 10.0) -> None:
        """Finish what has come in and end the worker; later documents are ignored."""
        self._is_closed = True
        self._timers.cancel()
        with self._changed:
            self._changed.notify_all()
        if self._worker is not None and not self._worker.close(timeout_s):
            logger.warning("the analysis was still busy after %g s", timeout_s)
        else:
            self._runs.close_files()
        self._sinks.close(timeout_s)

    def __enter__(self) -> LivePhaseMapper:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _at_exit(self) -> None:
        """Say what is not mapped when Python ends, and let slow sinks finish."""
        if not self._is_closed and self._worker is not None and self._worker.waiting_bytes:
            logger.warning(
                "Python ends while a run is being mapped; wait for its maps before the end, "
                "or use map_run(catalog[uid], recipe)"
            )
            self._worker.stop(LAST_WAIT_S / 2)
        self._sinks.close(LAST_WAIT_S)

    def _register(self, uid: str) -> None:
        """Register a run at its first document, before the worker handles it."""
        with self._changed:
            self._runs.register(uid)
            for old in self._runs.endless():
                self._give_up(old, "later runs have no end either, and there is no room for it")
                old.has_stopped = True

    def _give_up(self, run: LiveRun | None, reason: str) -> None:
        """Release the data of a run; callers that wait for it get the error at its stop."""
        if run is None or run.is_given_up:
            return
        error = RuntimeError(
            f"run {run.uid[:8]} was given up while it was measured ({reason}); "
            "use map_run(catalog[uid], recipe)"
        )
        logger.error("%s", error)
        with self._changed:
            run.give_up(error)

    def _ended(self, uid: str, timeout_s: float) -> LiveRun:
        """Return a run when it has ended."""
        with self._changed:
            run = self._runs[uid]
            is_worker = self._worker is not None and self._worker.is_current_thread
            run.check_may_wait(is_worker=is_worker)
            self._changed.wait_for(lambda: run.is_done or self._is_closed, timeout_s)
            if not run.is_done:
                raise run.not_done(timeout_s, is_closed=self._is_closed)
        return run

    def _warm_up(self) -> None:
        """Load what the recipe needs."""
        self._prepared = prepare(self.recipe)

    def _handle(self, item: tuple[str, Copied]) -> None:
        """Take a document on the worker's thread; errors are logged and reported."""
        name, doc = item[0], item[1].doc
        run = None
        try:
            run = self._runs.of(name, doc)
            if name == "start":
                self._begin(self._runs[uid_in(doc, "uid")], doc)
            elif name == "idle":
                self._runs.end_idle(self._idle_timeout_s)
            elif run is not None:
                self._continue(run, name, item[1])
            self._tell(self._runs.end_stacks())
        except BaseException as error:
            uid = "None" if run is None else run.uid
            logger.exception("run %s: a %s document could not be used", uid[:8], name)
            if run is not None:
                run.problems.append(f"a {name} document could not be used: {error!r}")
            self._sinks.error(uid, as_error(error))
        finally:
            with self._changed:
                self._changed.notify_all()

    def _begin(self, run: LiveRun, start: Mapping[str, Any]) -> None:
        if self._prepared is None or self._prepared.recipe is not self.recipe:
            self._prepared = prepare(self.recipe)
        try:
            self._runs.begin(start, self._prepared)
        except ValueError as error:
            run.ignore(error)
            is_fault = "stxm" in start or isinstance(error, PluginError)
            logger.log(logging.ERROR if is_fault else logging.INFO, "%s", error)
            if is_fault:
                self._sinks.error(run.uid, error)

    def _continue(self, run: LiveRun, name: str, copy: Copied) -> None:
        """Take a document of a run, and report its new results."""
        known, n_problems = run.failures, len(run.status().problems)
        is_behind = self._worker is not None and self._worker.is_behind
        show = self._sinks.cube if self._sinks.want_cubes and not is_behind else None
        doc = with_arrays(name, copy.doc)
        self._tell(run.take(name, doc, show, is_last=self._is_last(copy.n_bytes)))
        if name == "stop":
            self._stopped(run)
        if run.is_waiting:
            self._look_again(run)
        for problem in run.status().problems[n_problems:]:
            logger.warning("run %s: %s", run.uid[:8], problem)
        for text, error in run.failures.items():
            if text not in known:
                logger.error("run %s: %s", run.uid[:8], text, exc_info=error)
                self._sinks.error(run.uid, error)
            error.__traceback__ = None  # its frames would keep the images in memory

    def _stopped(self, run: LiveRun) -> None:
        """Note that the run has ended; its stack may go on."""
        self._runs.forget_descriptors(run.uid)
        error = run.status().error
        if run.is_given_up and error is not None:
            self._sinks.error(run.uid, error)
        if run.status().state == "ignored":
            self._not_mapped.say(error)
        if not run.is_done and not run.is_waiting:
            self._later(self._idle_timeout_s, "idle", run)

    def _tell(self, results: Iterable[Found]) -> None:
        for found in results:
            self._sinks.result(found)

    def _is_last(self, n_bytes: int) -> bool:
        """Return True if no further document waits behind this one."""
        return self._worker is None or self._worker.waiting_bytes <= n_bytes + ITEM_BYTES

    def _look_again(self, run: LiveRun) -> None:
        """Look for image files again later; without a worker the caller waits for them."""
        if self._worker is not None:
            self._later(RETRY_S, "retry", run)
            return
        while run.has_stopped and run.is_waiting:
            time.sleep(RETRY_S)
            self._tell(run.take("retry", {}, None))

    def _later(self, seconds: float, name: str, run: LiveRun) -> None:
        """Let the worker do something later, only once if requested repeatedly."""
        worker = self._worker
        if worker is not None:
            item = (name, Copied({"run_start": run.uid}, 0))
            self._timers.start(seconds, f"{name} {run.uid}", lambda: worker.submit(item))
