"""Records of the axes: motor records of the stages, and the monochromator."""

# mypy: disable-error-code="misc, no-redef, untyped-decorator"
# caproto has no types, and its decorators extend a record under the same name

from __future__ import annotations

from typing import Any

from caproto import SkipWrite
from caproto.server import PVGroup, pvproperty

from stxm_live.sim.ioc.bench import Bench, Travel

_SETTLING_S = 0.5
_OVERTRAVEL = 0.05
"""Distance of the limit switches from the soft limits, as a share of the range."""


class StageRecords(PVGroup):
    """A motor record with soft limits, limit switches, DMOV, RBV and STOP.

    Parameters
    ----------
    travel : Travel
        Position of the stage.
    limits_um : (float, float)
        Soft limits at the beginning; the switches are 5 % of the range further out.
    """

    motor = pvproperty(name="", value=0.0, record="motor", precision=4, units="um")

    def __init__(
        self,
        prefix: str,
        *,
        bench: Bench,
        travel: Travel,
        limits_um: tuple[float, float],
        **kwargs: Any,
    ) -> None:
        super().__init__(prefix, **kwargs)
        self._bench = bench
        self._travel = travel
        self._limits_um = limits_um
        self._n_moves = 0
        margin = _OVERTRAVEL * (limits_um[1] - limits_um[0])
        self._switches_um = (limits_um[0] - margin, limits_um[1] + margin)

    @motor.startup
    async def motor(self, instance: Any, async_lib: Any) -> None:
        """Set limits and speed; react to STOP and to new limits."""
        fields = instance.field_inst
        low, high = self._limits_um
        await fields.engineering_units.write("um")
        await fields.user_low_limit.write(low)
        await fields.user_high_limit.write(high)
        await fields.velocity.write(self._travel.speed)
        await fields.done_moving_to_value.write(1)
        await instance.write_metadata(lower_ctrl_limit=low, upper_ctrl_limit=high)
        fields.stop.putter = self._stop
        fields.user_low_limit.putter = self._new_low_limit
        fields.user_high_limit.putter = self._new_high_limit

    @motor.putter
    async def motor(self, instance: Any, target_um: float) -> None:
        """Move; the put completes when the stage has stopped."""
        fields = instance.field_inst
        violated = not (fields.user_low_limit.value <= target_um <= fields.user_high_limit.value)
        await fields.limit_violation.write(int(violated))
        if violated:
            raise SkipWrite
        self._n_moves += 1
        this_move = self._n_moves
        await fields.direction_of_travel.write(int(target_um > self._travel.position))
        await fields.motor_is_moving.write(1)
        await fields.done_moving_to_value.write(0)
        await self._switch_off()
        await self._travel.go(
            target_um, bench=self._bench, tell=self._tell, within=self._switches_um
        )
        if self._n_moves != this_move:  # the next move is under way already
            return
        await fields.user_readback_value.write(self._travel.position)
        await fields.motor_is_moving.write(0)
        await fields.done_moving_to_value.write(1)

    async def _tell(self, position_um: float) -> None:
        fields = self.motor.field_inst
        await fields.user_readback_value.write(position_um)
        low, high = self._switches_um
        if position_um <= low:
            await fields.user_low_limit_switch.write(1)
        if position_um >= high:
            await fields.user_high_limit_switch.write(1)

    async def _switch_off(self) -> None:
        await self.motor.field_inst.user_low_limit_switch.write(0)
        await self.motor.field_inst.user_high_limit_switch.write(0)

    async def _stop(self, instance: Any, value: int) -> int:
        if value:
            self._travel.stop()
        return 0

    async def _new_low_limit(self, instance: Any, value: float) -> float:
        await self.motor.write_metadata(lower_ctrl_limit=value)
        return value

    async def _new_high_limit(self, instance: Any, value: float) -> float:
        await self.motor.write_metadata(upper_ctrl_limit=value)
        return value


class MonochromatorRecords(PVGroup):
    """A photon energy that moves, settles, and only then completes the put."""

    energy = pvproperty(
        name="",
        value=500.0,
        units="eV",
        precision=4,
        lower_ctrl_limit=250.0,
        upper_ctrl_limit=2500.0,
    )
    readback = pvproperty(name=":RBV", value=500.0, units="eV", precision=4, read_only=True)
    stop = pvproperty(name=":STOP", value=0)

    def __init__(self, prefix: str, *, bench: Bench, **kwargs: Any) -> None:
        super().__init__(prefix, **kwargs)
        self._bench = bench

    @energy.putter
    async def energy(self, instance: Any, target_ev: float) -> None:
        """Move and settle; beyond the limits nothing moves."""
        if not instance.lower_ctrl_limit <= target_ev <= instance.upper_ctrl_limit:
            raise SkipWrite
        arrived = await self._bench.monochromator.go(target_ev, bench=self._bench, tell=self._tell)
        if arrived:
            await self._bench.wait(_SETTLING_S)
            await self._tell(target_ev)

    async def _tell(self, position_ev: float) -> None:
        await self.readback.write(self._bench.shown_energy_ev)

    @stop.putter
    async def stop(self, instance: Any, value: int) -> int:
        """Stop at the present energy."""
        if value:
            self._bench.monochromator.stop()
        return 0
