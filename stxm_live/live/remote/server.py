"""The process that maps the runs of another one."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.recipe import Recipe
from stxm_live.core.stack import StackKey
from stxm_live.core.worker import Limits, Worker
from stxm_live.io.catalog.derived import failure_documents, map_documents
from stxm_live.io.catalog.reading import Document
from stxm_live.live.mapper import LivePhaseMapper
from stxm_live.live.remote.gapless import Gapless
from stxm_live.live.remote.sockets import MAPS_PREFIX, DocumentPublisher, DocumentReceiver
from stxm_live.live.remote.stored_runs import StoredRuns

logger = logging.getLogger("stxm_live")

_LOOK_S = 0.1
_AT_ONCE = 1000

END_S = 10.0
"""Longest time that a server takes to end, apart from the step that it is in."""

_MAX_RESULTS = 16
"""Most results whose run has not ended; they are stored at its end."""


class Server:
    """Map the runs of a RunEngine in another process.

    It joins the stream first, then reads the stored documents of the runs under way, so that a
    server that starts late or again misses nothing. Maps go out as the documents of derived runs,
    the quick ones too; the last of a run are stored in the catalogue.

    Parameters
    ----------
    recipe : Recipe
    raw : str
        Address where the proxy sends documents, as "127.0.0.1:5578".
    maps : str
        Address others connect to for results.
    catalog : Path, optional
        Folder of the catalogue in which the runs are stored. Without it, documents that the
        stream drops are lost.
    roots : sequence of path
        Folders from which images outside the documents may be read.
    allow_network : bool
        Accept addresses that other machines can reach.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        raw: str,
        maps: str,
        catalog: Path | None = None,
        roots: Sequence[str | Path] = (),
        allow_network: bool = False,
    ) -> None:
        self._receiver = DocumentReceiver(raw, allow_network=allow_network)
        self._publisher = DocumentPublisher(
            maps, prefix=MAPS_PREFIX, bind=True, allow_network=allow_network
        )
        self._stored = StoredRuns(catalog, roots) if catalog else None
        self.live = LivePhaseMapper(recipe, roots=roots, limits=Limits())  # no scan to wait for
        self.live.add_sink(on_maps=self._on_maps, on_error=self._on_error)
        self._gapless = Gapless(
            self._take,
            self._stored.read if self._stored else lambda uid: None,
            self._stored.open_runs if self._stored else lambda: (),
        )
        self._newest: dict[StackKey, tuple[PhaseMaps, list[Document]]] = {}
        self._ending: set[str] = set()
        self._joins_ended = self._stored is not None
        # one after the other, so that a result is made into documents before it is stored
        self._sending: Worker[Callable[[], None]] = Worker(lambda act: act(), name="stxm-live-send")
        self._storing: Worker[tuple[PhaseMaps, list[Document]]] = Worker(
            self._store, name="stxm-live-store"
        )
        self._is_stopping = threading.Event()

    def run(self) -> None:
        """Work until `stop` is called; what fails is logged, and the next document is taken."""
        self._gapless.join()
        while not self._is_stopping.is_set():
            try:
                self._take_some()
                self._gapless.look()
                self._join_ended()
                self._store_ended()
            except Exception:
                logger.exception("a step of the server failed; it goes on")
                self._is_stopping.wait(_LOOK_S)

    def _take_some(self) -> None:
        """Take what has been sent, and at most so much that the store is looked at in between."""
        timeout_s = _LOOK_S
        for _ in range(_AT_ONCE):
            received = self._receiver.receive(timeout_s)
            if received is None:
                return
            self._gapless(*received)
            if self._is_stopping.is_set():
                return
            timeout_s = 0.0

    def stop(self) -> None:
        """Let `run` return; may be called on any thread and by a signal."""
        self._is_stopping.set()

    def close(self, timeout_s: float = END_S) -> None:
        """Finish the received documents, store the results, and release everything.

        What is not done in time is given up: a new server takes up runs without maps.
        """
        end_s = time.monotonic() + timeout_s
        self._receiver.close()
        self.live.close(timeout_s / 2)
        self._store_ended()
        are_done = [
            worker.close(max(0.0, end_s - time.monotonic()))
            for worker in (self._sending, self._storing)
        ]
        if not all(are_done):
            logger.warning("results may not be stored yet; a new server makes them again")
        self._publisher.close()
        if self._stored is not None:
            self._stored.close(max(0.0, end_s - time.monotonic()))

    def _take(self, name: str, doc: Mapping[str, Any]) -> None:
        self.live(name, doc)
        if name == "stop":
            self._ending.add(str(doc["run_start"]))

    def _join_ended(self) -> None:
        """Take up runs that ended without maps, once the catalogue is open."""
        if not self._joins_ended or self._stored is None:
            return
        if self._stored.wait_until_open(0.0):
            self._joins_ended = False
            self._gapless.join()
            for uid in self._stored.unmapped():
                for name, doc in self._stored.read(uid) or ():
                    self._gapless(name, doc)

    def _store_ended(self) -> None:
        for uid in [uid for uid in self._ending if self._is_done(uid)]:
            self._ending.discard(uid)
            self._sending.submit(partial(self._store_newest, uid))

    def _store_newest(self, uid: str) -> None:
        for key in [key for key in self._newest if uid in key.run_uids]:
            made = self._newest.pop(key)
            if self._stored is not None:
                self._storing.submit(made)

    def _is_done(self, uid: str) -> bool:
        try:
            return self.live.status(uid).is_done
        except KeyError:
            return True

    def _on_maps(self, maps: PhaseMaps) -> None:
        """Send maps from the worker's thread, which goes on to refine them."""
        self._sending.submit(partial(self._send, maps))

    def _send(self, maps: PhaseMaps) -> None:
        documents = list(map_documents(maps))
        self._newest.pop(maps.key, None)
        self._newest[maps.key] = (maps, documents)
        if len(self._newest) > _MAX_RESULTS:
            first = next(iter(self._newest))
            logger.warning("the maps of %s are not stored: its run has not ended", first)
            del self._newest[first]
        self._publish(documents)

    def _on_error(self, uid: str, error: Exception) -> None:
        self._sending.submit(lambda: self._publish(list(failure_documents(uid, error))))

    def _publish(self, documents: list[Document]) -> None:
        for name, doc in documents:
            self._publisher(name, doc)

    def _store(self, made: tuple[PhaseMaps, list[Document]]) -> None:
        assert self._stored is not None
        self._stored.store(*made)
