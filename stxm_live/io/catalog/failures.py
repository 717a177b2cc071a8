"""Runs that ended and runs that could not be stored, and the reports of them."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger("stxm_live")

_LOOK_S = 1.0
"""Seconds between two looks whether the storage is stalled."""

_MOST_CAUSES = 100
"""Errors in a chain of causes."""


@dataclass(frozen=True)
class Failure:
    """A run that is not stored, or whose backup file could not be removed.

    Parameters
    ----------
    path : Path, optional
        Its backup file.
    is_cut_off : bool
        True if documents are missing in the backup file.
    is_stored : bool
        True if the run is in the catalogue.
    """

    uid: str
    error: BaseException
    path: Path | None = None
    is_cut_off: bool = False
    is_stored: bool = False

    def __str__(self) -> str:
        """Return what failed and where the documents are."""
        run, reason = f"run {self.uid[:8]}", str(self.error).partition("\n")[0] or repr(self.error)
        if self.is_stored:
            return f"{run} is stored, but its backup file cannot be removed ({reason})"
        where = f"its documents are kept in {self.path}"
        if self.path is not None and not self.path.parent.exists():
            where = f"its backup file {self.path} is not there: its folder was moved or unmounted"
        elif self.path is None or not self.path.exists():
            where = "it has no backup file"
        elif self.is_cut_off:
            where = f"its backup file {self.path} ends early"
        return f"{run} could not be stored in the catalogue ({reason}); {where}"

    @property
    def advice(self) -> str:
        """Return what to do."""
        retry = self.path is not None and not self.is_cut_off and self.path.exists()
        which = "retry(), or call " if retry else ""
        return f"Remove the cause and call {which}acknowledge() to go on without this run"

    def whole_backup(self) -> Path:
        """Return the backup file.

        Raises
        ------
        RuntimeError
            If it is not whole.
        """
        if self.path is None or (self.is_cut_off and not self.path.exists()):
            raise RuntimeError(f"run {self.uid[:8]} has no backup file ({self.error})")
        if self.is_cut_off:
            raise RuntimeError(
                f"run {self.uid[:8]} is not stored: its backup file {self.path} ends early "
                f"({self.error}). Store what it has with "
                "stxm_live.io.catalog.restore_run(broker, file), or call acknowledge()"
            )
        return self.path


class Failures:
    """Keep what failed, and report it on a thread of its own, which also looks for a stall.

    Parameters
    ----------
    on_error : callable, optional
        Called as ``on_error(uid, error)``.
    """

    def __init__(self, on_error: Callable[[str, BaseException], None] | None) -> None:
        self._on_error = on_error
        self._changed = threading.Condition()
        self._failed: dict[str, Failure] = {}
        self._ends: dict[str, BaseException | None] = {}
        self._has_more = True
        self._reports: deque[Callable[[], object]] = deque()
        self._wake = threading.Event()
        self._is_closed = False

    def add(
        self,
        uid: str,
        error: BaseException,
        path: Path | None = None,
        *,
        is_cut_off: bool = False,
        is_stored: bool = False,
    ) -> None:
        """Note a failure and report it."""
        with self._changed:
            known = self._failed.get(uid)
            if known is not None:  # the first reason counts, with what became known since
                is_cut_off |= known.is_cut_off
            else:
                self.report(uid, "could not be stored in the catalogue", error)
            first = error if known is None else known.error
            self._failed[uid] = Failure(uid, first, path, is_cut_off, is_stored)

    def ended(self, uid: str, error: BaseException | None) -> None:
        """Note the end of a run, or that it cannot be stored anymore."""
        with self._changed:
            self._ends[uid] = error
            self._changed.notify_all()

    def no_more(self) -> None:
        """Note that nothing more is stored."""
        with self._changed:
            self._has_more = False
            self._changed.notify_all()

    def all(self) -> list[Failure]:
        """Return all failures."""
        with self._changed:
            return list(self._failed.values())

    def require_none(self) -> None:
        """Raise RuntimeError if a run failed."""
        for failure in self.all():
            raise RuntimeError(f"{failure}. {failure.advice}") from failure.error

    def mended(self, uid: str) -> None:
        """Forget the failure of a run that is stored now."""
        with self._changed:
            self._ends[uid] = None
            self._failed.pop(uid, None)

    def forget(self) -> None:
        """Forget all failures."""
        with self._changed:
            self._failed.clear()

    def wait_for_end(self, uid: str, timeout_s: float | None) -> None:
        """Wait until a run is stored; see `RawWriter.wait`."""
        with self._changed:
            if not self._changed.wait_for(
                lambda: uid in self._ends or not self._has_more, timeout_s
            ):
                raise TimeoutError(f"run {uid[:8]} is not stored after {timeout_s} s")
            if uid not in self._ends:
                raise RuntimeError(f"run {uid[:8]} was not over when the raw writer was closed")
            error = self._ends[uid]
        if error is not None:
            raise RuntimeError(f"run {uid[:8]} could not be stored: {error}") from error

    def report(self, uid: str, what: str, error: BaseException) -> None:
        """Write a line to the log and call ``on_error``, both on the reporting thread."""
        self.when_reported(lambda: self._report(uid, what, error))

    def when_reported(self, call: Callable[[], object]) -> None:
        """Call a function behind the reports so far."""
        self._reports.append(call)
        self._wake.set()

    def look(self) -> None:
        """Look for a stall now."""
        self._wake.set()

    def watch(self, stalled: Callable[[], tuple[str, str]]) -> None:
        """Start the thread that reports, and reports a stall once.

        Parameters
        ----------
        stalled : callable
            Returns the uid of a run and the reason, or two empty texts.
        """
        threading.Thread(
            target=self._watch, args=(stalled,), name="stxm-raw-writer-reports", daemon=True
        ).start()

    def close(self) -> None:
        """End the thread when all is reported."""
        self._is_closed = True
        self._wake.set()

    def _watch(self, stalled: Callable[[], tuple[str, str]]) -> None:
        was_stalled = False
        while not self._is_closed or self._reports:
            self._wake.wait(_LOOK_S)
            self._wake.clear()
            # the thread that watches does not end of what it reports
            with suppress(BaseException):
                uid, reason = stalled()
                if reason and not was_stalled:
                    self._report(uid, "is not being stored", TimeoutError(reason))
                was_stalled = bool(reason)
            while self._reports:
                with suppress(BaseException):
                    self._reports.popleft()()

    def _report(self, uid: str, what: str, error: BaseException) -> None:
        with suppress(BaseException):
            logger.error("run %s %s", uid[:8], what, exc_info=error)
        try:
            if self._on_error is not None:
                self._on_error(uid, error)
        except BaseException:
            logger.exception("on_error of the raw writer failed")
        _forget_frames(error)


def _forget_frames(error: BaseException | None) -> None:
    """Drop the tracebacks of an error and its causes: their frames keep images in memory."""
    for _ in range(_MOST_CAUSES):
        if error is not None:
            error.__traceback__ = None
            error = error.__cause__ or error.__context__
