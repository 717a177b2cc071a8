"""The beam shutter, which is closed while a scan is paused, and the ring current."""

from __future__ import annotations

import logging
import time
from typing import Any, Literal

from ophyd import Device, EpicsSignal, EpicsSignalRO
from ophyd import FormattedComponent as FCpt

from stxm_live.devices.connection import connect, get, put, put_if_connected
from stxm_live.devices.names import RingCurrentNames, ShutterNames
from stxm_live.devices.outcome import Outcome

_log = logging.getLogger("stxm_live")


class Shutter(Device):  # type: ignore[misc]
    """Open and close by ``set("open")`` and ``set("close")``; done when the readback agrees.

    While a plan is paused or suspended the shutter is closed, to spare the specimen.

    Parameters
    ----------
    pvs : ShutterNames
    connect_timeout_s : float
    """

    setpoint = FCpt(EpicsSignal, "{self.pvs.setpoint}", kind="omitted")
    readback = FCpt(EpicsSignalRO, "{self.pvs.readback}", kind="normal", auto_monitor=True)

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        pvs: ShutterNames,
        connect_timeout_s: float,
        **kwargs: Any,
    ) -> None:
        self.pvs = pvs
        self._connect_timeout_s = connect_timeout_s
        self._was_told_to_open = False
        self._opens_again = False
        super().__init__(prefix, name=name, **kwargs)
        self.readback.name = name

    @property
    def is_open(self) -> bool:
        """Return True if the readback says open."""
        return bool(get(self.readback) == self.pvs.open_value)

    def set(self, value: Literal["open", "close"]) -> Outcome:
        """Open or close."""
        if value not in ("open", "close"):
            raise ValueError(f'{self.name}: set to {value!r}, expected "open" or "close"')
        self._was_told_to_open = value == "open"
        wanted = self.pvs.open_value if value == "open" else self.pvs.closed_value
        outcome = Outcome(self)

        def agrees(*, value: int, **_: Any) -> None:
            if value == wanted:
                outcome.end()

        self._tell(value, wanted)
        outcome.deadline(
            self.pvs.timeout_s,
            lambda: (
                f"{self.name}: {self.pvs.readback} does not read {wanted} ({value}) within "
                f"{self.pvs.timeout_s:g} s; look at the shutter and its interlocks"
            ),
        )
        outcome.fail_if_lost(self.setpoint, self.readback)
        number = self.readback.subscribe(agrees, run=True)
        outcome.add_callback(lambda _: self.readback.unsubscribe(number))
        return outcome

    def _tell(self, value: str, wanted: int) -> None:
        """Write to the shutter, again if the PV was just lost, because it must close."""
        deadline_s = time.monotonic() + self._connect_timeout_s
        while True:
            try:
                connect([self], timeout_s=self._connect_timeout_s)
                return put(self.setpoint, wanted)
            except ConnectionError as error:
                if time.monotonic() < deadline_s:
                    continue
                raise ConnectionError(
                    f"{self.name} was not set to {value} and has not moved: {error}"
                ) from error

    def pause(self) -> None:
        """Close while the plan is paused."""
        try:
            self._opens_again = self.is_open
        except ConnectionError as error:
            _log.warning("%s cannot be closed while the plan is paused: %s", self.name, error)
            self._opens_again = self._was_told_to_open
            return
        if self._opens_again:
            put_if_connected(self.setpoint, self.pvs.closed_value)

    async def resume(self) -> None:
        """Open again, if it was open."""
        if self._opens_again:
            self._opens_again = False
            await self.set("open").ended()


class RingCurrent(Device):  # type: ignore[misc]
    """The ring current in mA.

    Parameters
    ----------
    pvs : RingCurrentNames
    """

    readback = FCpt(EpicsSignalRO, "{self.pvs.readback}", kind="hinted")

    def __init__(
        self, prefix: str = "", *, name: str, pvs: RingCurrentNames, **kwargs: Any
    ) -> None:
        self.pvs = pvs
        super().__init__(prefix, name=name, **kwargs)
        self.readback.name = name
