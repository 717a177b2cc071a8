"""Axes: the photon energy and the stages, with limits that are checked before a move.

ophyd comes without types, hence the ignored `misc` errors of its subclasses.
"""

from __future__ import annotations

from typing import Any

from ophyd import Component as Cpt
from ophyd import Device, EpicsMotor, EpicsSignal, EpicsSignalRO
from ophyd import FormattedComponent as FCpt
from ophyd.utils import LimitError

from stxm_live.devices.connection import PUT_S, connect, get, put, put_if_connected
from stxm_live.devices.names import AxisLimits, EnergyNames, StageNames
from stxm_live.devices.outcome import Outcome

_GRACE_S = 5.0
"""Seconds for the readback to agree after a completed put."""


class Monochromator(Device):  # type: ignore[misc]
    """Photon energy in eV: a setpoint with put-completion, and a readback.

    Parameters
    ----------
    pvs : EnergyNames
    connect_timeout_s : float
        Longest wait for the PVs when they are first needed.
    """

    readback = FCpt(EpicsSignalRO, "{self.pvs.readback}", kind="hinted", auto_monitor=True)
    setpoint = FCpt(EpicsSignal, "{self.pvs.setpoint}", kind="normal", put_complete=True)
    stop_signal = FCpt(EpicsSignal, "{self.pvs.stop}", kind="omitted")

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        pvs: EnergyNames,
        connect_timeout_s: float,
        **kwargs: Any,
    ) -> None:
        self.pvs = pvs
        self._connect_timeout_s = connect_timeout_s
        self._move: Outcome | None = None
        super().__init__(prefix, name=name, **kwargs)
        self.readback.name = name

    @property
    def position(self) -> float:
        """Return the readback in eV."""
        return float(get(self.readback))

    @property
    def limits(self) -> AxisLimits:
        """Return the lowest and highest energy in eV."""
        connect([self], timeout_s=self._connect_timeout_s)
        return _limits(self.name, self.setpoint.limits, self.pvs.setpoint, self.pvs.limits)

    def check_value(self, value: float) -> None:
        """Raise LimitError, a ValueError, if this energy is outside the limits."""
        _check(self.name, value, self.limits, "eV", self.pvs.setpoint)

    def set(self, value: float) -> Outcome:
        """Move to an energy; done when the put is complete and the readback agrees."""
        self.check_value(value)
        self._move = outcome = Outcome(self)
        completed = outcome.step(lambda: self._completed(outcome, value))
        put(self.setpoint, value, use_complete=True, callback=completed)
        outcome.deadline(self.pvs.timeout_s, lambda: self._late(value))
        outcome.fail_if_lost(self.setpoint, self.readback)
        return outcome

    def stop(self, *, success: bool = False) -> None:
        """Stop at the present energy; the move under way succeeds only if ``success``."""
        if self._move is not None:
            self._move.end(None if success else RuntimeError(f"{self.name} was stopped"))
        put_if_connected(self.stop_signal, 1)

    def _completed(self, outcome: Outcome, value: float) -> None:
        def agrees(*, value: float, target: float = value, **_: Any) -> None:
            if abs(value - target) <= self.pvs.tolerance_ev:
                outcome.end()

        number = self.readback.subscribe(agrees, run=True)
        outcome.add_callback(lambda _: self.readback.unsubscribe(number))
        outcome.deadline(_GRACE_S, lambda: self._late(value))

    def _late(self, value: float) -> str:
        reached = get(self.readback) if self.readback.connected else float("nan")
        return (
            f"{self.name}: {self.pvs.readback} reads {reached:.3f} eV, wanted {value:g} "
            f"+- {self.pvs.tolerance_ev:g} eV; look at the monochromator ({self.pvs.setpoint}), or "
            f"raise timeout_s (now {self.pvs.timeout_s:g}) or tolerance_ev of energy"
        )


class Stage(EpicsMotor):  # type: ignore[misc]
    """A stage in um on a motor record; its errors name the record and the reason.

    Parameters
    ----------
    pvs : StageNames
    connect_timeout_s : float
        Longest wait for the record when it is first needed.
    """

    # the limits are those of the record's own fields; those that come with .VAL may be old
    user_setpoint = Cpt(EpicsSignal, ".VAL", limits=False, auto_monitor=True, write_timeout=PUT_S)
    motor_stop = Cpt(EpicsSignal, ".STOP", kind="omitted", write_timeout=PUT_S)

    def __init__(
        self, *, name: str, pvs: StageNames, connect_timeout_s: float, **kwargs: Any
    ) -> None:
        self.pvs = pvs
        self._connect_timeout_s = connect_timeout_s
        self._outcome: Outcome | None = None
        super().__init__(pvs.record, name=name, **kwargs)

    @property
    def limits(self) -> AxisLimits:
        """Return the lowest and highest position in um."""
        connect([self], timeout_s=self._connect_timeout_s)
        own = (get(self.low_limit_travel), get(self.high_limit_travel))
        return _limits(self.name, own, self.pvs.record, self.pvs.limits)

    def check_value(self, pos: float) -> None:
        """Raise LimitError, a ValueError, if this position is outside the limits."""
        _check(self.name, pos, self.limits, "um", self.pvs.record)

    def set(self, new_position: float, **kwargs: Any) -> Outcome:
        """Move to a position; done when the record is."""
        self.check_value(new_position)
        self._outcome = outcome = Outcome(self)
        move = super().set(new_position, **kwargs)
        outcome.deadline(self.pvs.timeout_s, lambda: self._problem(new_position))
        outcome.fail_if_lost(self.user_readback)

        def ended() -> None:
            # a motor record that was stopped by somebody else is done, too
            arrived = abs(self.position - new_position) <= self.pvs.tolerance_um
            well = move.success and arrived
            outcome.end(None if well else RuntimeError(self._problem(new_position)))

        move.add_callback(outcome.step(ended))
        return outcome

    def stop(self, *, success: bool = False) -> None:
        """Stop at the present position; the move under way succeeds only if ``success``."""
        if success and self._outcome is not None:
            self._outcome.end()
        put_if_connected(self.motor_stop, 1)
        super(EpicsMotor, self).stop(success=success)

    def _problem(self, target_um: float) -> str:
        if not self.connected:
            return f"{self.name}: {self.pvs.record} was disconnected"
        switches = {"low": get(self.low_limit_switch), "high": get(self.high_limit_switch)}
        pressed = [f"on its {side} limit switch" for side, on in switches.items() if on]
        return (
            f"{self.name}: {self.pvs.record} is at {self.position:g} um"
            f"{' ' + ' and '.join(pressed) if pressed else ''}, wanted {target_um:g} "
            f"+- {self.pvs.tolerance_um:g} um; look at the stage, or raise timeout_s (now "
            f"{self.pvs.timeout_s:g}) or tolerance_um of stages.{self.name}"
        )


def _limits(
    name: str, own: tuple[float | None, float | None], pv: str, configured: AxisLimits | None
) -> AxisLimits:
    """Return the PV's limits narrowed by the file's; raises if there are none."""
    low, high = own
    known = [configured] if configured else []
    if low is not None and high is not None and low < high:
        known.append((low, high))
    if not known:
        raise LimitError(
            f"{name}: {pv} has no limits; set them there, or as "
            f"limits = [low, high] of {name} in the file of PV names"
        )
    return max(low for low, _ in known), min(high for _, high in known)


def _check(name: str, value: float, limits: AxisLimits, unit: str, pv: str) -> None:
    low, high = limits
    if low <= value <= high:
        return
    side, limit = ("high", high) if value > high else ("low", low)
    raise LimitError(
        f"{name}: {value:g} {unit} is beyond the {side} limit, {limit:g} {unit} ({pv})"
    )
