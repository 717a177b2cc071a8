"""A status that ends once, in time, and tells by itself what went wrong."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from ophyd.status import DeviceStatus
from ophyd.utils import InvalidState

_POLL_S = 0.02


class Outcome(DeviceStatus):  # type: ignore[misc]
    """How an action of a device ends.

    bluesky shows a failed status by its text, and writes that into the stop document; so the
    text of one that failed is what went wrong.
    """

    def end(self, error: Exception | None = None) -> None:
        """End well, or by an error; a later end is of no effect."""
        try:
            if error is None:
                self.set_finished()
            else:
                self.set_exception(error)
        except InvalidState:  # somebody else was first
            return

    def deadline(self, seconds: float, explain: Callable[[], str]) -> None:
        """End by TimeoutError unless something else ends it before.

        ``explain`` may read PVs: one that cannot be read does not keep it from ending.
        """

        def late() -> None:
            try:
                error = TimeoutError(explain())
            except Exception as unread:  # noqa: BLE001  a scan would wait for ever
                error = TimeoutError(
                    f"{self.device.name} was not done within {seconds:g} s, and cannot be asked "
                    f"why: {unread}"
                )
            self.end(error)

        timer = threading.Timer(seconds, late)
        timer.daemon = True
        timer.start()
        self.add_callback(lambda _: timer.cancel())

    def fail_if_lost(self, *signals: Any) -> None:
        """End by ConnectionError as soon as one of the PVs is disconnected."""
        for signal in signals:

            def lost(*, connected: bool, signal: Any = signal, **_: Any) -> None:
                if not connected:
                    self.end(
                        ConnectionError(
                            f"{self.device.name}: {signal.pvname} was disconnected; is its IOC "
                            "running? The scan can be repeated when it is back"
                        )
                    )

            number = signal.subscribe(lost, event_type=signal.SUB_META, run=False)
            self.add_callback(lambda _, signal=signal, number=number: signal.unsubscribe(number))
            lost(connected=signal.connected)  # it may have been lost a moment ago

    def step(self, act: Callable[[], None]) -> Callable[..., None]:
        """A callback that acts unless this has ended; what it raises ends it."""

        def called(*_: Any, **__: Any) -> None:
            if self.done:
                return
            try:
                act()
            except Exception as error:  # noqa: BLE001  on a thread of ophyd nobody else would see
                self.end(error)

        return called

    async def ended(self) -> None:
        """Wait for it on the event loop of the RunEngine; raises what it ended by."""
        while not self.done:
            await asyncio.sleep(_POLL_S)
        self.wait(0)

    def __str__(self) -> str:
        error = self.exception(timeout=0) if self.done else None
        return super().__str__() if error is None else str(error)

    __repr__ = __str__
