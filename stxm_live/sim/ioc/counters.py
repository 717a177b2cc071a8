"""Counters, which are armed and started, then write the waveform first, the index second."""

# mypy: disable-error-code="misc, no-redef, untyped-decorator"
# caproto has no types, and its decorators extend a record under the same name

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from caproto.server import PVGroup, pvproperty
from numpy.typing import NDArray

from stxm_live.sim.ioc.bench import Bench, Fault

MAX_WAVEFORM = 1024 * 1024
_TICK_S = 0.02
_IDLE, _ARMED, _COUNTING = 0, 1, 2

ExposeGrid = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
"""Function from columns and rows in um to counts (ny, nx)."""


class Counter(PVGroup):
    """Count a region pixel by pixel while the controller moves the fine stages.

    ``ARM`` sets the region, ``GO`` counts and completes when the data are there, ``ABORT`` ends the
    exposure without data. A line counter stays at the y stage and does not use the rows.

    Parameters
    ----------
    expose : callable
        See `ExposeGrid`.
    n_rows : int or None
        Number of rows; None uses ``Y:N``.
    """

    x_start = pvproperty(name="X:START", value=-1.0, units="um", precision=4)
    x_stop = pvproperty(name="X:STOP", value=1.0, units="um", precision=4)
    x_n = pvproperty(name="X:N", value=1)
    y_start = pvproperty(name="Y:START", value=-1.0, units="um", precision=4)
    y_stop = pvproperty(name="Y:STOP", value=1.0, units="um", precision=4)
    y_n = pvproperty(name="Y:N", value=1)
    dwell_ms = pvproperty(name="DWELL", value=1.0, units="ms", precision=3)
    arm = pvproperty(name="ARM", value=0)
    go = pvproperty(name="GO", value=0)
    abort = pvproperty(name="ABORT", value=0)
    state = pvproperty(name="STATE", value=_IDLE, read_only=True, doc="0 idle, 1 armed, 2 counting")
    index = pvproperty(name="INDEX", value=0, read_only=True)
    data = pvproperty(
        name="DATA",
        value=[0.0],
        max_length=MAX_WAVEFORM,
        dtype=float,
        read_only=True,
        max_subscription_backlog=2,
    )

    def __init__(
        self,
        prefix: str,
        *,
        bench: Bench,
        expose: ExposeGrid,
        n_rows: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(prefix, **kwargs)
        self._bench = bench
        self._expose = expose
        self._n_rows = n_rows
        self._region: tuple[float, ...] = ()
        self._exposure = 0

    @arm.putter
    async def arm(self, instance: Any, value: int) -> int:
        """Set the region; a new one begins a stack."""
        region = (
            self.x_start.value,
            self.x_stop.value,
            self.x_n.value,
            self.y_start.value,
            self.y_stop.value,
            self.y_n.value,
        )
        if value and region != self._region:
            self._region = region
            self._bench.begin_stack()
        await self.state.write(_ARMED if value else _IDLE)
        return value

    @go.putter
    async def go(self, instance: Any, value: int) -> int:
        """Count, if armed."""
        if not value or self.state.value != _ARMED:
            return 0
        self._exposure += 1
        this_exposure = self._exposure
        await self.state.write(_COUNTING)
        x_um, y_um = self._raster()
        counts = self._expose(x_um, y_um)
        if await self._count(this_exposure, len(x_um) * len(y_um)):
            await self._publish(counts)
        return 0

    @abort.putter
    async def abort(self, instance: Any, value: int) -> int:
        """End the exposure without data."""
        if value:
            self._exposure += 1
            await self.state.write(_IDLE)
        return 0

    def _raster(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        n_rows = self._n_rows or self.y_n.value
        return (
            np.linspace(self.x_start.value, self.x_stop.value, self.x_n.value),
            np.linspace(self.y_start.value, self.y_stop.value, n_rows),
        )

    async def _count(self, this_exposure: int, n_pixels: int) -> bool:
        """Wait for the time of the exposure; return False if it was ended."""
        left_s = n_pixels * self.dwell_ms.value / 1000
        while left_s > 0 or self._bench.fault == Fault.COUNTER_HANGS:
            step_s = min(_TICK_S * self._bench.pace, max(left_s, 0.0)) or _TICK_S
            await self._bench.wait(step_s)
            left_s -= step_s
            if self._exposure != this_exposure:
                return False
        return True

    async def _publish(self, counts: NDArray[np.float64]) -> None:
        if self._bench.fault == Fault.IMAGE_DROPPED:
            self._bench.fault = Fault.NONE
        else:
            await self.data.write(counts.ravel())
            await self.index.write(self.index.value + 1)
        await self.state.write(_ARMED)
