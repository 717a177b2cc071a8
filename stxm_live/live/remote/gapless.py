"""Documents of runs without gaps: missing ones are read from where the runs are stored."""

from __future__ import annotations

import logging
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from numbers import Real
from sys import getsizeof
from typing import Any

import numpy as np

from stxm_live.io.documents import copied

logger = logging.getLogger("stxm_live")

_Document = tuple[str, Mapping[str, Any]]

PATIENCE_S = 60.0
"""Seconds after a run's end during which its missing documents are searched."""

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0
_IDLE_S = 5.0

_MAX_EARLY = 2000
"""Events that wait for their run to be found; further ones come from the store."""

_MAX_EARLY_BYTES = 64 * 2**20
"""Bytes of these events, about."""

_MAX_RUNS = 64
"""Most runs that have begun and not ended; the one that was silent longest is given up first."""

_MANY_RUNS = 32
"""With more than these open, a start is handed on with the next document of its run."""

_MAX_UID = 200
"""Most characters of a uid, as in the catalogue."""

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
    heard_s: float = field(default_factory=time.monotonic)
    held_start: Mapping[str, Any] | None = None

    def n_missing(self) -> int:
        """Return the number of missing events, from the numbers of the others and the stop."""
        announced = (self.stop or {}).get("num_events")
        if not isinstance(announced, Mapping):
            announced = {}
        streams = set(self.times) | set(announced)
        return sum(self._n_missing_of(name, announced.get(name)) for name in streams)

    def _n_missing_of(self, stream: str, announced: object) -> int:
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
        self._n_early = self._early_bytes = 0
        self._ended: deque[str] = deque(maxlen=_REMEMBERED_ENDS)

    @property
    def open_runs(self) -> list[str]:
        """Return the runs that have begun and not ended."""
        return list(self._runs)

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take a document from the stream; one that cannot be used is logged and left out."""
        try:
            self._take(name, doc)
        except Exception as error:  # noqa: BLE001  a document may hold anything
            logger.error(
                "a %s document of run %s cannot be used (%s); left out",
                *(name, self._run_of(doc), repr(error)[:200]),
            )

    def _take(self, name: str, doc: Mapping[str, Any]) -> None:
        if name == "start":
            self._begin(_uid(doc["uid"]), doc)
        elif name == "stop":
            self._end(_uid(doc["run_start"]), doc)
        elif name == "event_page":
            for event in _events(doc):
                self._event(event)
        elif name == "event":
            self._event(doc)
        else:
            self._other(name, doc)

    def join(self) -> None:
        """Begin with the runs that are under way."""
        try:
            found = list(self._find())
        except Exception:
            logger.exception("the stored runs cannot be listed")
            return
        for uid in found:
            if uid not in self._ended:
                self._fetch(uid)

    def look(self) -> None:
        """Look for missing documents, where that is due; call this a few times a second."""
        now = time.monotonic()
        if self._early:
            self._join_early()
        for uid, run in list(self._runs.items()):
            if now < run.look_s or uid not in self._runs:
                continue
            run.pause_s = min(2 * run.pause_s, _LONGEST_PAUSE_S)
            run.look_s = now + run.pause_s
            self._fetch(uid)
            if uid in self._runs and run.stop is not None and now - run.ended_s > PATIENCE_S:
                logger.error("run %s: %d documents were not found", uid[:8], run.n_missing())
                self._close(uid, run)

    def _begin(self, uid: str, doc: Mapping[str, Any]) -> None:
        if uid in self._runs or uid in self._ended:
            return
        self._runs[uid] = _Run(look_s=time.monotonic() + _IDLE_S)
        if len(self._runs) > _MAX_RUNS:
            self._give_up(min(self._runs, key=lambda known: self._runs[known].heard_s))
        if len(self._runs) > _MANY_RUNS:
            self._runs[uid].held_start = doc
        else:
            self._deliver("start", doc)

    def _hand_on(self, run: _Run, name: str, doc: Mapping[str, Any]) -> None:
        start, run.held_start = run.held_start, None
        if start is not None:
            self._deliver("start", start)
        self._deliver(name, doc)

    def _other(self, name: str, doc: Mapping[str, Any]) -> None:
        """Hand on a descriptor, or a document about files."""
        if name == "descriptor":
            uid = _uid(doc["run_start"])
            stream = re.sub(r"_\d+$", "", str(doc.get("name"))[:_MAX_UID])
        else:
            parent = _uid(doc.get("descriptor") or doc.get("resource") or doc.get("run_start"))
            uid, stream = self._stream_of.get(parent, (parent, ""))
        run = self._runs.get(uid)
        own = doc.get("uid") or doc.get("datum_id") or str(id(doc))
        own = _uid(own) if isinstance(own, str) else str(hash(str(own)))  # a page has a list of ids
        if run is None or own in run.handed_on:
            return
        run.heard_s = time.monotonic()
        run.handed_on.add(own)
        self._stream_of[own] = (uid, stream)
        self._hand_on(run, name, doc)
        for early in self._early.pop(own, ()):
            self(*early)

    def _event(self, doc: Mapping[str, Any]) -> None:
        descriptor = _uid(doc["descriptor"])
        if descriptor not in self._stream_of:
            self._keep_early(descriptor, doc)
            return
        uid, stream = self._stream_of[descriptor]
        run = self._runs.get(uid)
        if run is None:
            return
        times = run.times.setdefault(stream, {})
        number, time_s = int(_number(doc["seq_num"])), _number(doc["time"])
        if times.get(number, float("-inf")) >= time_s:
            return
        is_gap = number > len(times) + 1 and number not in times
        times[number] = time_s
        now = run.heard_s = time.monotonic()
        run.look_s = min(run.look_s, now) if is_gap else max(run.look_s, now + _IDLE_S)
        if is_gap:
            run.pause_s = _FIRST_PAUSE_S
        self._hand_on(run, "event", doc)

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
        self._hand_on(run, "stop", run.stop)

    def _give_up(self, uid: str) -> None:
        """Forget a run that has not ended, because there are too many."""
        if self._runs.pop(uid).held_start is not None:
            return  # nobody has heard of it
        logger.error("run %s: given up, since more than %d runs have not ended", uid[:8], _MAX_RUNS)
        self._stream_of = {own: of for own, of in self._stream_of.items() if of[0] != uid}

    def _run_of(self, doc: Mapping[str, Any]) -> str:
        """Return the beginning of the uid of a document's run, as far as it is known."""
        uid = doc.get("run_start") or doc.get("uid")
        known = self._stream_of.get(str(doc.get("descriptor"))[:_MAX_UID], (uid, ""))[0]
        return ascii(known)[:10] if isinstance(known, str) else "without a uid"

    def _fetch(self, uid: str) -> None:
        """Hand on stored documents of a run that were not handed on before."""
        try:
            for name, doc in self._read(uid) or ():
                self(name, doc)
        except Exception:
            logger.exception("run %s: what is stored of it cannot be read", uid[:8])
        run = self._runs.get(uid)
        if run is not None and run.stop is not None and not run.n_missing():
            self._close(uid, run)

    def _keep_early(self, descriptor: str, doc: Mapping[str, Any]) -> None:
        """Keep an event of an unknown run if there is room; the run is looked for in any case."""
        self._n_early += 1
        if self._n_early <= _MAX_EARLY:
            kept = self._early.setdefault(descriptor, [])
            self._early_bytes += _n_bytes(doc)
            if self._early_bytes <= _MAX_EARLY_BYTES:
                kept.append(("event", doc))

    def _join_early(self) -> None:
        """Look in the store for runs whose events came without a start document."""
        self.join()
        if self._early:
            logger.warning("%d events of a run that is not stored are left out", self._n_early)
            self._early.clear()
        self._n_early = self._early_bytes = 0


def _uid(value: object) -> str:
    """Return a uid; ValueError if it is none."""
    if not isinstance(value, str):
        raise ValueError(f"a uid is a {type(value).__name__}, expected a text")
    if not 0 < len(value) <= _MAX_UID:
        raise ValueError(f"a uid has {len(value)} characters; expected 1 to {_MAX_UID}")
    return value


def _n_bytes(value: object) -> int:
    """Return the memory of a value, with those in it."""
    if isinstance(value, Mapping):
        return 64 + sum(_n_bytes(key) + _n_bytes(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return 64 + sum(map(_n_bytes, value))
    return value.nbytes if isinstance(value, np.ndarray) else getsizeof(value)


def _number(value: object) -> float:
    """Return a number; ValueError if it is none, without a text of any length in the message."""
    if not isinstance(value, Real):
        raise ValueError(f"expected a number, got {type(value).__name__}")
    return float(value)


def _events(page: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the events of a page; one with more than a session takes is refused."""
    from event_model import unpack_event_page

    copy = copied("event_page", page)
    if copy.left_out:
        raise ValueError("; ".join(copy.left_out))
    yield from unpack_event_page(copy.doc)
