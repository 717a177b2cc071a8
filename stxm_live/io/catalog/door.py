"""The end of an embedded catalogue: it closes when nobody uses it, and then for good."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from stxm_live.core.harmless import SessionEndsError

logger = logging.getLogger("stxm_live")

_POLL_S = 0.05

_QUIET_POLLS = 4
"""Looks at which nobody may be inside, once somebody was: a sink may take the next result."""

_LONGEST_S = 60.0
"""Seconds for which the end waits for others than writers, which have a rule of their own."""


class CatalogClosedError(SessionEndsError):
    """The catalogue is closed, and does not open again in this session."""


class Door:
    """Those who use an embedded catalogue; it is shut when the last of them has left.

    Tiled closes such a catalogue when the interpreter ends, before any exit function of Python is
    called. It breaks off the requests that are being answered; and one that is answered later
    opens the database again, and the interpreter waits for the thread of that connection without
    end. So `shut` comes before everything that Tiled does.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_inside = 0
        self._is_shut = False
        self._waited_for: list[Callable[[], bool]] = []

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Keep the catalogue open for what is done here.

        Raises
        ------
        CatalogClosedError
            If it is closed.
        """
        with self._lock:
            if self._is_shut:
                raise CatalogClosedError("the catalogue is closed: the session ends")
            self._n_inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._n_inside -= 1

    def wait_for(self, is_done: Callable[[], bool]) -> None:
        """Keep the catalogue open until this function returns True."""
        self._waited_for.append(is_done)

    def shut(self) -> None:
        """Wait until nobody is inside, and let nobody in again."""
        until_s, quiet = time.monotonic() + _LONGEST_S, _QUIET_POLLS
        while True:
            quiet = quiet + 1 if self._is_done and not self._n_inside else 0
            is_late = self._is_done and time.monotonic() > until_s
            with self._lock:
                self._is_shut = is_late or (quiet > _QUIET_POLLS and not self._n_inside)
                if self._is_shut:
                    break
            time.sleep(_POLL_S)
        if self._n_inside:
            logger.error("the catalogue closes although something still uses it")

    @property
    def _is_done(self) -> bool:
        return all(is_done() for is_done in list(self._waited_for))


class Doorkeeper:
    """ASGI middleware: a request is answered while the catalogue is open, and refused later."""

    def __init__(self, app: Any, door: Door) -> None:
        self._app, self._door = app, door

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer or refuse a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            with self._door.inside():
                await self._app(scope, receive, send)
        except CatalogClosedError as error:
            await send({"type": "http.response.start", "status": 410, "headers": []})
            await send({"type": "http.response.body", "body": str(error).encode()})
