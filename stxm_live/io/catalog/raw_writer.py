"""Storage of every raw run: a RunEngine subscriber that stores on threads of its own."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stxm_live.core.harmless import Harmless, plain, uid_in
from stxm_live.core.open_runs import OpenRuns
from stxm_live.core.worker import ITEM_BYTES, Limits, Worker
from stxm_live.io.catalog.backup import BackupFile, backup_name, second_folder
from stxm_live.io.catalog.failures import Failures
from stxm_live.io.catalog.folder import catalog_folder, wait_before_closing
from stxm_live.io.catalog.restore import left_behind, require_stored, restore_run
from stxm_live.io.catalog.run_store import RunStore
from stxm_live.io.documents import Copied, copied, prepare_copies, with_arrays

if TYPE_CHECKING:
    import databroker
    from bluesky import RunEngine

logger = logging.getLogger("stxm_live")

WAITING_BYTES = 4 * 2**30
"""Bytes that may wait to be stored; beyond this, a run is dropped so that the session can go on."""

STALLED_S = 10.0
"""Seconds without a written document after which a backup file counts as stalled."""

STALLED_CATALOG_S = 60.0
"""Seconds without a stored document after which the catalogue counts as stalled."""

_AT_EXIT_S = 60.0


def _thread(limits: Limits) -> Worker[Callable[[], None]]:
    return Worker(lambda act: act(), limits=limits, name="stxm-raw-writer")


@dataclass
class _Run:
    """One run that is being written."""

    uid: str
    backup: BackupFile
    is_cut_off: bool = False
    store: RunStore | None = None
    error: BaseException | None = None


class RawWriter:
    """Store raw runs in a catalogue without delaying the scan.

    On the RunEngine's thread a document is only copied and queued. A thread appends it to the
    run's backup file, which goes on in the user's state directory if it cannot be written;
    another one stores it in the catalogue, one write per image. At the end the run is read back
    from the catalogue, and the backup file is removed if nothing is missing. A failure is logged
    and reported to ``on_error`` at once; the run goes on, its backup file stays, and `preflight`
    refuses the next run. The same happens when more waits than ``limits`` allows, or nothing is
    written for `STALLED_S`: the scan goes on. When the interpreter ends, what was received is
    stored first.

    Parameters
    ----------
    broker : databroker.Broker
        From `open_catalog`.
    backup_folder : path-like, optional
        Default is ``backup`` in the catalogue's folder; needed for a catalogue on a server.
    on_error : callable, optional
        Called as ``on_error(uid, error)`` on a thread of its own.
    limits : Limits, optional
        Amount of data that may wait to be stored; by default 4 GiB. Each thread has half.

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
        on_error: Callable[[str, BaseException], None] | None = None,
        limits: Limits | None = None,
    ) -> None:
        folder = Path(backup_folder) if backup_folder else catalog_folder(broker)
        if folder is None:
            raise ValueError(
                "a catalogue on a server needs backup_folder=, a folder on this machine"
            )
        self.backup_folder = folder if backup_folder else folder / "backup"
        self.leftovers = left_behind(self.backup_folder)
        self._broker, self._failures = broker, Failures(on_error)
        self._runs: dict[str, _Run] = {}
        self._run_of: dict[str, str] = {}
        self._lost: set[str] = set()
        self._open_runs, self._last_uid = OpenRuns(), ""
        self._is_closed = self._is_reading_back = False
        limits = limits or Limits(waiting_bytes=WAITING_BYTES)
        half = replace(limits, waiting_bytes=limits.waiting_bytes // 2)
        self._worker, self._storing = _thread(half), _thread(half)
        prepare_copies()
        self._failures.watch(self._stalled)
        wait_before_closing(broker, self._is_done)
        atexit.register(self._at_exit)

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Copy a document and queue it; never raises, never waits."""
        with Harmless("a %s document is not stored", name, partial(self._missed, name, doc)):
            self._receive(name, plain(doc))

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
        self._failures.require_none()
        if stalled := self._stalled()[1]:
            raise RuntimeError(f"{stalled}; wait until it goes on, or mend it")

    def retry(self) -> None:
        """Store the failed runs from their backup files; raises the errors that occur again.

        A run whose backup file is incomplete is not retried: `restore_run` would store it as
        aborted at that point.
        """
        for failure in self._failures.all():
            if failure.uid in self._runs:
                raise RuntimeError(f"run {failure.uid[:8]} is not over yet; retry when it is")
            path = failure.whole_backup()
            if path.exists() or not failure.is_stored:
                restore_run(self._broker, path)
            self._failures.mended(failure.uid)

    def acknowledge(self) -> None:
        """Let scans go on although runs failed; their backup files stay."""
        self._failures.forget()

    @property
    def is_stored(self) -> bool:
        """Return True if all documents so far are in the catalogue.

        The last run may still be read back; until this is done, its backup file is there, too.
        """
        last = ITEM_BYTES if self._is_reading_back else 0
        return not self._worker.waiting_bytes and self._storing.waiting_bytes <= last

    def flush(self, timeout_s: float | None = None) -> None:
        """Wait until every document received so far has been processed."""
        if self._is_closed:
            return self.close(timeout_s)
        reached = threading.Event()

        def pass_on() -> None:
            self._storing.submit(partial(self._failures.when_reported, reached.set))

        self._worker.submit(pass_on)
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
        self._failures.wait_for_end(uid, timeout_s)

    def close(self, timeout_s: float | None = None) -> None:
        """Process the queue and end the threads; may be called twice."""
        if not self._is_closed:
            self._is_closed = True
            self._worker.submit(self._end_unfinished)
        deadline_s = time.monotonic() + (timeout_s or 0)
        for worker in (self._worker, self._storing):
            left_s = None if timeout_s is None else max(0.0, deadline_s - time.monotonic())
            if not worker.close(left_s):
                raise TimeoutError(f"documents are still being stored after {timeout_s} s")
        self._failures.close()
        atexit.unregister(self._at_exit)

    # on the thread of the RunEngine

    def _receive(self, name: str, doc: Mapping[str, Any]) -> None:
        if self._is_closed:
            logger.error("the raw writer is closed: a %s document is not stored", name)
            return
        doc, remark = self._open_runs.take(name, doc)
        if remark:
            self._failures.report(self._last_uid, "may have no end", RuntimeError(remark))
        copy = copied(name, doc, room_bytes=self._worker.room_bytes)
        uid = self._run_uid(name, doc)
        self._last_uid = uid or self._last_uid
        if uid in self._lost and name not in ("start", "stop"):
            return
        take = partial(self._take, uid, name, copy)
        if copy.has_no_room or not self._worker.submit(take, n_bytes=copy.n_bytes):
            waiting = f"{self._worker.waiting_bytes / 2**20:.2g} MiB wait to be stored"
            self._lose(uid, RuntimeError(f"{waiting}; some of its images were dropped"))
        if self._worker.room_bytes < self._worker.limits.waiting_bytes // 2:
            self._failures.look()
        if name == "stop":
            self._lost.discard(uid)
            for child in [key for key, of in self._run_of.copy().items() if of == uid]:
                self._run_of.pop(child, None)

    def _missed(self, name: str, doc: Mapping[str, Any], error: BaseException) -> None:
        uid = self._run_uid(name, plain(doc)) if issubclass(type(doc), dict) else self._last_uid
        self._lose(uid, RuntimeError(f"a {name} document could not be taken ({error!r:.200})"))

    def _lose(self, uid: str, error: Exception) -> None:
        """Give up a run of which a document is not kept."""
        if uid not in self._lost:
            self._lost.add(uid)
            self._failures.add(uid, error, is_cut_off=True)
            self._failures.ended(uid, error)
            self._worker.submit(partial(self._cut_off, uid, error))

    def _run_uid(self, name: str, doc: Mapping[str, Any]) -> str:
        """Return the uid of a document's run; if it is not known, the last one that began."""
        uid, run, *parents = (
            uid_in(doc, key) for key in ("uid", "run_start", "descriptor", "resource")
        )
        if name in ("start", "stop"):
            return uid if name == "start" else run
        of = run or next((self._run_of[uid] for uid in parents if uid in self._run_of), "")
        if name in ("descriptor", "resource", "stream_resource"):
            self._run_of[uid] = of
        return of or self._last_uid

    # on the thread of the backup files

    def _take(self, uid: str, name: str, copy: Copied) -> None:
        try:
            run = self._begun(uid) if name == "start" else self._runs.get(uid)
            if run is not None:
                copy = replace(copy, doc=with_arrays(name, copy.doc))
                self._back_up(run, name, copy)
                store = partial(self._store, run, name, copy.doc)
                if run.error is not None:
                    self._storing.submit(partial(self._sync, run))
                elif not self._storing.submit(store, n_bytes=copy.n_bytes):
                    waiting = f"{self._storing.waiting_bytes / 2**20:.2g} MiB wait for it"
                    self._fail(run, RuntimeError(f"the catalogue is too slow: {waiting}"))
            elif name == "stop":
                logger.warning("run %s is not stored: its start document did not arrive", uid)
        except BaseException as error:  # noqa: BLE001  the one place: the thread goes on
            run = self._runs.get(uid)
            if run is None:
                self._failures.add(uid, error, is_cut_off=True)
            else:
                self._fail(run, error)
        if name == "stop" and (run := self._runs.pop(uid, None)) is not None:
            self._storing.submit(partial(self._end, run))

    def _begun(self, uid: str) -> _Run | None:
        """Return a new run; None if it began before."""
        if uid in self._runs:
            logger.warning("run %s began twice; the second start is left out", uid[:8])
            return None
        path = self.backup_folder / backup_name(uid)
        self._runs[uid] = _Run(uid, BackupFile(path, second_folder(self.backup_folder)))
        return self._runs[uid]

    def _back_up(self, run: _Run, name: str, copy: Copied) -> None:
        if not run.is_cut_off:
            try:
                if (error := run.backup(name, copy.doc)) is not None:
                    self._changed_backup(run, f"is now kept in {run.backup.path}", error)
            except BaseException as error:  # noqa: BLE001  the catalogue may still have it
                self._give_up_backup(run, error)
        if copy.left_out:
            left_out = f"a {name} document is kept without {'; '.join(copy.left_out)}"
            self._fail(run, RuntimeError(left_out))

    def _cut_off(self, uid: str, error: Exception | None = None) -> None:
        """Write no more to a backup file, because a document is missing in it."""
        run = self._runs.get(uid)
        if run is None:
            return
        run.is_cut_off = True
        if error is not None:
            self._fail(run, error)
        with suppress(Exception):  # what is left to write finds no room either
            run.backup.close()

    def _give_up_backup(self, run: _Run, error: BaseException) -> None:
        run.is_cut_off = True  # closed at the end of the run: the other thread may be using it
        self._changed_backup(run, "has no backup file anymore", error)

    def _changed_backup(self, run: _Run, what: str, error: BaseException) -> None:
        if run.error is not None:
            self._failures.add(run.uid, run.error, run.backup.path, is_cut_off=run.is_cut_off)
        self._failures.report(run.uid, what, error)

    def _end_unfinished(self) -> None:
        """Close the backup files of runs without a stop document."""
        for uid, run in self._runs.items():
            logger.warning("run %s has no end; its documents are in %s", uid, run.backup.path)
            with suppress(Exception):
                run.backup.close()
        self._storing.submit(self._failures.no_more)

    # on the thread of the catalogue

    def _sync(self, run: _Run) -> None:
        """Wait until what was written to the backup file is on the disk."""
        if not run.is_cut_off:
            try:
                run.backup.sync()
            except BaseException as error:  # noqa: BLE001
                self._give_up_backup(run, error)

    def _store(self, run: _Run, name: str, doc: Mapping[str, Any]) -> None:
        self._sync(run)  # not on the thread that writes: the next document waits for no disk
        if run.error is None:
            try:
                run.store = run.store or RunStore(self._broker)
                run.store(name, doc)
            except BaseException as error:  # noqa: BLE001  a scan goes on whatever fails
                self._fail(run, error)

    def _end(self, run: _Run) -> None:
        """Read the run back, and remove its backup file if nothing is missing."""
        self._is_reading_back = True
        if run.error is None:
            try:
                require_stored(self._broker, run.uid, run.store.sent if run.store else {})
            except BaseException as error:  # noqa: BLE001
                self._fail(run, error)
        try:
            run.backup.delete() if run.error is None else run.backup.close()
        except BaseException as error:  # noqa: BLE001
            self._failures.add(run.uid, error, run.backup.path, is_stored=run.error is None)
        self._is_reading_back = False
        self._failures.ended(run.uid, run.error)

    # on any thread

    def _fail(self, run: _Run, error: BaseException) -> None:
        """Note that a run is not stored; its backup file stays."""
        if run.error is None:
            run.error = error
            self._failures.add(run.uid, error, run.backup.path, is_cut_off=run.is_cut_off)
            self._failures.ended(run.uid, error)

    def _stalled(self, *, counts_full: bool = True) -> tuple[str, str]:
        """Return the last run, and why no further one may begin; empty texts otherwise."""
        places = (
            (self._worker, f"backup files in {self.backup_folder}", STALLED_S),
            (self._storing, "the catalogue", STALLED_CATALOG_S),
        )
        for worker, where, most_s in places:
            waiting = f"{worker.waiting_bytes / 2**20:.2g} MiB wait to be written to {where}"
            if worker.stalled_s > most_s:
                since = f"nothing was written for {worker.stalled_s:.0f} s"
                return self._last_uid, f"{waiting}, and {since}"
            if counts_full and worker.waiting_bytes > worker.limits.waiting_bytes / 2:
                return self._last_uid, f"{waiting}, more than half of what may wait"
        return "", ""

    def _is_done(self) -> bool:
        """Return True if the catalogue may close, also because nothing moves any more."""
        is_busy = self._worker.waiting_bytes or self._storing.waiting_bytes
        return not is_busy or self._is_closed or bool(self._stalled(counts_full=False)[1])

    def _at_exit(self) -> None:
        with suppress(TimeoutError):
            self.close(_AT_EXIT_S)
