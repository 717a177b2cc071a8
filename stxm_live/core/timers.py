"""What is to be done in a while."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Timers:
    """Calls functions later, each on a thread of its own."""

    def __init__(self) -> None:
        self._timers: set[threading.Timer] = set()

    def start(self, seconds: float, name: str, call: Callable[[], object]) -> None:
        """Call in a while; nothing if one of this name is under way."""
        if any(timer.name == name for timer in list(self._timers)):
            return

        def ring() -> None:
            self._timers.discard(timer)
            call()

        timer = threading.Timer(seconds, ring)
        timer.name = name
        timer.daemon = True
        self._timers.add(timer)
        timer.start()

    def cancel(self) -> None:
        """Call nothing any more."""
        for timer in list(self._timers):
            timer.cancel()
