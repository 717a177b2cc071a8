"""Documents of runs without gaps: missing ones are read from where the runs are stored."""

from __future__ import annotations

import logging
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

logger = logging.getLogger("stxm_live")

_Document = tuple[str, Mapping[str, Any]]

PATIENCE_S = 60.0
"""Seconds after a run's end during which its missing documents are searched."""

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0
_IDLE_S = 5.0

_MAX_EARLY = 2000
"""Events that wait for their run to be found; further ones come from the store."""

_REMEMBERED_ENDS = 1000


@dataclass
class _Run:
    """Documents of a run that were handed on."""

    times: dict[str, dict[int, float]] = field(default_factory=dict)
    handed_on: set[str] = field(default_factory=set)
    stop: Mapping[str, Any] | None = None
    ended_s: float = 0.0
    pause_s: float = _FIRST_PAUSE_S
    look_s: float = 0.0

    def n_missing(self) -> int:
        """Return the number of missing events, from the numbers of the others and the stop."""
        announced = dict((self.stop or {}).get("num_events") or {})
        streams = set(self.times) | set(announced)
        return sum(self._n_missing_of(name, announced.get(name)) for name in streams)

    def _n_missing_of(self, stream: str, announced: Any) -> int:
        numbers = self.times.get(stream, {})
        last = max(numbers, default=0)
        expected = max(last, announced) if isinstance(announced, int) else last
        return max(0, expected - len(numbers))


class Gapless:
    """Hand documents on, each event once, and look up missing ones.

    An event is known by its stream and ``seq_num``; one that was sent again later (a scan paused
    and rewound) is handed on again. The order between images does not matter to the analysis, so
    only the ``stop`` waits for missing documents.

    Parameters
    ----------
    deliver : callable
        Function of ``(name, document)``.
    read : callable
        Function from a uid to the stored documents of the run; None if there are no new ones.
    find : callable
        Function that returns the uids of runs that began and may not have ended.
    """

    def __init__(
        self,
        deliver: Callable[[str, Mapping[str, Any]], None],
        read: Callable[[str], Iterable[_Document] | None],
        find: Callable[[], Iterable[str]],
    ) -> None:
        self._deliver = deliver
        self._read = read
        self._find = find
        self._runs: dict[str, _Run] = {}
        self._stream_of: dict[str, tuple[str, str]] = {}
        self._early: dict[str, list[_Document]] = {}
        self._ended: deque[str] = deque(maxlen=_REMEMBERED_ENDS)

    @property
    def open_runs(self) -> list[str]:
        """Return the runs that have begun and not ended."""
        return list(self._runs)

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take a document from the stream; one that cannot be used is logged and left out."""
        try:
            self._take(name, doc)
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            logger.error("a %s document cannot be used (%r); left out", name, error)

    def _take(self, name: str, doc: Mapping[str, Any]) -> None:
        if name == "start":
            self._begin(str(doc["uid"]), doc)
        elif name == "stop":
            self._end(str(doc["run_start"]), doc)
        elif name == "event_page":
            from event_model import unpack_event_page

            for event in unpack_event_page(doc):
                self._event(event)
        elif name == "event":
            self._event(doc)
        else:
            self._other(name, doc)

    def join(self) -> None:
        """Begin with the runs that are under way."""
        for uid in self._find():
            if uid not in self._ended:
                self._fetch(uid)

    def look(self) -> None:
        """Look for missing documents, where that is due; call this a few times a second."""
        now = time.monotonic()
        if self._early:
            self._join_early()
        for uid, run in list(self._runs.items()):
            if now < run.look_s:
                continue
            run.pause_s = min(2 * run.pause_s, _LONGEST_PAUSE_S)
            run.look_s = now + run.pause_s
            self._fetch(uid)
            n_missing = run.n_missing()
            if uid in self._runs and run.stop is not None and now - run.ended_s > PATIENCE_S:
                logger.error("run %s: %d documents were not found", uid[:8], n_missing)
                self._close(uid, run)

    def _begin(self, uid: str, doc: Mapping[str, Any]) -> None:
        if uid in self._runs or uid in self._ended:
            return
        self._runs[uid] = _Run(look_s=time.monotonic() + _IDLE_S)
        self._deliver("start", doc)

    def _other(self, name: str, doc: Mapping[str, Any]) -> None:
        """Hand on a descriptor, or a document about files."""
        if name == "descriptor":
            uid = str(doc["run_start"])
            stream = re.sub(r"_\d+$", "", str(doc.get("name")))
        else:
            parent = str(doc.get("descriptor") or doc.get("resource") or doc.get("run_start"))
            uid, stream = self._stream_of.get(parent, (parent, ""))
        run = self._runs.get(uid)
        own = str(doc.get("uid") or doc.get("datum_id") or id(doc))
        if run is None or own in run.handed_on:
            return
        run.handed_on.add(own)
        self._stream_of[own] = (uid, stream)
        self._deliver(name, doc)
        for early in self._early.pop(own, ()):
            self(*early)

    def _event(self, doc: Mapping[str, Any]) -> None:
        descriptor = str(doc["descriptor"])
        if descriptor not in self._stream_of:
            self._keep_early(descriptor, doc)
            return
        uid, stream = self._stream_of[descriptor]
        run = self._runs.get(uid)
        if run is None:
            return
        times = run.times.setdefault(stream, {})
        number, time_s = int(doc["seq_num"]), float(doc["time"])
        if times.get(number, float("-inf")) >= time_s:
            return
        is_gap = number > len(times) + 1 and number not in times
        times[number] = time_s
        now = time.monotonic()
        run.look_s = min(run.look_s, now) if is_gap else max(run.look_s, now + _IDLE_S)
        if is_gap:
            run.pause_s = _FIRST_PAUSE_S
        self._deliver("event", doc)

    def _end(self, uid: str, doc: Mapping[str, Any]) -> None:
        run = self._runs.get(uid)
        if run is None or run.stop is not None:
            return
        run.stop, run.ended_s = doc, time.monotonic()
        run.look_s, run.pause_s = 0.0, _FIRST_PAUSE_S
        if not run.n_missing():
            self._close(uid, run)

    def _close(self, uid: str, run: _Run) -> None:
        assert run.stop is not None
        del self._runs[uid]
        self._ended.append(uid)
        self._stream_of = {own: of for own, of in self._stream_of.items() if of[0] != uid}
        self._deliver("stop", run.stop)

    def _fetch(self, uid: str) -> None:
        """Hand on stored documents of a run that were not handed on before."""
        for name, doc in self._read(uid) or ():
            self(name, doc)
        run = self._runs.get(uid)
        if run is not None and run.stop is not None and not run.n_missing():
            self._close(uid, run)

    def _keep_early(self, descriptor: str, doc: Mapping[str, Any]) -> None:
        if sum(map(len, self._early.values())) < _MAX_EARLY:
            self._early.setdefault(descriptor, []).append(("event", doc))

    def _join_early(self) -> None:
        """Look in the store for runs whose events came without a start document."""
        self.join()
        n_left = sum(map(len, self._early.values()))
        if n_left:
            logger.warning("%d events of a run that is not stored are left out", n_left)
            self._early.clear()
