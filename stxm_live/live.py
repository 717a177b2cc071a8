"""`LivePhaseMapper`: subscribe it to a RunEngine, and wait for the maps."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import TracebackType
from typing import Any, Protocol

from stxm_live.analysis import RunAnalysis, StackStatus
from stxm_live.bundle import BundleError
from stxm_live.cube import CubeView
from stxm_live.frames import snapshot
from stxm_live.latent import LatentModel, load_model
from stxm_live.phase_maps import PhaseMaps
from stxm_live.recipe import Recipe
from stxm_live.scan import StackScan
from stxm_live.stack import StackKey
from stxm_live.worker import Worker

logger = logging.getLogger("stxm_live")

KEPT_RESULTS = 8
"""So many finished runs stay in memory."""


class Sink(Protocol):
    """Anything with some of these methods; they are called on the worker's thread."""

    def on_cube(self, view: CubeView) -> None: ...  # noqa: D102
    def on_maps(self, maps: PhaseMaps) -> None: ...  # noqa: D102
    def on_error(self, uid: str, error: Exception) -> None: ...  # noqa: D102


@dataclass(frozen=True)
class _Callbacks:
    on_cube: Callable[[CubeView], None] | None
    on_maps: Callable[[PhaseMaps], None] | None
    on_error: Callable[[str, Exception], None] | None


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

    Examples
    --------
    >>> from stxm_live import LivePhaseMapper, Recipe
    >>> live = LivePhaseMapper(Recipe.load("nvpf"))  # doctest: +SKIP
    >>> RE.subscribe(live)                           # doctest: +SKIP
    >>> (uid,) = RE(stxm_stack(...))                 # doctest: +SKIP
    >>> maps = live.wait(uid, timeout_s=10)          # doctest: +SKIP
    """

    def __init__(
        self, recipe: Recipe, *, scan: StackScan | None = None, background: bool = True
    ) -> None:
        recipe.reference_spectra  # noqa: B018  fail here, not in the middle of a scan
        self.recipe = recipe
        self._scan = scan
        self._model: LatentModel | BundleError | None = None
        self._sinks: list[_Callbacks] = []
        self._changed = threading.Condition()
        self._runs: OrderedDict[str, RunAnalysis | StackStatus] = OrderedDict()
        self._run_of_descriptor: dict[str, str] = {}
        self._delivering: dict[str, int] = {}
        self._is_closed = False
        self._worker: Worker[tuple[str, dict[str, Any]]] | None = None
        if background:
            self._worker = Worker(self._handle, prepare=self._warm_up)

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take a document; never raises, never waits."""
        try:
            if self._is_closed:
                logger.warning("a %s document came after close() and was ignored", name)
                return
            if name == "start":
                self._register(str(doc["uid"]))
            elif name == "stop":
                self._delivering.pop(str(doc.get("run_start")), None)
            item = (name, snapshot(name, doc))
            if self._worker is None:
                self._handle(item)
            else:
                self._worker.submit(item)
        except Exception:
            logger.exception("a %s document could not be taken", name)

    def add_sink(
        self,
        sink: object = None,
        *,
        on_cube: Callable[[CubeView], None] | None = None,
        on_maps: Callable[[PhaseMaps], None] | None = None,
        on_error: Callable[[str, Exception], None] | None = None,
    ) -> None:
        """Have functions, or the methods of an object so called, told of what happens.

        They run on the worker's thread, one after the other, with arrays that cannot be
        written. One that raises is logged, and the others are told through ``on_error``.
        """
        self._sinks.append(
            _Callbacks(
                on_cube or getattr(sink, "on_cube", None),
                on_maps or getattr(sink, "on_maps", None),
                on_error or getattr(sink, "on_error", None),
            )
        )

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
            If the run is no stack, or no stack of it matches; otherwise what made the analysis
            fail.
        """
        with self._changed:
            self._check_may_wait(uid)
            if not self._changed.wait_for(lambda: self._is_done(uid), timeout_s):
                status = self.status(uid)
                raise TimeoutError(
                    f"run {uid[:8]}: no maps after {timeout_s:g} s; {status.n_images} of "
                    f"{status.n_announced} images are in, the run has "
                    + ("ended" if status.is_done else "not ended")
                )
            run = self._runs[uid]
        if isinstance(run, StackStatus):
            raise run.error or ValueError(f"run {uid[:8]} is no stack")
        _check_matches(run.key, region, polarization)
        if run.error is not None or run.maps is None:
            raise run.error or ValueError(f"run {uid[:8]}: no maps were made")
        return run.maps

    def stacks(self, uid: str) -> list[StackKey]:
        """The stacks a run belongs to."""
        run = self._runs[uid]
        return [run.key] if isinstance(run, RunAnalysis) else []

    def status(self, uid: str) -> StackStatus:
        """How far a run is."""
        run = self._runs[uid]
        return run if isinstance(run, StackStatus) else run.status()

    def close(self, timeout_s: float = 10.0) -> None:
        """Finish what has come in and end the worker; later documents are ignored."""
        self._is_closed = True
        if self._worker is not None and not self._worker.close(timeout_s):
            logger.warning("the analysis was still busy after %g s", timeout_s)

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
            finished = [u for u in self._runs if u != uid and self._is_done(u)]
            for old in finished[: max(0, len(finished) - KEPT_RESULTS + 1)]:
                del self._runs[old]

    def _check_may_wait(self, uid: str) -> None:
        if uid not in self._runs:
            raise KeyError(
                f"run {uid[:8]} did not begin while this mapper was subscribed, or is no longer "
                "in memory; use map_run(catalog[uid], recipe)"
            )
        if self._delivering.get(uid) == threading.get_ident():
            raise RuntimeError(
                f"run {uid[:8]} is delivered by this thread and cannot end while it waits; "
                "in a plan use: yield from stxm_live.plans.wait_for_maps(live, uid, timeout_s=...)"
            )

    def _is_done(self, uid: str) -> bool:
        return self.status(uid).is_done

    def _warm_up(self) -> None:
        """Import and load what the first frame would wait for."""
        for name in ("scipy.fft", "scipy.ndimage", "skimage.registration"):
            import_module(name)

        try:
            self._model = load_model(self.recipe)
        except BundleError as error:
            self._model = error
        except Exception as error:
            logger.exception("the model could not be loaded")
            self._model = BundleError(f"the model could not be loaded: {error}")

    def _handle(self, item: tuple[str, dict[str, Any]]) -> None:
        """Take a document on the worker's thread: the one place where everything is caught."""
        name, doc = item
        uid = None
        try:
            uid = self._run_of(name, doc)
            if name == "start":
                self._begin(doc)
            elif uid is not None:
                self._continue(uid, name, doc)
        except Exception as error:
            logger.exception("run %s: a %s document could not be used", str(uid)[:8], name)
            self._tell_error(str(uid), error)
        finally:
            with self._changed:
                self._changed.notify_all()

    def _run_of(self, name: str, doc: Mapping[str, Any]) -> str | None:
        """The run a document belongs to; None for one that began before we were subscribed."""
        if name == "start":
            return str(doc["uid"])
        if name in ("descriptor", "stop"):
            uid = str(doc.get("run_start"))
            if name == "descriptor" and uid in self._runs:
                self._run_of_descriptor[str(doc["uid"])] = uid
        else:
            uid = self._run_of_descriptor.get(str(doc.get("descriptor")), "")
        return uid if uid in self._runs else None

    def _begin(self, start: Mapping[str, Any]) -> None:
        if self._model is None:
            self._warm_up()
        assert self._model is not None
        uid = str(start["uid"])
        try:
            self._runs[uid] = RunAnalysis(start, self.recipe, self._model, self._scan)
        except ValueError as error:
            self._runs[uid] = StackStatus("ignored", error=error)
            if "stxm" in start:
                self._tell_error(uid, error)
            else:
                logger.info("%s", error)

    def _continue(self, uid: str, name: str, doc: Mapping[str, Any]) -> None:
        run = self._runs[uid]
        if isinstance(run, StackStatus):
            if name == "stop":
                self._runs[uid] = StackStatus(run.state, is_done=True, error=run.error)
            return
        known = run.error, len(run.problems)
        shows = any(sink.on_cube for sink in self._sinks)
        maps = run.take(name, doc, self._show if shows else None)
        if name == "stop":
            self._forget_descriptors(uid)
        if maps is not None:
            self._tell("on_maps", maps)
        if run.error is not None and run.error is not known[0]:
            logger.error("run %s: %s", uid[:8], run.error, exc_info=run.error)
            self._tell_error(uid, run.error)
        for problem in run.problems[known[1] :]:
            logger.warning("run %s: %s", uid[:8], problem)

    def _forget_descriptors(self, uid: str) -> None:
        known = self._run_of_descriptor
        self._run_of_descriptor = {d: run for d, run in known.items() if run != uid}

    def _show(self, view: CubeView) -> None:
        self._tell("on_cube", view)

    def _tell(self, method: str, result: CubeView | PhaseMaps) -> None:
        for sink in list(self._sinks):
            callback = getattr(sink, method)
            if callback is None:
                continue
            try:
                callback(result)
            except Exception as error:
                logger.exception("a sink failed in %s", method)
                self._tell_error(result.key.run_uids[0], error)

    def _tell_error(self, uid: str, error: Exception) -> None:
        for sink in list(self._sinks):
            if sink.on_error is None:
                continue
            try:
                sink.on_error(uid, error)
            except Exception:
                logger.exception("a sink failed in on_error")


def _check_matches(key: StackKey, region: str | None, polarization: str | None) -> None:
    wanted = (region or key.region, polarization or key.polarization)
    if wanted != (key.region, key.polarization):
        raise ValueError(
            f"no stack of region {wanted[0]!r} and polarization {wanted[1]!r}; there is {key}"
        )
