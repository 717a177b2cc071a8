"""Looking again and again for what is new, on a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

REST = 3.0
"""Pause after a look, in times that it took, for slow disks and servers."""


class Polling:
    """Call a function every so often until it is stopped.

    Parameters
    ----------
    look : callable
    poll_s : float
        Seconds between two looks. With 0, there is no thread, and nothing is called.
    name : str
        Name of the thread.
    on_error : callable
        Called with what a look raised; the next look comes all the same.

    Attributes
    ----------
    is_stopping : threading.Event
        For a look that takes long.
    """

    def __init__(
        self,
        look: Callable[[], None],
        *,
        poll_s: float,
        name: str,
        on_error: Callable[[Exception], None],
    ) -> None:
        self.is_stopping = threading.Event()
        self._look, self._poll_s, self._on_error = look, poll_s, on_error
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin, unless there is nothing to wait for between two looks."""
        if self._poll_s > 0:
            self._thread.start()

    def stop(self, timeout_s: float | None = None) -> None:
        """Stop, and wait so long for the look that is going on."""
        self.is_stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        wait_s = self._poll_s
        while not self.is_stopping.wait(wait_s):
            begun_s = time.monotonic()
            try:
                self._look()
            except Exception as error:  # noqa: BLE001  whatever a disk or a server does
                self._on_error(error)
            wait_s = max(self._poll_s, REST * (time.monotonic() - begun_s))
