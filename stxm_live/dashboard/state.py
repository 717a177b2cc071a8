"""`Board`: the newest snapshots of a live analysis, for every page that shows them."""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.worker import Worker

if TYPE_CHECKING:
    from stxm_live.live.cube import ODCube

logger = logging.getLogger("stxm_live")

KEPT = 8
"""So many results of each origin are kept for comparison."""

MOST_LETTERS = 400
"""Of what went wrong; errors of a database are long."""

MASK = "specimen.mask"

Origin = Literal["live", "changed", "stored"]


@dataclass(frozen=True, eq=False)
class Result:
    """Maps and where they come from.

    Parameters
    ----------
    number : int
        Tells results of a board apart; grows.
    maps : PhaseMaps
    origin : {"live", "changed", "stored"}
        The scan as the recipe says, made again by hand, or from a catalogue.
    title : str
        For a list of results; as typed by anybody, not escaped.
    base : PhaseMaps
        What further changes start from: ``maps`` themselves unless these were changed.
    time_s : float
        When they were made, seconds since 1970.
    """

    number: int
    maps: PhaseMaps
    origin: Origin
    title: str
    base: PhaseMaps
    time_s: float


@dataclass(frozen=True)
class Failure:
    """What went wrong with a run, in words."""

    uid: str
    text: str


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Everything there is to show at a moment; never changed afterwards.

    Parameters
    ----------
    number : int
        Grows with everything new.
    view : ODCube or None
        The growing stack that came last.
    came_s : float
        When its newest image was shown, by `time.monotonic`.
    results : tuple of Result
        The newest last.
    newest : Result or None
        The last live one.
    is_scanning : bool
        Whether images of ``view`` came after its maps, or it has none yet.
    failures : tuple of Failure
    working : str
        What is being computed for a page; empty if nothing is.
    note : str
        What became of the last thing asked for, if that is worth a sentence.
    """

    number: int = 0
    view: ODCube | None = None
    came_s: float = 0.0
    results: tuple[Result, ...] = ()
    newest: Result | None = None
    is_scanning: bool = False
    failures: tuple[Failure, ...] = ()
    working: str = ""
    note: str = ""


@dataclass
class Board:
    """A sink that keeps what is newest, and nothing else: pages look at ``now`` when they like.

    Have it told with ``live.add_sink(board)``. Its methods may be called on any thread and
    return at once.

    Attributes
    ----------
    now : Snapshot
    """

    now: Snapshot = field(default_factory=Snapshot)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _worker: Worker[Callable[[], None]] | None = field(default=None, repr=False)
    _masks: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False)
    _n_results: int = 0
    _is_closed: bool = False

    def on_cube(self, view: ODCube) -> None:
        """Keep the newest image."""
        if self._is_closed:
            return
        with self._lock:
            now = self.now
            has_maps = now.newest is not None and now.newest.maps.key == view.key
            self._next(view=view, came_s=time.monotonic(), is_scanning=not has_maps)

    def on_maps(self, maps: PhaseMaps) -> None:
        """Keep a result; a later revision takes the place of an earlier one."""
        if self._is_closed:
            return
        with self._lock:
            others = [r for r in self.now.results if r.origin != "live" or r.maps.key != maps.key]
            result = self._result(maps, "live", str(maps.key), maps)
            view = self.now.view
            scanning = self.now.is_scanning and view is not None and view.key != maps.key
            self._next(results=_kept([*others, result]), newest=result, is_scanning=scanning)

    def begin_with(self, earlier: Iterable[PhaseMaps]) -> None:
        """Keep results from before this board was told of any, the newest last."""
        with self._lock:
            told = [result for result in self.now.results if result.origin == "live"]
            known = {result.maps.key for result in told}
            new = [m for m in earlier if m.key not in known]
            before = [self._result(maps, "live", str(maps.key), maps) for maps in new]
            newest = self.now.newest or (before[-1] if before else None)
            self._next(results=_kept([*before, *self.now.results]), newest=newest)

    def on_error(self, uid: str, error: Exception) -> None:
        """Keep what went wrong."""
        if self._is_closed:
            return
        with self._lock:
            failures = (*self.now.failures, Failure(uid, str(error) or repr(error)))[-KEPT:]
            self._next(failures=failures)

    def add(self, maps: PhaseMaps, origin: Origin, title: str, base: PhaseMaps) -> Result:
        """Keep a result that somebody asked for."""
        with self._lock:
            result = self._result(maps, origin, title, base)
            self._next(results=_kept([*self.now.results, result]))
        return result

    def redo(
        self,
        of: Result,
        changes: Mapping[str, Any],
        title: str,
        then: Callable[[int], None] = lambda number: None,
    ) -> None:
        """Make new maps of a result with changes, on a thread; see `PhaseMaps.redo`.

        A mask among the changes may be an array of shape (ny, nx). ``then`` is told the number
        of the new result, on that thread.
        """

        def make() -> None:
            made = of.base.redo(self._with_mask_file(changes))
            then(self.add(made, "changed", f"{of.base.key}: {title}", of.base).number)

        self.do(make, f"making new maps: {title}")

    def do(self, act: Callable[[], None], what: str) -> None:
        """Do something that takes a while on a thread; what goes wrong becomes a sentence."""

        def run() -> None:
            note = ""
            self.say(working=what)
            try:
                act()
            except Exception as error:  # noqa: BLE001  told in the page; the scan is left alone
                logger.info("%s: %r", what, error)
                note = f"Not done ({what}): {str(error)[:MOST_LETTERS] or repr(error)}"
            self.say(working="", note=note)

        with self._lock:
            if self._worker is None:
                self._worker = Worker(lambda act: act(), name="stxm-live-dashboard")
        self._worker.submit(run)

    def say(self, **changes: str) -> None:
        """Set ``working`` or ``note``."""
        with self._lock:
            self._next(**changes)

    def close(self, timeout_s: float = 10.0) -> None:
        """Keep nothing more, end the thread and remove masks that were drawn."""
        self._is_closed = True
        if self._worker is not None:
            self._worker.close(timeout_s)
        if self._masks is not None:
            self._masks.cleanup()

    def _next(self, **changes: Any) -> None:
        self.now = replace(self.now, number=self.now.number + 1, **changes)

    def _result(self, maps: PhaseMaps, origin: Origin, title: str, base: PhaseMaps) -> Result:
        self._n_results += 1
        return Result(self._n_results, maps, origin, title, base, time.time())

    def _with_mask_file(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """The changes with a drawn mask as a file, which is what a recipe names."""
        mask = changes.get(MASK)
        if mask is None or not isinstance(mask, np.ndarray):
            return dict(changes)
        if self._masks is None:
            self._masks = tempfile.TemporaryDirectory(prefix="stxm-live-masks-")
        path = Path(self._masks.name) / f"mask-{self.now.number}.npy"
        np.save(path, np.asarray(mask, dtype=bool))
        return {**changes, MASK: path}


def _kept(results: list[Result]) -> tuple[Result, ...]:
    """The last few of each origin."""
    newest: list[Result] = []
    for result in reversed(results):
        if sum(r.origin == result.origin for r in newest) < KEPT:
            newest.append(result)
    return tuple(reversed(newest))
