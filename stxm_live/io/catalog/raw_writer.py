"""Storage of every raw run: a RunEngine subscriber that stores on its own thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stxm_live.core.harmless import Harmless
from stxm_live.core.worker import Limits, Worker
from stxm_live.io.catalog.backup import BackupFile, backup_name
from stxm_live.io.catalog.folder import catalog_folder
from stxm_live.io.catalog.run_store import RunStore, restore_run
from stxm_live.io.documents import Copied, copied

if TYPE_CHECKING:
    import databroker
    from bluesky import RunEngine

_log = logging.getLogger(__name__)

WAITING_BYTES = 4 * 2**30
"""Bytes that may wait to be stored; beyond this, a run is dropped so that the session can go on."""


@dataclass
class _Run:
    """One run that is being written to the catalogue."""

    store: RunStore
    backup: BackupFile | None
    error: Exception | None = None


class RawWriter:
    """Store raw runs in a catalogue without delaying the scan.

    On the RunEngine's thread a document is only copied and queued. On the writer's own thread
    it goes to a backup file first, which is removed once the run is in the catalogue, then to
    the catalogue, one write per image. A failure is logged and reported to ``on_error`` at once;
    the run goes on, its backup file stays, and `preflight` refuses the next run. The same happens
    when more waits than ``limits`` allows: images beyond the limit are dropped, the scan goes on.

    Parameters
    ----------
    broker : databroker.Broker
        From `open_catalog`.
    backup_folder : path-like, optional
        Default is ``backup`` in the catalogue's folder; needed for a catalogue on a server.
    on_error : callable, optional
        Called as ``on_error(uid, error)`` on the writer's thread.
    limits : Limits, optional
        Amount of data that may wait to be stored; by default 4 GiB.

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
        limits: Limits | None = None,
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
        self._changed = threading.Condition()
        self._ends: dict[str, Exception | None] = {}
        self._failures: dict[str, Exception] = {}
        self._cut_off: dict[str, Exception] = {}
        self._runs: dict[str, _Run] = {}
        self._run_of: dict[str, str] = {}
        self._is_closed = False
        self._is_working = True
        self._worker: Worker[Callable[[], None]] = Worker(
            lambda act: act(),
            limits=limits or Limits(waiting_bytes=WAITING_BYTES),
            name="stxm-raw-writer",
        )

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Copy a document and queue it; never raises, never waits."""
        with Harmless(f"a {name} document is not stored", partial(self._missed, name, doc)):
            self._receive(name, doc)

    def _receive(self, name: str, doc: Mapping[str, Any]) -> None:
        if self._is_closed:
            _log.error("the raw writer is closed: a %s document is not stored", name)
            return
        copy = copied(name, doc, room_bytes=self._worker.room_bytes)
        take = partial(self._take, name, copy)
        if copy.has_no_room or not self._worker.submit(take, n_bytes=copy.n_bytes):
            waiting = f"{self._worker.waiting_bytes / 2**20:.2g} MiB wait to be stored"
            self._lose(name, copy.doc, RuntimeError(f"{waiting}; some of its images were dropped"))

    def _missed(self, name: str, doc: Mapping[str, Any], error: BaseException) -> None:
        self._lose(name, doc, RuntimeError(f"a {name} document could not be taken ({error!r})"))

    def _lose(self, name: str, doc: Mapping[str, Any], error: Exception) -> None:
        """Give up a run of which a document is not kept."""
        kept = {key: doc[key] for key in ("uid", "run_start", "descriptor") if key in doc}
        self._worker.submit(partial(self._drop, name, kept, error))

    def guard(self, run_engine: RunEngine) -> None:
        """Allow this RunEngine to open a run only if `preflight` finds no problem."""
        validate = run_engine.md_validator

        def check(md: dict[str, Any]) -> None:
            self.preflight()
            validate(md)

        run_engine.md_validator = check

    def preflight(self) -> None:
        """Raise RuntimeError if the next run could not be stored; call it before the run begins."""
        if self._is_closed:
            raise RuntimeError(
                "the raw writer is closed and would not store the run; make a new RawWriter"
            )
        with self._changed:
            failures = dict(self._failures)
        if failures:
            uid, error = next(iter(failures.items()))
            kept = (
                f"its backup file {self._backup_path(uid)} ends early. Remove the cause and call "
                if uid in self._cut_off
                else f"its documents are kept in {self._backup_path(uid)}. Remove the cause and "
                "call retry(), or call "
            )
            raise RuntimeError(
                f"run {uid[:8]} could not be stored in the catalogue ({error}); {kept}"
                "acknowledge() to go on without this run"
            ) from error

    def retry(self) -> None:
        """Store the failed runs from their backup files; raises the errors that occur again.

        A run whose backup file is incomplete is not retried: `restore_run` would store it as
        aborted at that point.
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

    @property
    def is_idle(self) -> bool:
        """Return True if every document received so far has been processed."""
        return self._worker.waiting_bytes == 0

    def flush(self, timeout_s: float | None = None) -> None:
        """Wait until every document received so far has been processed."""
        if self._is_closed:
            self.close(timeout_s)
            return
        reached = threading.Event()
        self._worker.submit(reached.set)
        if not reached.wait(timeout_s):
            raise TimeoutError(f"documents are still being stored after {timeout_s} s")

    def wait(self, uid: str, timeout_s: float | None = None) -> None:
        """Wait until a run is safely stored.

        Raises
        ------
        RuntimeError
            If it could not be stored, or the writer was closed before the run ended.
        TimeoutError
            If it is not stored yet, or no such run was received.
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
        """Process the queue and end the thread; may be called twice."""
        if not self._is_closed:
            self._is_closed = True
            self._worker.submit(self._end_unfinished)
        if not self._worker.close(timeout_s):
            raise TimeoutError(f"documents are still being stored after {timeout_s} s")

    def _end_unfinished(self) -> None:
        """Close the backup files of runs without a stop document."""
        for uid, run in self._runs.items():
            _log.warning("run %s has no end; its documents are in %s", uid, self._backup_path(uid))
            if run.backup is not None:
                run.backup.close()
        with self._changed:
            self._is_working = False
            self._changed.notify_all()

    def _take(self, name: str, copy: Copied) -> None:
        doc = copy.doc
        uid = self._run_uid(name, doc)
        if name == "start":
            self._runs[uid] = _Run(RunStore(self._broker), BackupFile(self._backup_path(uid)))
        run = self._runs.get(uid)
        if run is None:
            if name == "stop":
                _log.warning("run %s is not stored: its start document did not arrive", uid)
            return
        self._back_up(uid, run, name, doc)
        if copy.left_out and run.error is None:
            left_out = f"a {name} document is kept without {'; '.join(copy.left_out)}"
            self._fail(uid, run, RuntimeError(left_out))
        if run.error is None:
            try:
                run.store(name, doc)
            except Exception as error:  # noqa: BLE001  the one place: a scan goes on whatever fails
                self._fail(uid, run, error)
        if name == "stop":
            self._end(uid, run)

    def _drop(self, name: str, doc: Mapping[str, Any], error: Exception) -> None:
        """Note that a document is not kept; its run is then incomplete."""
        uid = self._run_uid(name, doc)
        run = self._runs.get(uid)
        if run is None or (run.error is not None and run.backup is None):
            return
        self._cut_off_backup(uid, run, error)
        if run.error is None:
            self._fail(uid, run, error)

    def _fail(self, uid: str, run: _Run, error: Exception) -> None:
        run.error = error
        with self._changed:
            self._failures[uid] = self._ends[uid] = error
            self._changed.notify_all()
        self._report(uid, "could not be stored in the catalogue", error)

    def _run_uid(self, name: str, doc: Mapping[str, Any]) -> str:
        """Return the uid of a document's run; empty if it is not known."""
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
            self._cut_off_backup(uid, run, error)
            self._report(uid, "has no backup file anymore", error)

    def _cut_off_backup(self, uid: str, run: _Run, error: Exception) -> None:
        if run.backup is not None:
            with suppress(OSError):  # what is left to write finds no room either
                run.backup.close()
        run.backup = None
        self._cut_off[uid] = error

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
