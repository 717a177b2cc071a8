"""Runs that others write into a catalogue, read while they grow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from time import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from stxm_live.io.catalog.anywhere import bluesky_catalog
from stxm_live.io.catalog.reading import Document, documents

if TYPE_CHECKING:
    import databroker

_KNOWN = 100
"""Newest runs that are known when the search begins."""

_UNFINISHED = 4
"""Newest runs of which those without an end are followed from the beginning."""

_IN_A_ROW = 32
"""Known runs in a row after which older ones are not looked at: several programs may write at a
time, and a run may appear beside newer ones."""


class NewRuns:
    """Find the runs that were added to a catalogue since the last look; none is left out.

    Parameters
    ----------
    broker : Broker
        An open catalogue.
    """

    def __init__(self, broker: databroker.Broker) -> None:
        self._broker = broker
        newest = list(islice(self._newest_first(), _KNOWN))
        unfinished = [uid for uid in newest[:_UNFINISHED] if _is_unfinished(broker, uid)]
        self._known = set(newest) - set(unfinished)
        self._n_found = 0

    def look(self) -> list[str]:
        """Return the uids of new runs, the oldest first."""
        found = _unknown(self._newest_first(), self._known, self._n_found + _IN_A_ROW)
        self._n_found = len(found)
        self._known.update(found)
        return found[::-1]

    def _newest_first(self) -> Iterator[str]:
        # a new client: one that is kept may know the runs of before
        client = bluesky_catalog(self._broker.v2.new_variation())
        return iter(reversed(client.keys()))


class GrowingRun:
    """The documents of a run, as they appear in its catalogue.

    Parameters
    ----------
    broker : Broker
    uid : str

    Attributes
    ----------
    is_over : bool
        True if its last document was given.
    """

    def __init__(self, broker: databroker.Broker, uid: str) -> None:
        self.uid = uid
        self.is_over = False
        self._broker = broker
        self._sent: set[str] = set()
        self._rows: dict[str, int] = {}

    def look(self) -> Iterator[Document]:
        """Yield what is new; an event that was sent again comes again."""
        run = bluesky_catalog(self._broker.v2)[self.uid]
        if run.metadata["start"].get("purpose") == "analysis":
            self.is_over = True
            return
        for name, doc in documents(run, known_rows=self._rows):
            if name != "event":
                if doc["uid"] in self._sent:
                    continue
                self._sent.add(doc["uid"])
            self.is_over |= name == "stop"
            yield name, doc

    def cut_off(self) -> dict[str, Any] | None:
        """Return a stop document for a run that was begun and is not continued, else None."""
        if not self._sent:
            return None
        return {
            "uid": str(uuid4()),
            "run_start": self.uid,
            "time": time(),
            "exit_status": "abort",
            "reason": "no end was stored",
            "num_events": {},
        }


def _unknown(newest_first: Iterable[str], known: set[str], least: int) -> list[str]:
    """Return the unknown uids among the newest, of at least so many.

    Examples
    --------
    >>> _unknown(["e", "d", "c", "b", "a"], {"a", "c", "d"}, 5)
    ['e', 'b']
    """
    found, n_known = list[str](), 0
    for k, uid in enumerate(newest_first, start=1):
        if uid in known:
            n_known += 1
            if n_known >= _IN_A_ROW and k >= least:
                break
        elif uid not in found:  # a page may repeat what a new run has moved there
            found.append(uid)
            n_known = 0
    return found


def _is_unfinished(broker: Any, uid: str) -> bool:
    run = bluesky_catalog(broker.v2)[uid]
    return not run.metadata.get("stop") and run.metadata["start"].get("purpose") != "analysis"
