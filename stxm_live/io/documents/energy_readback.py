"""The data key with the photon energy of each event, and its unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from stxm_live.io.documents.counts import finite_number
from stxm_live.io.documents.positions import READBACK_SUFFIXES
from stxm_live.io.units import unit_in_ev, unit_of

_LEAST_EV, _MOST_EV = 10.0, 1e6
"""Lowest and highest photon energy of any microscope."""

_REACH = 1.25
"""An image's energy is at most this factor beyond the announced ones."""

_SETPOINTS = ("_setpoint", "-setpoint", "_user_setpoint")


class EnergyKey(NamedTuple):
    """A data key of the energy; ``is_guessed`` if only its unit says that it is one."""

    name: str
    unit: str
    is_guessed: bool = False


def energy_key(motor: str, descriptor: Mapping[str, Any]) -> EnergyKey | None:
    """Return the data key of the energy motor, or the only one in eV or keV; else None."""
    keys = descriptor["data_keys"]
    names = [motor + suffix for suffix in READBACK_SUFFIXES if motor]
    hints = (descriptor.get("hints") or {}).get(motor) or {}
    hinted = [str(name) for name in hints.get("fields") or ()]
    owned = [k for k, d in keys.items() if motor and d.get("object_name") == motor]
    of_device = owned if len(owned) == 1 else [k for k in owned if _is_in_ev(keys[k])]
    setpoints = [motor + suffix for suffix in _SETPOINTS if motor]
    for name in (*names, *hinted, *of_device, *setpoints):
        if name in keys and _is_number(keys[name]):
            return EnergyKey(name, unit_of(keys[name]))
    in_ev = [k for k, d in keys.items() if _is_number(d) and _is_in_ev(d)]
    measured = [k for k in in_ev if not k.endswith(_SETPOINTS)] or in_ev
    if len(measured) == 1:
        return EnergyKey(measured[0], unit_of(keys[measured[0]]), is_guessed=True)
    return None


class Reading(NamedTuple):
    """The energy of an event in eV; without one a problem, which may be reason to refuse all."""

    energy_ev: float | None = None
    problem: str = ""
    is_refusal: bool = False


class EnergyReadings:
    """The readbacks of a stack: those that can be energies of its scan, and those that cannot.

    Readbacks that are all impossible are in another unit, or none of the energy. The second of
    them is reason to refuse the stack: images would be assigned to energies by guesswork.
    """

    def __init__(self) -> None:
        self._n_possible = self._n_impossible = 0

    def read(
        self, key: EnergyKey | None, data: Mapping[str, Any], announced_ev: Sequence[float] | None
    ) -> Reading:
        """Return the energy of an event with these data; None are announced by a growing stack."""
        number = None if key is None else finite_number(data.get(key.name))
        if key is None or number is None:
            return Reading()
        energy_ev = number * (unit_in_ev(key.unit) or 1.0)
        low, high = min(announced_ev or (_LEAST_EV,)), max(announced_ev or (_MOST_EV,))
        if max(low / _REACH, _LEAST_EV) < energy_ev < min(high * _REACH, _MOST_EV):
            self._n_possible += 1
            return Reading(energy_ev)
        self._n_impossible += 1
        problem = (
            f"the readback {number:g} {key.unit or '(no unit)'} of {key.name!r} is no energy near "
            f"the announced {low:g} to {high:g} eV"
        )
        if self._n_impossible > 1 and not self._n_possible:
            advice = "correct its unit in the device, or name another data key in the recipe"
            return Reading(None, f"{problem}; {advice}: [fields] energy", is_refusal=True)
        return Reading(None, f"{problem}; it is ignored")


def _is_number(data_key: Mapping[str, Any]) -> bool:
    return data_key.get("dtype") in ("number", "integer", "array")


def _is_in_ev(data_key: Mapping[str, Any]) -> bool:
    return unit_in_ev(unit_of(data_key)) is not None
