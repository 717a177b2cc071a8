"""Runs of Bluesky's plans without a block: the energies that they step, and their images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from stxm_live.core.recipe_options import FieldOptions
from stxm_live.core.scan import StackScan
from stxm_live.io.documents.announced import Announced, RunShape
from stxm_live.io.documents.counts import finite_number
from stxm_live.io.documents.energy_readback import EnergyKey, energy_key
from stxm_live.io.documents.grid import energy_named, grid_stack, is_grid, plan_steps
from stxm_live.io.documents.run_axes import is_of
from stxm_live.io.documents.scan_order import ScanOrder
from stxm_live.io.documents.streams import data_key
from stxm_live.io.units import unit_in_ev, unit_in_um, unit_of

_NUMBERS = ("number", "integer")
_NO_ENERGY_UNITS = frozenset({"deg", "degree", "degrees", "rad", "mrad", "urad", "s", "ms", "K"})
_SETPOINT = ("_setpoint", "-setpoint")
_LEAST_STEP_EV = 50.0


class NoStackError(ValueError):
    """A run is no stack; ``is_alike`` if it looks like one and something is missing."""

    def __init__(self, reason: str, *, is_alike: bool = False) -> None:
        super().__init__(reason)
        self.is_alike = is_alike


class NotYetError(Exception):
    """Another event is needed."""


class _Energy(NamedTuple):
    key: EnergyKey
    steps_ev: tuple[float, ...] | None


def plan_stack(
    start: Mapping[str, Any],
    descriptor: Mapping[str, Any],
    events: Sequence[Mapping[str, Any]],
    fields: FieldOptions,
) -> tuple[RunShape, str]:
    """Return the stack of a run by a plan that steps an energy, and a note on what was taken.

    Parameters
    ----------
    start, descriptor : dict
        Documents of the run and of the stream with the images.
    events : sequence of dict
        Data of the first events of the stream.
    fields : FieldOptions
        Data keys that take precedence.

    Raises
    ------
    NoStackError
        If the run is no stack.
    NotYetError
        If more events are needed to see.
    """
    if is_grid(start):
        return _of_grid(start, descriptor, events, fields), ""
    image, shape = _image(start, descriptor, events, fields)
    energy = _energy(start, descriptor, fields, image)
    if not events and not descriptor["data_keys"][image].get("external"):
        raise NotYetError
    steps_ev = energy.steps_ev
    if steps_ev is None:
        measured = {_in_ev(energy.key, data) for data in events} - {None}
        if len(measured) < 2:
            raise NotYetError
        first = _in_ev(energy.key, events[0])
        steps_ev = (first if first is not None else float(min(filter(None, measured))),)
    ny, nx = shape
    size_um = fields.pixel_size_um
    scan = StackScan(
        shape=(len(steps_ev), ny, nx),
        energies_ev=steps_ev,
        x_extent_um=(0.0, (nx - 1) * (size_um or 1.0)),
        y_extent_um=(0.0, (ny - 1) * (size_um or 1.0)),
        x_motor=fields.x or "x",
        y_motor=fields.y or "y",
        energy_motor=energy.key.name,
        data_field=image,
        i0_field=fields.i0,
        skipping="no" if energy.steps_ev else "any-order",
    )
    stack = Announced(scan, ScanOrder(scan.shape), kind="image", grows=energy.steps_ev is None)
    notes = []
    if size_um is None:
        notes.append(
            "no pixel size is known: a pixel counts as 1 um; give it in the recipe: [fields] "
            "pixel_size_um"
        )
    if unit_in_ev(energy.key.unit) is None and energy.key.unit:
        notes.append(f"the unit of {energy.key.name!r} is {energy.key.unit!r}; eV is taken")
    name = str(start.get("plan_name") or "images at several energies")
    return RunShape(f"{name} over {energy.key.name!r}", (stack,)), "; ".join(notes)


def _image(
    start: Mapping[str, Any],
    descriptor: Mapping[str, Any],
    events: Sequence[Mapping[str, Any]],
    fields: FieldOptions,
) -> tuple[str, tuple[int, int]]:
    """Return the data key of the images and their shape: the hinted or the only one."""
    keys = descriptor["data_keys"]
    shapes = {key: _image_shape(d) for key, d in keys.items()}
    for key, value in (events[0] if events else {}).items():
        if np.ndim(value) > 1:  # a device may describe another shape than it has
            shapes[key] = _last_axes(np.shape(value))
    found = {key: shape for key, shape in shapes.items() if shape is not None}
    if not events and not found and any(d.get("dtype") == "array" for d in keys.values()):
        raise NotYetError
    if fields.image is not None:
        found = {key: found[key] for key in found if is_of(key, fields.image)}
    if len(found) > 1:
        hints = (descriptor.get("hints") or {}).values()
        hinted = {str(f) for hint in hints for f in hint.get("fields") or ()}
        found = {k: s for k, s in found.items() if k in hinted} or found
    if len(found) == 1:
        return next(iter(found.items()))
    if found:
        raise NoStackError(
            f"several data keys hold images: {', '.join(found)}; name one in the recipe: [fields] "
            "image",
            is_alike=_steps_energy(start, descriptor, fields),
        )
    raise NoStackError("no data key holds images")


def _image_shape(data_key: Mapping[str, Any]) -> tuple[int, int] | None:
    shape = [n for n in data_key.get("shape") or () if isinstance(n, int)]
    is_array = data_key.get("dtype") == "array" or data_key.get("external")
    return _last_axes(shape) if is_array else None


def _last_axes(shape: Sequence[int]) -> tuple[int, int] | None:
    """Return the shape of an image, or of each of several frames; None for colors and lines."""
    has_colors = len(shape) == 3 and shape[-1] in (3, 4) and shape[0] > 1
    if len(shape) not in (2, 3) or min(shape[-2:]) < 2 or has_colors:
        return None
    return int(shape[-2]), int(shape[-1])


def _energy(
    start: Mapping[str, Any], descriptor: Mapping[str, Any], fields: FieldOptions, image: str
) -> _Energy:
    """Return the data key of the energy, and the energies if the plan lists them."""
    motors = _motors(start)
    keys = descriptor["data_keys"]
    if not motors:
        if start.get("plan_name") == "count":
            raise NoStackError("a count steps no energy")
        return _Energy(_energy_without_motors(keys, fields), None)
    named = [m for m in motors if _is_energy(m, descriptor, fields)]
    if len(named) != 1:
        alike = [m for m in motors if min(_steps_of(start, m) or (0.0,)) > _LEAST_STEP_EV]
        names = ", ".join(named or alike)
        raise NoStackError(
            f"images {image!r} were taken while {', '.join(motors)} moved; if one of them "
            f'is the photon energy, name it in the recipe: [fields] energy = "{names}"',
            is_alike=bool(names),
        )
    (motor,) = named
    others = _other_steps(start, motor)
    if others:
        raise NoStackError(
            f"images {image!r} were taken at several positions of {others} for each energy: "
            "give each a run of its own, or announce the stacks with metadata_of_stacks",
            is_alike=True,
        )
    key = energy_key(motor, descriptor) or EnergyKey(motor, "")
    if key.unit in _NO_ENERGY_UNITS:
        raise NoStackError(
            f"{key.name!r} is in {key.unit}, not in eV or keV; name the data key of the photon "
            "energy in the recipe: [fields] energy",
            is_alike=True,
        )
    steps = None if str(start.get("plan_name", "")).startswith("rel_") else _steps_of(start, motor)
    if steps is None:
        return _Energy(key, None)
    unit_ev = unit_in_ev(unit_of(keys.get(key.name, {}))) or 1.0
    return _Energy(key, tuple(float(step) * unit_ev for step in steps))


def _energy_without_motors(keys: Mapping[str, Any], fields: FieldOptions) -> EnergyKey:
    numbers = {k: d for k, d in keys.items() if d.get("dtype") in _NUMBERS}
    if fields.energy is not None:
        found = [k for k in numbers if is_of(k, fields.energy)]
    else:
        measured = [k for k in numbers if not k.endswith(_SETPOINT)]
        found = [k for k in measured if unit_in_ev(unit_of(numbers[k])) is not None]
        found = found or [k for k in measured if energy_named(k)]
    if len(found) == 1 or (found and fields.energy is not None):
        return EnergyKey(found[0], unit_of(numbers[found[0]]))
    if found:
        raise NoStackError(
            f"which of {', '.join(found)} is the photon energy? name it in the recipe: [fields] "
            "energy",
            is_alike=True,
        )
    raise NoStackError("no data key holds a photon energy")


def _is_energy(motor: str, descriptor: Mapping[str, Any], fields: FieldOptions) -> bool:
    if fields.energy is not None:
        return is_of(motor, fields.energy)
    key = energy_key(motor, descriptor)
    own = key is not None and not key.is_guessed and is_of(key.name, motor)
    in_ev = own and key is not None and unit_in_ev(key.unit) is not None
    return in_ev or energy_named(motor)


def _steps_energy(
    start: Mapping[str, Any], descriptor: Mapping[str, Any], fields: FieldOptions
) -> bool:
    return any(_is_energy(motor, descriptor, fields) for motor in _motors(start))


def _motors(start: Mapping[str, Any]) -> list[str]:
    motors = start.get("motors") or ()
    return [] if isinstance(motors, str) else [str(motor) for motor in motors]


def _steps_of(start: Mapping[str, Any], motor: str) -> Sequence[float] | None:
    """Return the positions of a motor, as the plan lists them."""
    motors = _motors(start)
    place = motors.index(motor)
    shape = start.get("shape")
    if isinstance(shape, Sequence) and len(shape) == len(motors):
        steps = plan_steps({**start, "shape": list(shape)})
        return None if steps is None else steps[place]
    return _inner_steps(start, len(motors), place)


def _inner_steps(start: Mapping[str, Any], n_motors: int, place: int) -> Sequence[float] | None:
    """Return the positions of one of several motors that move together, if they are listed."""
    n = start.get("num_points")
    pattern = start.get("plan_pattern_args")
    if not isinstance(n, int) or not isinstance(pattern, Mapping):
        return None
    if start.get("plan_pattern") not in ("inner_product", "inner_list_product", None):
        return None
    values = [a for a in pattern.get("args", ()) if not isinstance(a, str | bool)]
    if len(values) == n_motors and all(np.shape(v) == (n,) for v in values):
        return [float(v) for v in values[place]]
    if len(values) == 2 * n_motors and all(np.ndim(v) == 0 for v in values):
        first, last = values[2 * place : 2 * place + 2]
        return [float(v) for v in np.linspace(float(first), float(last), n)]
    return None


def _other_steps(start: Mapping[str, Any], motor: str) -> str:
    """Return the motors of a grid, besides this one, that have several steps."""
    shape, motors = start.get("shape"), _motors(start)
    if not isinstance(shape, Sequence) or len(shape) != len(motors):
        return ""
    return ", ".join(
        name for name, n in zip(motors, shape, strict=True) if name != motor and n != 1
    )


def _in_ev(key: EnergyKey, data: Mapping[str, Any]) -> float | None:
    number = finite_number(data.get(key.name))
    return None if number is None else number * (unit_in_ev(key.unit) or 1.0)


def _of_grid(
    start: Mapping[str, Any],
    descriptor: Mapping[str, Any],
    events: Sequence[Mapping[str, Any]],
    fields: FieldOptions,
) -> RunShape:
    """Return the stack of a grid over energy, y and x, with positions in eV and um."""
    motors = _motors(start)
    in_ev = [m for m in motors if _is_energy(m, descriptor, fields)]
    if fields.energy is None and len(in_ev) == 1:
        fields = fields.model_copy(update={"energy": in_ev[0]})
    is_relative = str(start.get("plan_name", "")).startswith("rel_")
    if is_relative and not events:
        raise NotYetError
    steps, pattern = plan_steps(start), start.get("plan_pattern_args")
    if steps is not None and isinstance(pattern, Mapping):
        first = events[0] if is_relative else None
        measured = [
            _in_units(motor, own, descriptor, first)
            for motor, own in zip(motors, steps, strict=True)
        ]
        start = {**start, "plan_pattern_args": {**pattern, "args": measured}}
    try:
        grid = grid_stack(start, fields)
    except ValueError as error:
        raise NoStackError(str(error), is_alike=True) from error
    key = data_key(grid.scan.data_field, descriptor)
    if key is None or _image_shape(descriptor["data_keys"][key]) is not None:
        raise NoStackError(
            f"each step of {', '.join(motors)} should hold a number of {grid.scan.data_field!r}; "
            "name the data key of the counts in the recipe: [fields] image",
            is_alike=True,
        )
    return RunShape(
        f"{grid.plan_name} of Bluesky", (Announced(grid.scan, grid.order, kind="pixel"),)
    )


def _in_units(
    motor: str,
    steps: Sequence[float],
    descriptor: Mapping[str, Any],
    first: Mapping[str, Any] | None,
) -> list[float]:
    """Return positions in eV or um; relative ones are added to where the first event was."""
    key = energy_key(motor, descriptor)
    if key is None or not is_of(key.name, motor):
        return [float(step) for step in steps]
    unit = unit_in_ev(key.unit) or unit_in_um(key.unit) or 1.0
    at = None if first is None else finite_number(first.get(key.name))
    offset = 0.0 if at is None else at - float(steps[0])
    return [(float(step) + offset) * unit for step in steps]
