"""Status of an action that ends once, in time, and says what went wrong."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from ophyd.status import DeviceStatus
from ophyd.utils import InvalidState

_POLL_S = 0.02


class Outcome(DeviceStatus):  # type: ignore[misc]
    """Status of an action of a device.

    bluesky shows the text of a failed status and writes it into the stop document; so this text
    says what went wrong.
    """

    def end(self, error: Exception | None = None) -> None:
        """End with success or with an error; a later end has no effect."""
        try:
            if error is None:
                self.set_finished()
            else:
                self.set_exception(error)
        except InvalidState:  # somebody else was first
            return

    def deadline(self, seconds: float, explain: Callable[[], str]) -> None:
        """End by TimeoutError unless it ends before.

        ``explain`` may read PVs; if one cannot be read, the status ends anyway.
        """

        def late() -> None:
            try:
                error = TimeoutError(explain())
            except Exception as unread:  # noqa: BLE001  a scan would wait for ever
                error = TimeoutError(
                    f"{self.device.name} was not done within {seconds:g} s, and the reason cannot "
                    f"be read: {unread}"
                )
            self.end(error)

        timer = threading.Timer(seconds, late)
        timer.daemon = True
        timer.start()
        self.add_callback(lambda _: timer.cancel())

    def fail_if_lost(self, *signals: Any) -> None:
        """End with ConnectionError as soon as one of the PVs is disconnected."""
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
        """Return a callback that acts unless this has ended; an error in it ends this."""

        def called(*_: Any, **__: Any) -> None:
            if self.done:
                return
            try:
                act()
            except Exception as error:  # noqa: BLE001  on a thread of ophyd nobody else would see
                self.end(error)

        return called

    async def ended(self) -> None:
        """Wait for the end on the event loop of the RunEngine; raises the error it ended with."""
        while not self.done:
            await asyncio.sleep(_POLL_S)
        self.wait(0)

    def __str__(self) -> str:
        error = self.exception(timeout=0) if self.done else None
        return super().__str__() if error is None else str(error)

    __repr__ = __str__
