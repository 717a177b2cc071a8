"""One thread that does the work, so that the thread that runs the scan does none."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

_T = TypeVar("_T")

logger = logging.getLogger("stxm_live")


class Worker(Generic[_T]):
    """Handles items one after the other, in the order in which they were submitted.

    Parameters
    ----------
    handle : callable
        Called on the worker's thread with every item. What it raises is logged, and the next
        item is taken.
    prepare : callable, optional
        Called once on the worker's thread before the first item, to import and to warm up.
    name : str
        Of the thread.
    """

    def __init__(
        self,
        handle: Callable[[_T], None],
        *,
        prepare: Callable[[], None] | None = None,
        name: str = "stxm-live-worker",
    ) -> None:
        self._handle = handle
        self._prepare = prepare
        self._queue: SimpleQueue[_T | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, item: _T) -> None:
        """Put an item in the queue and return at once."""
        self._queue.put(item)

    def close(self, timeout_s: float = 10.0) -> bool:
        """Let the worker finish what was submitted; whether it did within the time."""
        self._queue.put(None)
        if self.is_current_thread:
            return False
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def is_current_thread(self) -> bool:
        """Whether the caller runs on this worker."""
        return threading.current_thread() is self._thread

    def _run(self) -> None:
        if self._prepare is not None:
            self._prepare()
        while (item := self._queue.get()) is not None:
            try:
                self._handle(item)
            except BaseException:
                logger.exception("an item could not be handled")
