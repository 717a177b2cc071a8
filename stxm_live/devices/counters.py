"""Counters of lines and images: armed, started, and read when the index has moved."""

from __future__ import annotations

import logging
from typing import Any

from ophyd import Component, Device, EpicsSignal, EpicsSignalRO
from ophyd import FormattedComponent as FCpt

from stxm_live.core.scan import StackScan
from stxm_live.devices.axes import Stage
from stxm_live.devices.connection import connect, get, put, put_if_connected
from stxm_live.devices.names import ImageNames, LineNames
from stxm_live.devices.outcome import Outcome

_log = logging.getLogger("stxm_live")

_COUNTING_MARGIN = 1.5
"""Longest exposure of a counter as a multiple of its pixels' dwell, for turns and overhead."""


def _setting(attribute: str) -> Component:
    return FCpt(EpicsSignal, f"{{self.pvs.{attribute}}}", kind="config", put_complete=True)


class LineCounter(Device):  # type: ignore[misc]
    """Count the line at the y stage while the controller moves the x stage.

    The contract is that of the ALS: the waveform is written first, the index second, and then
    the put to GO completes. So a moved index means that the waveform is that of this exposure. An
    index that did not move is an error, and old data are never returned twice.

    Parameters
    ----------
    pvs : LineNames
    x_stage, y_stage : Stage
        Their limits are those of the regions.
    connect_timeout_s : float
    """

    x_start = _setting("x_start")
    x_stop = _setting("x_stop")
    x_n = _setting("x_n")
    dwell_ms = _setting("dwell_ms")
    arm = FCpt(EpicsSignal, "{self.pvs.arm}", kind="omitted", put_complete=True)
    go = FCpt(EpicsSignal, "{self.pvs.go}", kind="omitted", put_complete=True)
    abort = FCpt(EpicsSignal, "{self.pvs.abort}", kind="omitted", put_complete=True)
    state = FCpt(EpicsSignalRO, "{self.pvs.state}", kind="omitted", auto_monitor=True)
    data = FCpt(EpicsSignalRO, "{self.pvs.data}", kind="normal", auto_monitor=False)
    index = FCpt(EpicsSignalRO, "{self.pvs.index}", kind="normal")

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        pvs: LineNames,
        x_stage: Stage,
        y_stage: Stage,
        connect_timeout_s: float,
        **kwargs: Any,
    ) -> None:
        self.pvs = pvs
        self.x_stage = x_stage
        self.y_stage = y_stage
        self._connect_timeout_s = connect_timeout_s
        self._scan: StackScan | None = None
        self._n_pixels = 0
        self._counting_s = 0.0
        self._index: int | None = None
        self._exposure: Outcome | None = None
        super().__init__(prefix, name=name, **kwargs)
        self.data.name = name

    def check_region(self, scan: StackScan) -> None:
        """Raise LimitError, a ValueError, if the stages do not reach the whole region."""
        for stage, extent_um in (
            (self.x_stage, scan.x_extent_um),
            (self.y_stage, scan.y_extent_um),
        ):
            for position_um in extent_um:
                stage.check_value(position_um)

    def prepare(self, scan: StackScan) -> Outcome:
        """Set region and dwell."""
        connect([self], timeout_s=self._connect_timeout_s)
        self.check_region(scan)
        settings = self._settings(scan)
        self._scan = scan
        self._n_pixels = self._pixels_of(scan)
        self._counting_s = self._n_pixels * scan.dwell_ms / 1000
        self._index = None
        outcome = Outcome(self)
        waiting = dict(settings)
        for signal, value in settings.items():

            def taken(*, signal: EpicsSignal = signal, **_: Any) -> None:
                waiting.pop(signal, None)
                if not waiting:
                    outcome.end()

            put(signal, value, use_complete=True, callback=taken)
        outcome.deadline(
            self.pvs.timeout_s,
            lambda: f"{self.name}: {_names(waiting)} did not accept their values; is the IOC busy?",
        )
        outcome.fail_if_lost(*settings)
        return outcome

    def stage(self) -> list[object]:
        """Return to idle from any state."""
        connect([self], timeout_s=self._connect_timeout_s)
        self.stop(success=True)
        return list(super().stage())

    def unstage(self) -> list[object]:
        """Stop counting and disarm."""
        self.stop(success=True)
        return list(super().unstage())

    def trigger(self) -> Outcome:
        """Count once."""
        connect([self], timeout_s=self._connect_timeout_s)
        if self._exposure is not None and not self._exposure.done:
            self.stop(success=True)
        self._exposure = outcome = Outcome(self)
        self._expose(outcome, int(get(self.index)), self.pvs.repeats)
        outcome.deadline(self._longest_s, self._unfinished)
        outcome.fail_if_lost(self.go, self.index)
        return outcome

    def read(self) -> dict[str, Any]:
        """Return the counts of the latest exposure as a flat array, and its index."""
        reading = dict(super().read())
        n_read, index = len(reading[self.name]["value"]), int(reading[self.index.name]["value"])
        if self._index is not None and (index, n_read) != (self._index, self._n_pixels):
            raise RuntimeError(
                f"{self.name}: {self.pvs.data} has {n_read} pixels at index {index}, expected "
                f"{self._n_pixels} at {self._index}; is another program using the counter?"
            )
        return reading

    def describe(self) -> dict[str, Any]:
        """Return the data keys; the counts have as many pixels as the current region."""
        connect([self], timeout_s=self._connect_timeout_s)
        keys = dict(super().describe())
        if self._n_pixels:
            keys[self.name] = {**keys[self.name], "shape": [self._n_pixels]}
        keys[self.name]["units"] = "counts"
        return keys

    def stop(self, *, success: bool = False) -> None:
        """Abort the exposure; it succeeds only if ``success``."""
        if self._exposure is not None:
            self._exposure.end(None if success else RuntimeError(f"{self.name} was stopped"))
        put_if_connected(self.abort, 1)

    def pause(self) -> None:
        """End the exposure; the plan goes back to the start of the exposure."""
        self.stop(success=True)

    async def resume(self) -> None:
        """Set the region again, because the IOC may have been restarted."""
        if self._scan is not None:
            await self.prepare(self._scan).ended()

    def _settings(self, scan: StackScan) -> dict[EpicsSignal, float]:
        (x_start, x_stop), nx = scan.x_extent_um, scan.image_shape[1]
        return {
            self.x_start: x_start,
            self.x_stop: x_stop,
            self.x_n: nx,
            self.dwell_ms: scan.dwell_ms,
        }

    def _pixels_of(self, scan: StackScan) -> int:
        return scan.image_shape[1]

    def _expose(self, outcome: Outcome, before: int, n_repeats: int) -> None:
        counted = outcome.step(lambda: self._counted(outcome, before, n_repeats))
        count = outcome.step(lambda: put(self.go, 1, use_complete=True, callback=counted))
        put(self.arm, 1, use_complete=True, callback=count)

    def _counted(self, outcome: Outcome, before: int, n_repeats: int) -> None:
        if not self.index.connected:  # a lost connection completes the put, too
            return
        index = int(get(self.index))
        if index == before and n_repeats:
            _log.warning("%s: the data of an exposure were lost; it is repeated", self.name)
            self._expose(outcome, before, n_repeats - 1)
            return
        if index == before:
            outcome.end(
                RuntimeError(
                    f"{self.name}: {self.pvs.go} is complete, but {self.pvs.index} did not move "
                    f"from {before}: the data of this exposure were lost. Repeat the scan, or set "
                    f"repeats of {self.name} in the file of PV names; look at the counter"
                )
            )
        self._index = index
        outcome.end()

    @property
    def _longest_s(self) -> float:
        n_exposures = 1 + self.pvs.repeats
        return n_exposures * _COUNTING_MARGIN * self._counting_s + self.pvs.timeout_s

    def _unfinished(self) -> str:
        state = get(self.state) if self.state.connected else "disconnected"
        return (
            f"{self.name}: {self.pvs.go} did not complete within "
            f"{self._longest_s:.3g} s "
            f"({self.pvs.state} reads {state}); look at the counter, or raise its timeout_s"
        )


class ImageCounter(LineCounter):
    """Count a whole image; it inherits from the line counter, since only its rows differ."""

    y_start = _setting("y_start")
    y_stop = _setting("y_stop")
    y_n = _setting("y_n")

    pvs: ImageNames

    def _settings(self, scan: StackScan) -> dict[EpicsSignal, float]:
        (y_start, y_stop), ny = scan.y_extent_um, scan.image_shape[0]
        rows = {self.y_start: y_start, self.y_stop: y_stop, self.y_n: ny}
        return super()._settings(scan) | rows

    def _pixels_of(self, scan: StackScan) -> int:
        return scan.image_shape[0] * scan.image_shape[1]


def _names(signals: dict[EpicsSignal, float]) -> str:
    return ", ".join(sorted(signal.setpoint_pvname for signal in signals))
