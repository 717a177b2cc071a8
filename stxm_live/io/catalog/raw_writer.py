"""Keep every raw run: a RunEngine subscriber that stores on its own thread."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stxm_live.io.catalog.backup import BackupFile, backup_name
from stxm_live.io.catalog.folder import catalog_folder
from stxm_live.io.catalog.run_store import RunStore, restore_run
from stxm_live.io.documents import snapshot

if TYPE_CHECKING:
    import databroker
    from bluesky import RunEngine

_log = logging.getLogger(__name__)

_Job = tuple[str, Mapping[str, Any]] | threading.Event | None


@dataclass
class _Run:
    """A run on its way into the catalogue."""

    store: RunStore
    backup: BackupFile | None
    error: Exception | None = None


class RawWriter:
    """Stores raw runs in a catalogue without holding up the scan.

    On the RunEngine's thread a document is only copied and queued. On the writer's own thread
    it goes to a backup file first, which is removed once the run is in the catalogue, then to
    the catalogue, one write per image. A failure is logged and told to ``on_error`` at once; the
    run goes on and its backup file stays, and `preflight` refuses the next run.

    Parameters
    ----------
    broker : databroker.Broker
        From `open_catalog`.
    backup_folder : path-like, optional
        Default is ``backup`` in the catalogue's folder; needed for a catalogue on a server.
    on_error : callable, optional
        Called as ``on_error(uid, error)`` on the writer's thread.

    Attributes
    ----------
    leftovers : list of Path
        Backup files found at the beginning: runs of sessions that ended before they were stored.

    Notes
    -----
    ``RE.subscribe(writer)``, then ``writer.guard(RE)`` so that `preflight` is asked before
    every run.
    """

    def __init__(
        self,
        broker: databroker.Broker,
        *,
        backup_folder: str | Path | None = None,
        on_error: Callable[[str, Exception], None] | None = None,
    ) -> None:
        folder = Path(backup_folder) if backup_folder else catalog_folder(broker)
        if folder is None:
            raise ValueError(
                "a catalogue on a server needs backup_folder=, a folder on this machine"
            )
        self.backup_folder = folder if backup_folder else folder / "backup"
        self.leftovers = sorted(self.backup_folder.glob("*.jsonl"))
        if self.leftovers:
            _log.warning(
                "%d runs of earlier sessions are only in backup files in %s; store them with "
                "stxm_live.io.catalog.restore_run(broker, file)",
                len(self.leftovers),
                self.backup_folder,
            )
        self._broker = broker
        self._on_error = on_error
        self._queue: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._ends: dict[str, Exception | None] = {}
        self._failures: dict[str, Exception] = {}
        self._cut_off: dict[str, Exception] = {}
        self._runs: dict[str, _Run] = {}
        self._run_of: dict[str, str] = {}
        self._is_closed = False
        self._is_working = True
        self._thread = threading.Thread(target=self._work, name="stxm-raw-writer", daemon=True)
        self._thread.start()

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Copy a document and queue it; never raises for what happens to it later."""
        if self._is_closed:
            _log.error("the raw writer is closed: a %s document is not stored", name)
            return
        # events are large and their arrays all that changes; other subscribers mutate the rest
        copied = snapshot(name, doc) if name in ("event", "event_page") else deepcopy(doc)
        self._queue.put((name, copied))

    def guard(self, run_engine: RunEngine) -> None:
        """Let this RunEngine open a run only if `preflight` allows it."""
        validate = run_engine.md_validator

        def check(md: dict[str, Any]) -> None:
            self.preflight()
            validate(md)

        run_engine.md_validator = check

    def preflight(self) -> None:
        """Raise RuntimeError if the next run could not be stored: call before it begins."""
        if self._is_closed:
            raise RuntimeError(
                "the raw writer is closed: the run would not be stored; make a new one"
            )
        with self._changed:
            failures = dict(self._failures)
        if failures:
            uid, error = next(iter(failures.items()))
            kept = (
                f"its backup file {self._backup_path(uid)} ends early. Mend the cause and call "
                if uid in self._cut_off
                else f"its documents are kept in {self._backup_path(uid)}. Mend the cause and call "
                "retry(), or call "
            )
            raise RuntimeError(
                f"run {uid[:8]} could not be stored in the catalogue ({error}); {kept}"
                "acknowledge() to go on without"
            ) from error

    def retry(self) -> None:
        """Store the failed runs from their backup files; raises what goes wrong again.

        A run whose backup file ends early is left as it is: `restore_run` would store it as one
        that was aborted there.
        """
        for uid in list(self._failures):
            if uid in self._runs:
                raise RuntimeError(f"run {uid[:8]} is not over yet; retry when it is")
            if uid in self._cut_off:
                raise RuntimeError(
                    f"run {uid[:8]} is not stored: its backup file {self._backup_path(uid)} ends "
                    f"early ({self._cut_off[uid]}). Store what it has with "
                    "stxm_live.io.catalog.restore_run(broker, file), or call acknowledge()"
                )
            restore_run(self._broker, self._backup_path(uid))
            with self._changed:
                self._ends[uid] = None
                self._failures.pop(uid, None)

    def acknowledge(self) -> None:
        """Let scans go on although runs failed; their backup files stay."""
        with self._changed:
            self._failures.clear()
            self._cut_off.clear()

    def flush(self, timeout_s: float | None = None) -> None:
        """Wait until every document handed over so far has been worked on."""
        if not self._thread.is_alive():
            return
        reached = threading.Event()
        self._queue.put(reached)
        if not reached.wait(timeout_s):
            raise TimeoutError(f"documents are still being stored after {timeout_s} s")

    def wait(self, uid: str, timeout_s: float | None = None) -> None:
        """Wait until a run is safely stored.

        Raises
        ------
        RuntimeError
            If it could not be stored, or the writer was closed before its end came.
        TimeoutError
            If it is not stored yet, or no such run came.
        """

        def is_decided() -> bool:
            return uid in self._ends or not self._is_working

        with self._changed:
            if not self._changed.wait_for(is_decided, timeout_s):
                raise TimeoutError(f"run {uid[:8]} is not stored after {timeout_s} s")
            if uid not in self._ends:
                raise RuntimeError(f"run {uid[:8]} was not over when the raw writer was closed")
            error = self._ends[uid]
        if error is not None:
            raise RuntimeError(f"run {uid[:8]} could not be stored: {error}") from error

    def close(self, timeout_s: float | None = None) -> None:
        """Work off the queue and end the thread; may be called twice."""
        if not self._is_closed:
            self._is_closed = True
            self._queue.put(None)
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise TimeoutError(f"documents are still being stored after {timeout_s} s")

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            if isinstance(job, threading.Event):
                job.set()
            else:
                self._take(*job)
        for uid, run in self._runs.items():
            _log.warning("run %s has no end; its documents are in %s", uid, self._backup_path(uid))
            if run.backup is not None:
                run.backup.close()
        with self._changed:
            self._is_working = False
            self._changed.notify_all()

    def _take(self, name: str, doc: Mapping[str, Any]) -> None:
        uid = self._run_uid(name, doc)
        if name == "start":
            self._runs[uid] = _Run(RunStore(self._broker), BackupFile(self._backup_path(uid)))
        run = self._runs.get(uid)
        if run is None:
            if name == "stop":
                _log.warning("run %s is not stored: its start document was not seen", uid)
            return
        self._back_up(uid, run, name, doc)
        if run.error is None:
            try:
                run.store(name, doc)
            except Exception as error:  # noqa: BLE001  the one place: a scan goes on whatever fails
                run.error = error
                with self._changed:
                    self._failures[uid] = self._ends[uid] = error
                    self._changed.notify_all()
                self._report(uid, "could not be stored in the catalogue", error)
        if name == "stop":
            self._end(uid, run)

    def _run_uid(self, name: str, doc: Mapping[str, Any]) -> str:
        """Which run a document belongs to; empty if that is not known."""
        if name == "start":
            return str(doc.get("uid"))
        parent = str(doc.get("descriptor") or doc.get("resource") or "")
        uid = str(doc.get("run_start") or self._run_of.get(parent, ""))
        if name in ("descriptor", "resource", "stream_resource"):
            self._run_of[str(doc.get("uid"))] = uid
        return uid

    def _back_up(self, uid: str, run: _Run, name: str, doc: Mapping[str, Any]) -> None:
        if run.backup is None:
            return
        try:
            run.backup(name, doc)
        except (OSError, TypeError, ValueError) as error:
            with suppress(OSError):  # what is left to write finds no room either
                run.backup.close()
            run.backup = None
            self._cut_off[uid] = error
            self._report(uid, "has no backup file any more", error)

    def _end(self, uid: str, run: _Run) -> None:
        if run.backup is not None:
            if run.error is None:
                run.backup.delete()
            else:
                run.backup.close()
        if run.error is None:
            self._cut_off.pop(uid, None)
        del self._runs[uid]
        self._run_of = {child: of for child, of in self._run_of.items() if of != uid}
        with self._changed:
            self._ends[uid] = run.error
            self._changed.notify_all()

    def _report(self, uid: str, what: str, error: Exception) -> None:
        _log.error("run %s %s", uid[:8], what, exc_info=error)
        if self._on_error is None:
            return
        try:
            self._on_error(uid, error)
        except Exception:  # noqa: BLE001  not ours: the runs to come are stored nevertheless
            _log.exception("on_error of the raw writer failed")

    def _backup_path(self, uid: str) -> Path:
        return self.backup_folder / backup_name(uid)
