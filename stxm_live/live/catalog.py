"""`LiveCatalog`: maps of runs that others write into a catalogue, such as a facility's server."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stxm_live.core.recipe import Recipe
from stxm_live.io.catalog.new_runs import GrowingRun, NewRuns
from stxm_live.live.mapper import LivePhaseMapper
from stxm_live.live.polling import Polling

if TYPE_CHECKING:
    from stxm_live.io.catalog import Broker

logger = logging.getLogger("stxm_live")

POLL_S = 1.0
"""Seconds between two looks into the catalogue."""

_CLOSE_S = 5.0
"""Longest wait for a server that does not answer, when the watch ends."""


class LiveCatalog:
    """Map the runs that appear in a catalogue from now on, and those that have not ended yet.

    Events are taken as their writer stores them: image by image, or all at the end.

    Parameters
    ----------
    broker : Broker
        An open catalogue; it is not closed.
    recipe : Recipe
    roots : sequence of path
        Folders from which images outside the catalogue may be read.
    idle_timeout_s : float
        A run without a new document for so long has ended.
    poll_s : float
        Seconds between two looks. With 0, nothing happens but in `look`.

    Attributes
    ----------
    live : LivePhaseMapper
        For sinks, `wait` and the dashboard.

    Examples
    --------
    >>> from stxm_live import Recipe
    >>> from stxm_live.live.catalog import LiveCatalog
    >>> watching = LiveCatalog(broker, Recipe.load("nvpf"))  # doctest: +SKIP
    >>> watching.live.add_sink(on_maps=lambda maps: print(maps.quality))  # doctest: +SKIP
    """

    def __init__(
        self,
        broker: Broker,
        recipe: Recipe,
        *,
        roots: Sequence[str | Path] = (),
        idle_timeout_s: float = 900.0,
        poll_s: float = POLL_S,
    ) -> None:
        self.live = LivePhaseMapper(recipe, roots=roots, background=poll_s > 0)
        self._broker, self._idle_timeout_s = broker, idle_timeout_s
        self._new_runs = NewRuns(broker)
        self._growing: dict[str, GrowingRun] = {}
        self._changed_s: dict[str, float] = {}
        self._problems: dict[str, str] = {}
        self._polling = Polling(
            self._look_again, poll_s=poll_s, name="stxm-live-catalog-watch", on_error=self._report
        )
        self._polling.start()

    def look(self) -> None:
        """Look once for what is new in the catalogue, and pass it on."""
        for uid in self._new_runs.look():
            self._growing[uid] = GrowingRun(self._broker, uid)
        for uid, run in list(self._growing.items()):
            if self._polling.is_stopping.is_set():
                return
            self._changed_s.setdefault(uid, time.monotonic())
            try:
                self._pass_on(run)
                self._problems.pop(uid, None)
            except Exception as error:  # noqa: BLE001  half written, or the server does not answer
                self._say(uid, f"run {uid[:8]} cannot be read now ({error!r})")
            idle_s = time.monotonic() - self._changed_s[uid]
            if run.is_over or idle_s > self._idle_timeout_s:
                self._forget(run)

    def close(self) -> None:
        """Stop, and finish the maps of what has come."""
        self._polling.stop(_CLOSE_S)
        for run in list(self._growing.values()):
            self._forget(run)
        self.live.close()

    def __enter__(self) -> LiveCatalog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _pass_on(self, run: GrowingRun) -> None:
        for name, document in run.look():
            self._changed_s[run.uid] = time.monotonic()
            self.live(name, document)
        stopping = self._polling.is_stopping
        while run.is_over and not stopping.is_set() and not self._is_done(run.uid):
            stopping.wait(0.02)  # a thousand runs at once are not read into memory

    def _is_done(self, uid: str) -> bool:
        try:
            return self.live.status(uid).is_done
        except KeyError:  # a result, or none of ours
            return True

    def _forget(self, run: GrowingRun) -> None:
        """End a run that is not continued, and forget it."""
        del self._growing[run.uid]
        self._changed_s.pop(run.uid, None)
        stop = None if run.is_over else run.cut_off()
        if stop is not None:
            self.live("stop", stop)

    def _say(self, what: str, problem: str) -> None:
        if self._problems.get(what) != problem:
            self._problems[what] = problem
            logger.warning("%s", problem)

    def _look_again(self) -> None:
        self.look()
        self._problems.pop("", None)

    def _report(self, error: Exception) -> None:
        self._say("", f"the catalogue cannot be looked into now ({error!r})")
