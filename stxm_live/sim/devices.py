"""ophyd devices without EPICS: an axis, and a detector that exposes the region it is set to.

ophyd comes without types, hence the ignored `misc` errors of its subclasses.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from ophyd import Component, Device, Signal
from ophyd.status import DeviceStatus
from ophyd.utils import LimitError

from stxm_live.core.scan import StackScan


class Channel(NamedTuple):
    """One data key of a detector: its shape for a region, dtype and unit."""

    shape: Callable[[StackScan], tuple[int, ...]]
    dtype_numpy: str
    units: str


Expose = Callable[[StackScan], Mapping[str, NDArray[np.float64] | float]]
"""Function from the current region to the values of one exposure, by data key."""


def no_error(setpoint: float) -> float:
    """Return the readback error of an ideal axis, 0."""
    return 0.0


def no_time(scan: StackScan) -> float:
    """Return the exposure time of a detector without delay, 0."""
    return 0.0


class SimulatedAxis(Device):  # type: ignore[misc]
    """A stage or monochromator that arrives at once, or after ``settle_time_s``.

    Parameters
    ----------
    units : str
        Unit in the descriptor.
    readback_error : callable
        Function from the setpoint to the error of the readback.
    limits : (float, float)
        Lowest and highest setpoint.
    """

    readback = Component(Signal, value=0.0, kind="hinted")
    setpoint = Component(Signal, value=0.0, kind="normal")

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        units: str,
        value: float = 0.0,
        readback_error: Callable[[float], float] = no_error,
        settle_time_s: float = 0.0,
        limits: tuple[float, float] = (-np.inf, np.inf),
        **kwargs: Any,
    ) -> None:
        super().__init__(prefix, name=name, **kwargs)
        self.readback.name = name
        self.limits = limits
        self.units = units
        self.readback_error = readback_error
        self.settle_time_s = settle_time_s
        self._arrive(value)

    @property
    def position(self) -> float:
        """Return the readback."""
        return float(self.readback.get())

    def check_value(self, value: float) -> None:
        """Raise LimitError, a ValueError, if the value is outside the limits."""
        low, high = self.limits
        if not low <= value <= high:
            raise LimitError(
                f"{self.name}: {value:g} {self.units} is outside {low:g} to {high:g} {self.units}"
            )

    def set(self, value: float) -> DeviceStatus:
        """Move to ``value``."""
        self.check_value(value)
        status = DeviceStatus(self)

        def arrive() -> None:
            self._arrive(value)
            status.set_finished()

        _after(self.settle_time_s, arrive)
        return status

    def describe(self) -> dict[str, Any]:
        """Return data keys with units."""
        return {name: key | {"units": self.units} for name, key in super().describe().items()}

    def _arrive(self, value: float) -> None:
        self.setpoint.put(float(value))
        self.readback.put(float(value) + self.readback_error(float(value)))


class SimulatedDetector(Device):  # type: ignore[misc]
    """A detector that exposes the prepared region once per trigger.

    Keys carry shape and dtype and are not hinted: bluesky's live plots are for numbers. An
    integer channel saturates at the largest number its dtype holds, like a real counter.

    Parameters
    ----------
    scan : StackScan
        The region until `prepare` sets another one.
    channels : mapping of str to Channel
    expose : callable
        Called once per trigger; see `Expose`.
    exposure_time_s : callable
        Function from the region to the duration of one exposure.
    reuse_buffer : bool
        Return the same arrays every time, as some real devices do.
    """

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        scan: StackScan,
        channels: Mapping[str, Channel],
        expose: Expose,
        exposure_time_s: Callable[[StackScan], float] = no_time,
        reuse_buffer: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(prefix, name=name, **kwargs)
        self.scan = scan
        self._channels = dict(channels)
        self._expose = expose
        self._exposure_time_s = exposure_time_s
        self._reuse_buffer = reuse_buffer
        self._values: dict[str, NDArray[Any]] = {}
        self._exposed_at = 0.0

    def check_region(self, scan: StackScan) -> None:
        """Accept every region."""

    def prepare(self, scan: StackScan) -> DeviceStatus:
        """Set the region (bluesky's ``Preparable``)."""
        self.scan = scan
        status = DeviceStatus(self)
        status.set_finished()
        return status

    def trigger(self) -> DeviceStatus:
        """Expose once; the time of the calculation is part of the exposure."""
        status = DeviceStatus(self)
        began_s = time.monotonic()
        for key, values in self._expose(self.scan).items():
            self._store(key, _digitized(values, self._channels[key].dtype_numpy))
        self._exposed_at = time.time()
        left_s = self._exposure_time_s(self.scan) - (time.monotonic() - began_s)
        _after(left_s, status.set_finished)
        return status

    def read(self) -> dict[str, Any]:
        """Return the latest exposure."""
        return {
            key: {
                "value": values if values.ndim else values.item(),
                "timestamp": self._exposed_at,
            }
            for key, values in self._values.items()
        }

    def describe(self) -> dict[str, Any]:
        """Return data keys for the current region."""
        return {key: self._data_key(channel) for key, channel in self._channels.items()}

    def read_configuration(self) -> dict[str, Any]:
        """Return the dwell of one pixel in ms."""
        return {f"{self.name}_dwell_ms": {"value": self.scan.dwell_ms, "timestamp": time.time()}}

    def describe_configuration(self) -> dict[str, Any]:
        """Return the key of the dwell."""
        source = f"SIM:{self.name}"
        return {
            f"{self.name}_dwell_ms": {
                "source": source,
                "dtype": "number",
                "shape": [],
                "units": "ms",
            }
        }

    @property
    def hints(self) -> dict[str, list[str]]:
        """Return no hints: there is nothing to plot."""
        return {"fields": []}

    def _data_key(self, channel: Channel) -> dict[str, Any]:
        shape = channel.shape(self.scan)
        return {
            "source": f"SIM:{self.name}",
            "dtype": "array" if shape else "number",
            "shape": list(shape),
            "dtype_numpy": channel.dtype_numpy,
            "units": channel.units,
        }

    def _store(self, key: str, values: NDArray[Any]) -> None:
        held = self._values.get(key)
        if self._reuse_buffer and held is not None and held.shape == values.shape:
            np.copyto(held, values)
        else:
            self._values[key] = values


def _digitized(values: NDArray[np.float64] | float, dtype_numpy: str) -> NDArray[Any]:
    """Return a fresh array of the channel's dtype."""
    dtype = np.dtype(dtype_numpy)
    if dtype.kind == "u":
        values = np.clip(np.rint(values), 0, np.iinfo(dtype).max)
    return np.array(values, dtype=dtype)


def _after(delay_s: float, act: Callable[[], None]) -> None:
    """Call a function now, or later from a thread of its own."""
    if delay_s <= 0:
        act()
        return
    timer = threading.Timer(delay_s, act)
    timer.daemon = True
    timer.start()
