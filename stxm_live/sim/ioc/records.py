"""All records of the simulated microscope, under one prefix."""

# mypy: disable-error-code="misc, no-redef, untyped-decorator"
# caproto has no types, and its decorators extend a record under the same name

from __future__ import annotations

from typing import Any

from caproto.server import PVGroup, pvproperty

from stxm_live.sim.ioc.axes import MonochromatorRecords, StageRecords
from stxm_live.sim.ioc.bench import Bench, Fault
from stxm_live.sim.ioc.counters import Counter

_SHUTTER_S = 0.1
_RING_PERIOD_S = 0.5
FINE_LIMITS_UM = (-50.0, 50.0)
COARSE_LIMITS_UM = (-5000.0, 5000.0)


class ShutterRecords(PVGroup):
    """A shutter that moves within 0.1 s; closed, the counters record dark counts."""

    wanted = pvproperty(name="", value=0, doc="1 opens, 0 closes")
    state = pvproperty(name=":RBV", value=0, read_only=True)

    def __init__(self, prefix: str, *, bench: Bench, **kwargs: Any) -> None:
        super().__init__(prefix, **kwargs)
        self._bench = bench

    @wanted.putter
    async def wanted(self, instance: Any, value: int) -> None:
        """Move the blade."""
        await self._bench.wait(_SHUTTER_S)
        self._bench.shutter_is_open = bool(value)
        await self.state.write(int(bool(value)))


class MicroscopeRecords(PVGroup):
    """The records of one simulated microscope."""

    ring_current = pvproperty(
        name="RING:CURRENT", value=0.0, units="mA", precision=3, read_only=True
    )
    fault = pvproperty(
        name="FAULT", value=0, doc=", ".join(f"{f.value} {f.name.lower()}" for f in Fault)
    )
    offline_s = pvproperty(name="FAULT:SECONDS", value=2.0, units="s", doc="how long disconnected")

    def __init__(self, prefix: str, *, bench: Bench, **kwargs: Any) -> None:
        self.bench = bench
        super().__init__(prefix, **kwargs)

    @classmethod
    def pvs_of(cls, bench: Bench, prefix: str = "STXM:") -> dict[str, Any]:
        """Return every record by its PV name."""
        groups: list[Any] = [
            cls(prefix, bench=bench),
            MonochromatorRecords(f"{prefix}ENERGY", bench=bench),
            ShutterRecords(f"{prefix}SHUTTER", bench=bench),
            Counter(f"{prefix}IMAGE:", bench=bench, expose=bench.image),
            Counter(f"{prefix}LINE:", bench=bench, expose=bench.line, n_rows=1),
        ]
        for name, travel, limits_um in (
            ("FINE:X", bench.fine_x, FINE_LIMITS_UM),
            ("FINE:Y", bench.fine_y, FINE_LIMITS_UM),
            ("COARSE:X", bench.coarse_x, COARSE_LIMITS_UM),
            ("COARSE:Y", bench.coarse_y, COARSE_LIMITS_UM),
        ):
            groups.append(
                StageRecords(f"{prefix}{name}", bench=bench, travel=travel, limits_um=limits_um)
            )
        return {name: pv for group in groups for name, pv in group.pvdb.items()}

    @ring_current.scan(period=_RING_PERIOD_S)
    async def ring_current(self, instance: Any, async_lib: Any) -> None:
        """Update the ring current, which falls with every image and is refilled for each stack."""
        is_lost = self.bench.fault == Fault.BEAM_LOST
        await instance.write(0.0 if is_lost else self.bench.microscope.ring_current_ma)

    @fault.putter
    async def fault(self, instance: Any, value: int) -> None:
        """Switch on a fault, or end it with 0."""
        self.bench.fault = Fault(value)
        self.bench.offline_s = self.offline_s.value
