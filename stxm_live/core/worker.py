"""A thread for work that must not delay the scan; timers."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Generic, ParamSpec, TypeVar

_T = TypeVar("_T")
_P = ParamSpec("_P")

logger = logging.getLogger("stxm_live")

_MIB = 2**20

_SHORT_S = 1.0
"""Longest delay that is waited for where no thread can be started."""

ITEM_BYTES = 2048
"""Size of an item in the queue without its arrays."""


@dataclass(frozen=True)
class Limits:
    """Limits on the items that a worker keeps waiting.

    Parameters
    ----------
    behind_bytes : int
        With more than this waiting, the worker counts as behind: work for display only is left
        out until it has caught up.
    waiting_bytes : int
        With more than this waiting, no further item with a size is accepted.
    kept_bytes : int
        Memory for runs without an end and for results, as far as it can be told from the size of
        their images. Beyond it the oldest results are forgotten, then the oldest runs without an
        end are given up; the newest result and the newest run are always kept.
    quiet_s : float
        Delay before the last waiting item, so that the thread that submitted it can continue
        without competition, such as a scan that moves to the next energy.
    """

    behind_bytes: int = 32 * _MIB
    waiting_bytes: int = 1024 * _MIB
    kept_bytes: int = 2048 * _MIB
    quiet_s: float = 0.0


class Worker(Generic[_T]):
    """Handle items one after the other, in the order in which they were submitted.

    Parameters
    ----------
    handle : callable
        Called on the worker's thread with every item. An error is logged, and the next item is
        taken.
    prepare : callable, optional
        Called once on the worker's thread before the first item, to import and to warm up.
    limits : Limits
    name : str
        Name of the thread.
    """

    def __init__(
        self,
        handle: Callable[[_T], None],
        *,
        prepare: Callable[[], None] | None = None,
        limits: Limits | None = None,
        name: str = "stxm-live-worker",
    ) -> None:
        self.limits = limits or Limits()
        self._handle = handle
        self._prepare = prepare
        self._queue: SimpleQueue[tuple[_T, int] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._waiting_bytes = 0
        self._moved_s = time.monotonic()
        self._has_warned = self._is_stopped = False
        self._name = name
        self._thread = self._started()

    def submit(self, item: _T, *, n_bytes: int = 0) -> bool:
        """Put an item in the queue and return at once; False if there is no room for it.

        There is always room for an item without a size.
        """
        with self._lock:
            if n_bytes and self._waiting_bytes + n_bytes > self.limits.waiting_bytes:
                return False
            if not self._waiting_bytes:
                self._moved_s = time.monotonic()
            self._waiting_bytes += n_bytes + ITEM_BYTES
            falls_behind = self.is_behind and not self._has_warned
            self._has_warned |= falls_behind
        self._queue.put((item, n_bytes + ITEM_BYTES))
        if falls_behind:
            logger.warning(
                "%s is %.0f MiB behind the scan",
                self._thread.name,
                self._waiting_bytes / _MIB,
            )
        return True

    @property
    def waiting_bytes(self) -> int:
        """Return the size of the items that were submitted and are not done."""
        return self._waiting_bytes

    @property
    def room_bytes(self) -> int:
        """Return how much more may wait."""
        return max(0, self.limits.waiting_bytes - self._waiting_bytes)

    @property
    def stalled_s(self) -> float:
        """Return for how long something has waited and nothing was done, in seconds."""
        return time.monotonic() - self._moved_s if self._waiting_bytes else 0.0

    @property
    def is_behind(self) -> bool:
        """Return True if so much waits that work for display is left out."""
        return self._waiting_bytes > self.limits.behind_bytes

    def close(self, timeout_s: float | None = 10.0) -> bool:
        """Let the worker finish what was submitted; return True if it did within the time."""
        self._queue.put(None)
        if self.is_current_thread:
            return False
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def stop(self, timeout_s: float) -> bool:
        """Leave what waits, and wait for what is being done; return True if it is done.

        A thread that is within a library when Python ends may end the process with a crash.
        """
        self._is_stopped = True
        return self.close(timeout_s)

    @property
    def is_current_thread(self) -> bool:
        """Return True if the caller runs on this worker."""
        return threading.current_thread() is self._thread

    def _started(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        if self._prepare is not None:
            try:
                self._prepare()
            except BaseException:
                logger.exception("%s could not be prepared", self._name)
        while True:
            # lack of memory may strike anywhere, and a handler of the log may raise
            with suppress(BaseException):
                self._handle_all()
                return

    def _handle_all(self) -> None:
        while (entry := self._queue.get()) is not None and not self._is_stopped:
            if self.limits.quiet_s and self._queue.empty():
                time.sleep(self.limits.quiet_s)
            item, n_bytes = entry
            del entry
            try:
                self._handle(item)
            except BaseException:
                logger.exception("an item could not be handled")
            finally:
                del item
                self._done(n_bytes)

    def _done(self, n_bytes: int) -> None:
        with self._lock:
            self._waiting_bytes -= n_bytes
            self._moved_s = time.monotonic()
            if not self._waiting_bytes:
                self._has_warned = False


def weakly(method: Callable[_P, None]) -> Callable[_P, None]:
    """Return a method that does not keep its object alive; without the object it does nothing."""
    reference = weakref.WeakMethod(method)

    def call(*args: _P.args, **options: _P.kwargs) -> None:
        bound = reference()
        if bound is not None:
            bound(*args, **options)

    return call


class Timers:
    """Call functions later, each on a thread of its own."""

    def __init__(self) -> None:
        self._timers: set[threading.Timer] = set()

    def start(self, seconds: float, name: str, call: Callable[[], object]) -> None:
        """Call a function after a delay; does nothing if a timer of this name is running.

        If no thread can be started, a short delay is waited for, and a long one is an error.

        Raises
        ------
        RuntimeError
            If no thread can be started for a long delay.
        """
        if any(timer.name == name for timer in list(self._timers)):
            return

        def ring() -> None:
            self._timers.discard(timer)
            call()

        timer = threading.Timer(seconds, ring)
        timer.name = name
        timer.daemon = True
        self._timers.add(timer)
        try:
            timer.start()
        except RuntimeError:
            self._timers.discard(timer)
            if seconds > _SHORT_S:
                raise
            time.sleep(seconds)
            call()

    def cancel(self) -> None:
        """Cancel all timers."""
        for timer in list(self._timers):
            timer.cancel()
