"""Whoever wants to know what happens: called on the worker's thread or on one of their own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stxm_live.cube import CubeView
from stxm_live.phase_maps import PhaseMaps
from stxm_live.worker import Worker

logger = logging.getLogger("stxm_live")


@dataclass(frozen=True)
class Callbacks:
    """What one sink wants to be told; None: not told."""

    on_cube: Callable[[CubeView], None] | None = None
    on_maps: Callable[[PhaseMaps], None] | None = None
    on_error: Callable[[str, Exception], None] | None = None


class Sinks:
    """Tells all sinks; one that fails is logged, and the others hear of it."""

    def __init__(self) -> None:
        self._callbacks: list[Callbacks] = []
        self._workers: list[Worker[Callable[[], None]]] = []

    @property
    def want_cubes(self) -> bool:
        """Whether anybody is to be shown the growing cube."""
        return any(callbacks.on_cube for callbacks in self._callbacks)

    def add(self, callbacks: Callbacks, *, own_thread: bool = False) -> None:
        """Tell these, too.

        Raises
        ------
        TypeError
            If there is nothing to call.
        """
        if callbacks == Callbacks():
            raise TypeError(
                "a sink needs one of the methods on_cube, on_maps, on_error; "
                "name a function, as in add_sink(on_maps=function)"
            )
        self._callbacks.append(self._aside(callbacks) if own_thread else callbacks)

    def cube(self, view: CubeView) -> None:
        """Show the growing cube."""
        self._tell("on_cube", view.key.run_uids[0], view)

    def maps(self, maps: PhaseMaps) -> None:
        """Hand out new maps."""
        self._tell("on_maps", maps.key.run_uids[0], maps)

    def error(self, uid: str, error: Exception) -> None:
        """Tell what went wrong with a run."""
        for callbacks in list(self._callbacks):
            if callbacks.on_error is not None:
                _call(callbacks.on_error, uid, error)

    def close(self, timeout_s: float) -> None:
        """Let sinks on threads of their own finish."""
        for worker in self._workers:
            if not worker.close(timeout_s):
                logger.warning("a sink was still busy after %g s", timeout_s)

    def _tell(self, method: str, uid: str, result: CubeView | PhaseMaps) -> None:
        for callbacks in list(self._callbacks):
            failure = _call(getattr(callbacks, method), result)
            if failure is not None:
                self.error(uid, failure)

    def _aside(self, callbacks: Callbacks) -> Callbacks:
        """The same on a thread of its own; a cube overtaken by a newer one is skipped."""
        worker: Worker[Callable[[], None]] = Worker(
            lambda act: act(), name=f"stxm-live-sink-{len(self._workers) + 1}"
        )
        self._workers.append(worker)
        newest: list[CubeView] = []

        def show_newest() -> None:
            if newest:
                view = newest.pop()
                newest.clear()
                _call(callbacks.on_cube, view)

        def on_cube(view: CubeView) -> None:
            newest.append(view)
            worker.submit(show_newest)

        return Callbacks(
            on_cube if callbacks.on_cube else None,
            lambda maps: worker.submit(lambda: _drop(_call(callbacks.on_maps, maps))),
            lambda uid, error: worker.submit(lambda: _drop(_call(callbacks.on_error, uid, error))),
        )


def _call(callback: Callable[..., None] | None, *arguments: Any) -> Exception | None:
    """Call a sink; what it raised, after logging it."""
    if callback is None:
        return None
    try:
        callback(*arguments)
    except Exception as error:
        logger.exception("a sink failed")
        return error
    return None


def _drop(_: object) -> None:
    """Nobody asks for the result."""
