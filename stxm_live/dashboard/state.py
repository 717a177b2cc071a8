"""`Board`: the newest state of a live analysis, for every page that shows it."""

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
from stxm_live.core.shift_files import write_shifts
from stxm_live.core.worker import Worker

if TYPE_CHECKING:
    from stxm_live.live.cube import ODCube
    from stxm_live.phase_mapping.exploration import Exploration

logger = logging.getLogger("stxm_live")

KEPT = 8
"""Number of results of each origin that are kept for comparison."""

MOST_LETTERS = 400
"""Longest error message shown, in characters; messages of a database can be very long."""

MASK = "specimen.mask"
SHIFTS = "alignment.shifts"
"""Settings of a recipe that are files, and may be given as arrays here."""

Remake = Callable[[PhaseMaps, Mapping[str, Any]], PhaseMaps]
"""Makes maps again with changes."""

Origin = Literal["live", "changed", "stored"]


@dataclass(frozen=True, eq=False)
class Result:
    """Maps and where they come from.

    Parameters
    ----------
    number : int
        Number of the result on this board, counted upwards.
    maps : PhaseMaps
    origin : {"live", "changed", "stored"}
        Mapped live by the recipe, made again with changes, or read from a catalogue.
    title : str
        Title in a list of results; as typed by a user, not escaped.
    base : PhaseMaps
        Maps that further changes start from: ``maps`` themselves unless these were changed.
    time_s : float
        Time at which they were made, in seconds since 1970.
    """

    number: int
    maps: PhaseMaps
    origin: Origin
    title: str
    base: PhaseMaps
    time_s: float


@dataclass(frozen=True)
class Failure:
    """The error of a run, in words, and how many results had been made by then."""

    uid: str
    text: str
    n_results: int


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Everything that a page can show at one moment; it never changes afterwards.

    Parameters
    ----------
    number : int
        Increases with every change.
    view : ODCube or None
        The newest stack that is being measured.
    came_s : float
        Time of its newest image, in seconds of `time.monotonic`.
    results : tuple of Result
        All results kept, the newest last.
    newest : Result or None
        The newest live result.
    exploration : Exploration or None
        The newest first look, at a stack without references.
    is_scanning : bool
        True if ``view`` has no maps yet, or has images that came after its maps.
    failures : tuple of Failure
    working : str
        Description of what is being computed for a page; empty if nothing is.
    note : str
        Outcome of the last request, if it is worth a sentence.
    """

    number: int = 0
    view: ODCube | None = None
    came_s: float = 0.0
    results: tuple[Result, ...] = ()
    newest: Result | None = None
    exploration: Exploration | None = None
    is_scanning: bool = False
    failures: tuple[Failure, ...] = ()
    working: str = ""
    note: str = ""


@dataclass
class Board:
    """A sink that keeps only the newest state; pages read ``now`` whenever they need it.

    Connect it with ``live.add_sink(board)``. Its methods may be called on any thread and return
    at once.

    Attributes
    ----------
    now : Snapshot
    """

    now: Snapshot = field(default_factory=Snapshot)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _worker: Worker[Callable[[], None]] | None = field(default=None, repr=False)
    _files: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False)
    _n_results: int = 0
    _is_closed: bool = False

    def on_cube(self, view: ODCube) -> None:
        """Keep the newest image; a note about an earlier stack goes with its successor's first."""
        if self._is_closed:
            return
        with self._lock:
            now = self.now
            if now.view is None or now.view.key != view.key:
                self._next(note="")
            has_maps = now.newest is not None and now.newest.maps.key == view.key
            is_explored = now.exploration is not None and now.exploration.key == view.key
            is_scanning = not has_maps and not is_explored
            self._next(view=view, came_s=time.monotonic(), is_scanning=is_scanning)

    def on_maps(self, maps: PhaseMaps) -> None:
        """Keep a result; a later revision replaces an earlier one."""
        if self._is_closed:
            return
        with self._lock:
            others = [r for r in self.now.results if r.origin != "live" or r.maps.key != maps.key]
            result = self._result(maps, "live", str(maps.key), maps)
            view = self.now.view
            scanning = self.now.is_scanning and view is not None and view.key != maps.key
            self._next(results=_kept([*others, result]), newest=result, is_scanning=scanning)

    def on_exploration(self, exploration: Exploration) -> None:
        """Keep a first look at a stack without references."""
        if self._is_closed:
            return
        with self._lock:
            view = self.now.view
            scanning = self.now.is_scanning and view is not None and view.key != exploration.key
            self._next(exploration=exploration, is_scanning=scanning)

    def begin_with(self, earlier: Iterable[PhaseMaps]) -> None:
        """Keep results made before this board was connected, the newest last."""
        with self._lock:
            live = [result for result in self.now.results if result.origin == "live"]
            known = {result.maps.key for result in live}
            new = [m for m in earlier if m.key not in known]
            before = [self._result(maps, "live", str(maps.key), maps) for maps in new]
            newest = self.now.newest or (before[-1] if before else None)
            self._next(results=_kept([*before, *self.now.results]), newest=newest)

    def on_error(self, uid: str, error: Exception) -> None:
        """Keep the error of a run."""
        if self._is_closed:
            return
        with self._lock:
            failure = Failure(uid, str(error) or repr(error), self._n_results)
            self._next(failures=(*self.now.failures, failure)[-KEPT:])

    def add(self, maps: PhaseMaps, origin: Origin, title: str, base: PhaseMaps) -> Result:
        """Keep a result that a user asked for."""
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
        remake: Remake | None = None,
    ) -> None:
        """Make new maps of a result with changes, on a thread.

        A mask among the changes may be an array of shape (ny, nx), shifts lines (n, 3) of energy,
        y and x. ``then`` is called with the number of the new result, on that thread. By default
        the maps are made by `PhaseMaps.redo`.
        """

        def make() -> None:
            again = PhaseMaps.redo if remake is None else remake
            made = again(of.base, self._with_files(changes))
            then(self.add(made, "changed", f"{of.base.key}: {title}", of.base).number)

        self.do(make, f"making new maps: {title}")

    def do(self, act: Callable[[], str | None], what: str) -> None:
        """Run something slow on a thread; the text it returns, or its error, is shown."""

        def run() -> None:
            note = ""
            self.say(working=what)
            try:
                note = act() or ""
            except Exception as error:  # noqa: BLE001  shown in the page; the scan goes on
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
        """Stop keeping results, end the thread and remove the files of changes."""
        self._is_closed = True
        if self._worker is not None:
            self._worker.close(timeout_s)
        if self._files is not None:
            self._files.cleanup()

    def _next(self, **changes: Any) -> None:
        self.now = replace(self.now, number=self.now.number + 1, **changes)

    def _result(self, maps: PhaseMaps, origin: Origin, title: str, base: PhaseMaps) -> Result:
        self._n_results += 1
        return Result(self._n_results, maps, origin, title, base, time.time())

    def _with_files(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Return the changes with arrays written to files, as a recipe needs them."""
        given = dict(changes)
        mask, shifts = changes.get(MASK), changes.get(SHIFTS)
        if isinstance(mask, np.ndarray):
            given[MASK] = self._folder() / f"mask-{self.now.number}.npy"
            np.save(given[MASK], np.asarray(mask, dtype=bool))
        if isinstance(shifts, np.ndarray):
            given[SHIFTS] = self._folder() / f"shifts-{self.now.number}.csv"
            write_shifts(given[SHIFTS], shifts[:, 0].tolist(), shifts[:, 1:])
        return given

    def _folder(self) -> Path:
        if self._files is None:
            self._files = tempfile.TemporaryDirectory(prefix="stxm-live-changes-")
        return Path(self._files.name)


def _kept(results: list[Result]) -> tuple[Result, ...]:
    """Return the newest results of each origin."""
    newest: list[Result] = []
    for result in reversed(results):
        if sum(r.origin == result.origin for r in newest) < KEPT:
            newest.append(result)
    return tuple(reversed(newest))
