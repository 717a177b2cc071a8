"""Sinks: functions that receive results, on the worker's thread or on their own."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from stxm_live.core.harmless import SessionEndsError, as_error
from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.stack import StackKey
from stxm_live.core.worker import Worker
from stxm_live.live.analysis import Found
from stxm_live.live.cube import ODCube
from stxm_live.phase_mapping.exploration import Exploration

logger = logging.getLogger("stxm_live")

KEPT_STACKS = 8
"""Number of stacks whose maps are kept for a sink that hangs."""


class Sink(Protocol):
    """Anything with some of these methods; they are called on the worker's thread."""

    def on_cube(self, view: ODCube) -> None: ...  # noqa: D102
    def on_maps(self, maps: PhaseMaps) -> None: ...  # noqa: D102
    def on_exploration(self, exploration: Exploration) -> None: ...  # noqa: D102
    def on_error(self, uid: str, error: Exception) -> None: ...  # noqa: D102


@dataclass(frozen=True)
class Callbacks:
    """Functions of one sink; None for news that it does not want."""

    on_cube: Callable[[ODCube], None] | None = None
    on_maps: Callable[[PhaseMaps], None] | None = None
    on_error: Callable[[str, Exception], None] | None = None
    on_exploration: Callable[[Exploration], None] | None = None

    def or_those_of(self, sink: object) -> Callbacks:
        """Return these functions, and the methods of an object in place of those that are None."""
        return Callbacks(*(given or getattr(sink, n, None) for n, given in vars(self).items()))


class Sinks:
    """Call all sinks; an error in one is logged and reported to the others."""

    def __init__(self) -> None:
        self._callbacks: list[Callbacks] = []
        self._workers: list[Worker[Callable[[], object]]] = []

    @property
    def want_cubes(self) -> bool:
        """Return True if a sink shows the growing cube."""
        return any(callbacks.on_cube for callbacks in self._callbacks)

    def add(self, callbacks: Callbacks, *, own_thread: bool = False) -> None:
        """Add a sink.

        Raises
        ------
        TypeError
            If there is no method or function to call.
        """
        if callbacks == Callbacks():
            raise TypeError(
                "a sink needs one of the methods on_cube, on_maps, on_exploration, on_error; "
                "name a function, as in add_sink(on_maps=function)"
            )
        self._callbacks.append(self._aside(callbacks) if own_thread else callbacks)

    def cube(self, view: ODCube) -> None:
        """Show the growing cube."""
        self._tell("on_cube", view.key.run_uids[0], view)

    def result(self, found: Found) -> None:
        """Hand out new maps, or what was found without references."""
        method = "on_exploration" if isinstance(found, Exploration) else "on_maps"
        self._tell(method, found.key.run_uids[0], found)

    def error(self, uid: str, error: Exception) -> None:
        """Report an error of a run."""
        for callbacks in list(self._callbacks):
            if callbacks.on_error is not None:
                _call(callbacks.on_error, uid, error)

    def close(self, timeout_s: float) -> None:
        """Let sinks on threads of their own finish."""
        for worker in self._workers:
            if not worker.close(timeout_s):
                logger.warning("a sink was still busy after %g s", timeout_s)

    def _tell(self, method: str, uid: str, result: ODCube | Found) -> None:
        for callbacks in list(self._callbacks):
            failure = _call(getattr(callbacks, method), result)
            if failure is not None:
                self.error(uid, failure)

    def _aside(self, callbacks: Callbacks) -> Callbacks:
        """Return the same callbacks on a thread of their own."""
        aside = Aside(callbacks, name=f"stxm-live-sink-{len(self._workers) + 1}")
        self._workers.append(aside.worker)
        return Callbacks(
            aside.on_cube if callbacks.on_cube else None,
            aside.on_result,
            aside.on_error,
            aside.on_result,
        )


class Aside:
    """Call a sink on a thread of its own, and keep only the newest results for it.

    A cube is skipped if a newer one is there, and so are maps with a newer revision. A sink that
    hangs holds the newest cube and the maps of the last few stacks.

    Parameters
    ----------
    callbacks : Callbacks
    name : str
        Name of the thread.
    """

    def __init__(self, callbacks: Callbacks, *, name: str) -> None:
        self._callbacks = callbacks
        self._lock = threading.Lock()
        self._view: ODCube | None = None
        self._found: OrderedDict[StackKey, Found] = OrderedDict()
        self.worker: Worker[Callable[[], object]] = Worker(_do, name=name)

    def on_cube(self, view: ODCube) -> None:
        """Show the newest cube."""
        with self._lock:
            waits, self._view = self._view is not None, view
        if not waits:
            self.worker.submit(self._show)

    def on_result(self, found: Found) -> None:
        """Hand this result to the sink, unless a newer one of its stack comes first."""
        with self._lock:
            waits = self._found.pop(found.key, None) is not None
            self._found[found.key] = found
            skipped = self._found.popitem(last=False) if len(self._found) > KEPT_STACKS else None
        if skipped is not None:
            logger.error("a sink hangs: the result of %s was not given to it", skipped[0])
        if not waits:
            self.worker.submit(self._hand_out)

    def on_error(self, uid: str, error: Exception) -> None:
        """Report this error to the sink."""
        self.worker.submit(partial(_call, self._callbacks.on_error, uid, error), n_bytes=1)

    def _show(self) -> None:
        with self._lock:
            view, self._view = self._view, None
        _call(self._callbacks.on_cube, view)

    def _hand_out(self) -> None:
        with self._lock:
            found = self._found.popitem(last=False)[1] if self._found else None
        if isinstance(found, Exploration):
            _call(self._callbacks.on_exploration, found)
        elif found is not None:
            _call(self._callbacks.on_maps, found)


def _call(callback: Callable[..., None] | None, *arguments: Any) -> Exception | None:
    """Call a sink and return its error, after logging it."""
    if callback is None:
        return None
    try:
        callback(*arguments)
    except SessionEndsError as error:
        logger.warning("a result came too late for a sink: %s; a replay makes it again", error)
        return error
    except BaseException as error:  # it must not end the analysis: nobody asked for that
        with suppress(BaseException):  # an error whose text cannot be made
            logger.exception("a sink failed")
        return as_error(error)
    return None


def _do(act: Callable[[], object]) -> None:
    act()
