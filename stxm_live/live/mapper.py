"""`LivePhaseMapper`: subscribe it to a RunEngine, and wait for the maps."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.plugins import PluginError
from stxm_live.core.recipe import Recipe
from stxm_live.core.scan import StackScan
from stxm_live.core.stack import StackKey
from stxm_live.core.worker import ITEM_BYTES, Limits, Timers, Worker
from stxm_live.io.documents import Roots, size_bytes, snapshot
from stxm_live.live.analysis import Analyses, RunAnalysis, StackStatus
from stxm_live.live.cube import ODCube
from stxm_live.live.kept_runs import KEPT_UNFINISHED, KeptRuns
from stxm_live.live.sinks import Callbacks, Sinks
from stxm_live.phase_mapping.latent_space.bundle import BundleError
from stxm_live.phase_mapping.latent_space.model import LatentModel, load_model
from stxm_live.phase_mapping.steps import DEFAULT, Steps

logger = logging.getLogger("stxm_live")

QUIET_S = 0.02
"""So long after a document the worker lets the scan go on alone, unless more documents wait."""

RETRY_S = 0.25
"""How often image files that are not there yet are looked for."""


class Sink(Protocol):
    """Anything with some of these methods; they are called on the worker's thread."""

    def on_cube(self, view: ODCube) -> None: ...  # noqa: D102
    def on_maps(self, maps: PhaseMaps) -> None: ...  # noqa: D102
    def on_error(self, uid: str, error: Exception) -> None: ...  # noqa: D102


class LivePhaseMapper:
    """A Bluesky callback that turns the documents of a stack into maps as they come.

    On the thread that runs the scan it copies the pixels and returns; all else happens on a
    worker thread. Whatever goes wrong there is logged, told to the sinks and raised by `wait`,
    and never reaches the scan.

    Parameters
    ----------
    recipe : Recipe
    scan : StackScan, optional
        What the runs are, for start documents without an ``stxm`` block.
    background : bool
        With False everything happens in the call, on the caller's thread.
    limits : Limits, optional
        How much may wait for the analysis: with much of it display stands back, with too much a
        run is given up and left to `map_run`; the scan goes on.
    roots : sequence of path
        Folders from which images outside the documents may be read; none: they are not.
    file_timeout_s : float
        How long after the end of a run its image files are waited for.
    idle_timeout_s : float
        A stack of several runs ends when no run has joined or left it for so long.
    steps : Steps, optional
        Functions to take in place of the default ones, as for `map_phases`.

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
        self._analyses = Analyses(
            recipe, scan=scan, roots=Roots(roots), patience_s=file_timeout_s, steps=steps
        )
        self._idle_timeout_s = idle_timeout_s
        self._timers = Timers()
        self._model: LatentModel | None = None
        self._is_warm = False
        self._sinks = Sinks()
        self._changed = threading.Condition()
        self._runs = KeptRuns()
        self._run_of_key: dict[str, str] = {}
        self._delivering: dict[str, int] = {}
        self._is_closed = False
        self._worker: Worker[tuple[str, dict[str, Any]]] | None = None
        if background:
            limits = limits or Limits(quiet_s=QUIET_S)
            self._worker = Worker(self._handle, prepare=self._warm_up, limits=limits)

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take a document; never raises, never waits."""
        try:
            if self._is_closed:
                logger.warning("a %s document came after close() and was ignored", name)
                return
            if name == "start":
                if self._runs.is_under_way(str(doc["uid"])):
                    logger.warning("run %s began twice; the second is left out", doc["uid"])
                    return
                self._register(str(doc["uid"]))
            elif name in ("descriptor", "resource", "stream_resource"):
                self._run_of(name, doc)
            elif name == "stop":
                self._delivering.pop(str(doc.get("run_start")), None)
            copied = snapshot(name, doc)
            if self._worker is None:
                self._handle((name, copied))
            elif not self._worker.submit((name, copied), n_bytes=size_bytes(copied)):
                self._give_up(
                    self._run_of(name, doc), f"{self._worker.waiting_bytes / 2**20:.2g} MiB wait"
                )
        except Exception:
            logger.exception("a %s document could not be taken", name)

    def add_sink(
        self,
        sink: object = None,
        *,
        on_cube: Callable[[ODCube], None] | None = None,
        on_maps: Callable[[PhaseMaps], None] | None = None,
        on_error: Callable[[str, Exception], None] | None = None,
        own_thread: bool = False,
    ) -> None:
        """Have functions, or the methods of an object so called, told of what happens.

        They run on the worker's thread, one after the other, with arrays that cannot be
        written. One that raises is logged, and the others are told through ``on_error``.
        With ``own_thread`` they run on a thread of their own, for what is slow, such as drawing:
        maps do not wait for it, and a cube that a newer one has overtaken is skipped.

        Raises
        ------
        TypeError
            If there is nothing to call.
        """
        callbacks = Callbacks(
            on_cube or getattr(sink, "on_cube", None),
            on_maps or getattr(sink, "on_maps", None),
            on_error or getattr(sink, "on_error", None),
        )
        self._sinks.add(callbacks, own_thread=own_thread)

    def wait(
        self,
        uid: str,
        *,
        region: str | None = None,
        polarization: str | None = None,
        timeout_s: float,
    ) -> PhaseMaps:
        """The maps of a run, when it has ended.

        Raises
        ------
        KeyError
            If this mapper did not see the run begin, or has forgotten it.
        TimeoutError
            If the run has not ended and been mapped in time.
        RuntimeError
            If called on the thread that delivers the run's documents, inside a plan: nothing
            could arrive. Use `stxm_live.plans.wait_for_maps` there.
        ValueError
            If the run is no stack, or no stack of it matches, or it has one energy only;
            otherwise what made the analysis fail.
        """
        with self._changed:
            self._check_may_wait(uid)
            self._changed.wait_for(lambda: self._runs.is_done(uid) or self._is_closed, timeout_s)
            status = self.status(uid)
            if not status.is_done and self._is_closed:
                raise RuntimeError(
                    f"run {uid[:8]}: the mapper was closed before the run ended; "
                    "use map_run(catalog[uid], recipe)"
                )
            if not status.is_done:
                raise TimeoutError(
                    f"run {uid[:8]}: no maps after {timeout_s:g} s; {status.n_images} of "
                    f"{status.n_announced} images are in, "
                    + (
                        "the stack is not whole"
                        if self._runs.has_ended(uid)
                        else "the run has not ended"
                    )
                )
            run = self._runs[uid]
        if isinstance(run, StackStatus):
            raise run.error or ValueError(f"run {uid[:8]} is no stack")
        stack = run.stack(region, polarization)
        if stack.error is not None:
            raise stack.error.with_traceback(None)
        if stack.maps is None:
            raise ValueError(f"run {uid[:8]}: {stack.no_phases or 'no maps were made'}")
        return stack.maps

    def stacks(self, uid: str) -> list[StackKey]:
        """The stacks a run belongs to."""
        run = self._runs[uid]
        return [stack.key for stack in run.stacks] if isinstance(run, RunAnalysis) else []

    def status(self, uid: str) -> StackStatus:
        """How far a run is."""
        run = self._runs[uid]
        return run if isinstance(run, StackStatus) else run.status()

    def results(self) -> list[PhaseMaps]:
        """The maps that are still in memory, one of each stack, the newest last."""
        with self._changed:
            return self._runs.results()

    def close(self, timeout_s: float = 10.0) -> None:
        """Finish what has come in and end the worker; later documents are ignored."""
        self._is_closed = True
        self._timers.cancel()
        with self._changed:
            self._changed.notify_all()
        if self._worker is not None and not self._worker.close(timeout_s):
            logger.warning("the analysis was still busy after %g s", timeout_s)
        self._sinks.close(timeout_s)

    def __enter__(self) -> LivePhaseMapper:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _register(self, uid: str) -> None:
        """Know a run from its first document on, before the worker gets to it."""
        with self._changed:
            self._runs[uid] = StackStatus("waiting")
            self._delivering[uid] = threading.get_ident()
            self._runs.forget_outdated()
            for old in self._runs.endless():
                self._give_up(old, f"{KEPT_UNFINISHED} later runs have no end either")
                self._runs[old] = replace(self.status(old), is_done=True)

    def _give_up(self, uid: str | None, reason: str) -> None:
        """Let go what came of a run; whoever waits for it is told at its stop."""
        if uid is None or self.status(uid).state == "given up":
            return
        error = RuntimeError(
            f"run {uid[:8]} was given up while it was measured ({reason}); "
            "use map_run(catalog[uid], recipe)"
        )
        logger.error("%s", error)
        with self._changed:
            self._runs[uid] = replace(self.status(uid), state="given up", error=error)
            self._delivering.pop(uid, None)

    def _check_may_wait(self, uid: str) -> None:
        self.status(uid)
        if self._worker is not None and self._worker.is_current_thread:
            raise RuntimeError("a sink cannot wait for maps: it would hold up whoever makes them")
        if self._delivering.get(uid) == threading.get_ident():
            raise RuntimeError(
                f"run {uid[:8]} is delivered by this thread and cannot end while it waits; "
                "in a plan use: yield from stxm_live.plans.wait_for_maps(live, uid, timeout_s=...)"
            )

    def _warm_up(self) -> None:
        """Import and load what the first frame would wait for."""
        with suppress(BundleError):  # the maps say why there is none
            self._model = load_model(self.recipe)
        for name in ("scipy.fft", "scipy.ndimage", "skimage.registration"):
            import_module(name)
        self._is_warm = True

    def _handle(self, item: tuple[str, dict[str, Any]]) -> None:
        """Take a document on the worker's thread; what goes wrong is logged and told."""
        name, doc = item
        uid = None
        try:
            uid = self._run_of(name, doc)
            if name == "start":
                self._begin(doc)
            elif name == "idle":
                self._analyses.end_idle(self._idle_timeout_s)
            elif uid is not None:
                self._continue(uid, name, doc)
            self._tell(self._analyses.end_stacks())
        except Exception as error:
            logger.exception("run %s: a %s document could not be used", str(uid)[:8], name)
            run = self._runs.get(str(uid))
            if isinstance(run, RunAnalysis):
                run.problems.append(f"a {name} document could not be used: {error!r}")
            self._sinks.error(str(uid), error)
        finally:
            with self._changed:
                self._changed.notify_all()

    def _run_of(self, name: str, doc: Mapping[str, Any]) -> str | None:
        """The run a document belongs to; None for one that began before we were subscribed."""
        if name == "start":
            return str(doc["uid"])
        if "descriptor" in doc:
            uid = self._run_of_key.get(str(doc["descriptor"]), "")
        elif name in ("datum", "datum_page"):
            uid = self._run_of_key.get(str(doc.get("resource")), "")
        else:
            uid = str(doc.get("run_start"))
            if name in ("descriptor", "resource", "stream_resource") and uid in self._runs:
                self._run_of_key[str(doc["uid"])] = uid
        return uid if uid in self._runs else None

    def _begin(self, start: Mapping[str, Any]) -> None:
        if not self._is_warm:
            self._warm_up()
        uid = str(start["uid"])
        try:
            run = self._analyses.begin(start, self._model)
            with self._changed:
                if self.status(uid).state != "given up":
                    self._runs[uid] = run
        except ValueError as error:
            self._runs[uid] = StackStatus("ignored", error=error)
            is_fault = "stxm" in start or isinstance(error, PluginError)
            logger.log(logging.ERROR if is_fault else logging.INFO, "%s", error)
            if is_fault:
                self._sinks.error(uid, error)

    def _continue(self, uid: str, name: str, doc: Mapping[str, Any]) -> None:
        run = self._runs[uid]
        if isinstance(run, StackStatus):
            if name == "stop":
                self._runs[uid] = replace(run, is_done=True)
                if run.state == "given up" and run.error is not None:
                    self._sinks.error(uid, run.error)
            return
        known, n_problems = run.failures, len(run.status().problems)
        is_behind = self._worker is not None and self._worker.is_behind
        show = self._sinks.cube if self._sinks.want_cubes and not is_behind else None
        self._tell(run.take(name, doc, show, is_last=self._is_last(doc)))
        if name == "stop":
            self._forget_descriptors(uid)
            if not run.is_done and not run.is_waiting:
                self._later(self._idle_timeout_s, "idle", uid)
        if run.is_waiting:
            self._look_again(uid, run)
        for problem in run.status().problems[n_problems:]:
            logger.warning("run %s: %s", uid[:8], problem)
        for text, error in run.failures.items():
            if text not in known:
                logger.error("run %s: %s", uid[:8], text, exc_info=error)
                self._sinks.error(uid, error)
            error.__traceback__ = None  # its frames would keep the images in memory

    def _tell(self, results: Iterable[PhaseMaps]) -> None:
        for maps in results:
            self._sinks.maps(maps)

    def _is_last(self, doc: Mapping[str, Any]) -> bool:
        """Whether no further document is waiting behind this one."""
        own_bytes = size_bytes(doc) + ITEM_BYTES
        return self._worker is None or self._worker.waiting_bytes <= own_bytes

    def _look_again(self, uid: str, run: RunAnalysis) -> None:
        """Look for image files again in a while; without a worker the caller waits for them."""
        if self._worker is not None:
            self._later(RETRY_S, "retry", uid)
            return
        while run.has_stopped and run.is_waiting:
            time.sleep(RETRY_S)
            self._tell(run.take("retry", {}, None))

    def _later(self, seconds: float, name: str, uid: str) -> None:
        """Have the worker do something in a while, once if asked often."""
        worker = self._worker
        if worker is not None:
            item = (name, {"run_start": uid})
            self._timers.start(seconds, f"{name} {uid}", lambda: worker.submit(item))

    def _forget_descriptors(self, uid: str) -> None:
        known = self._run_of_key
        self._run_of_key = {d: run for d, run in known.items() if run != uid}
