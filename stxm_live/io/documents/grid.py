"""Start documents of Bluesky's own grid scans, which have one event per pixel."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from pydantic import ValidationError

from stxm_live.core.recipe_options import FieldOptions
from stxm_live.core.scan import StackScan
from stxm_live.io.documents.scan_order import ScanOrder

MAX_ENERGIES = 10_000
"""Most steps of an energy axis."""

_ENERGY_NAME = re.compile(r"energy|mono|(?:^|_)ev(?:$|_)|photon", re.IGNORECASE)
_Y_NAME = re.compile(r"y$|^y|_y_", re.IGNORECASE)


class GridStack(NamedTuple):
    """A grid scan as a stack."""

    plan_name: str
    scan: StackScan
    order: ScanOrder


def is_grid(start: Mapping[str, Any]) -> bool:
    """Return True if a start document is that of a grid scan over three motors."""
    shape, motors = start.get("shape"), start.get("motors")
    return (
        isinstance(shape, Sequence)
        and isinstance(motors, Sequence)
        and not isinstance(motors, str)
        and len(shape) == len(motors) == 3
        and all(isinstance(n, Integral) and int(n) > 0 for n in shape)
    )


def grid_stack(start: Mapping[str, Any], fields: FieldOptions) -> GridStack:
    """Return the stack that a grid scan over energy, y and x measures.

    The energy axis is the motor that the recipe names, else the one whose name says energy. Of
    the other two the slower one is y, unless the recipe says otherwise; positions are in um.

    Raises
    ------
    ValueError
        If it is unclear which motor is the energy, or which energies were scanned.
    """
    run = str(start.get("uid", "?"))[:8]
    motors = [str(name) for name in start["motors"]]
    energy = _energy_axis(run, motors, fields)
    y, x = _spatial_axes(motors, energy, fields)
    steps = plan_steps(start)
    if steps is None:
        raise ValueError(
            f"run {run}: the start document of {start.get('plan_name')!r} does not list the "
            "positions of its motors; pass scan=StackScan(...)"
        )
    shape = tuple(int(n) for n in start["shape"])
    snaking = plan_snaking(start, motors)
    by_axis = {energy: 0, y: 1, x: 2}
    detectors = [str(name) for name in start.get("detectors", ())]
    try:
        scan = StackScan(
            shape=(shape[energy], shape[y], shape[x]),
            energies_ev=tuple(float(e) for e in steps[energy]),
            x_extent_um=(float(steps[x][0]), float(steps[x][-1])),
            y_extent_um=(float(steps[y][0]), float(steps[y][-1])),
            x_motor=motors[x],
            y_motor=motors[y],
            energy_motor=motors[energy],
            data_field=fields.image or (detectors[0] if detectors else ""),
            i0_field=fields.i0,
            snake=snaking[x],
        )
    except ValidationError as error:
        problems = "; ".join(str(e["msg"]).removeprefix("Value error, ") for e in error.errors())
        raise ValueError(f"run {run}: {start.get('plan_name')}: {problems}") from error
    axes = (by_axis[0], by_axis[1], by_axis[2])
    order = ScanOrder(scan.shape, axes, (snaking[0], snaking[1], snaking[2]), runs_on=True)
    return GridStack(str(start.get("plan_name", "grid scan")), scan, order)


def _is_list(value: Any) -> bool:
    is_sequence = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)
    return is_sequence and np.ndim(value) == 1


def energy_named(motor: str) -> bool:
    """Return True if the name of a motor says that it is the photon energy."""
    return bool(_ENERGY_NAME.search(motor))


def y_named(motor: str) -> bool:
    """Return True if the name of a motor says that it moves along y."""
    return bool(_Y_NAME.search(motor))


def _energy_axis(run: str, motors: Sequence[str], fields: FieldOptions) -> int:
    if fields.energy is not None:
        named = [k for k, name in enumerate(motors) if name == fields.energy]
    else:
        named = [k for k, name in enumerate(motors) if energy_named(name)]
    if len(named) == 1:
        return named[0]
    raise ValueError(
        f"run {run}: which of the motors {', '.join(motors)} is the photon energy? say so in the "
        'recipe: [fields] energy = "..."'
    )


def _spatial_axes(motors: Sequence[str], energy: int, fields: FieldOptions) -> tuple[int, int]:
    slow, fast = (k for k in range(3) if k != energy)
    if fields.y is not None or fields.x is not None:
        swapped = motors[slow] == fields.x or motors[fast] == fields.y
    else:
        swapped = y_named(motors[fast]) and not y_named(motors[slow])
    return (fast, slow) if swapped else (slow, fast)


def plan_steps(start: Mapping[str, Any]) -> list[Sequence[float]] | None:
    """Return the positions along every axis, as listed or spread evenly over the extents.

    None if the plan's arguments do not give them for the whole ``shape``.
    """
    shape = list(start["shape"])
    if not all(isinstance(n, Integral) for n in shape):
        return None
    pattern = start.get("plan_pattern_args")
    arguments = pattern.get("args", ()) if isinstance(pattern, Mapping) else ()
    lists: list[Sequence[float]] = [
        list(a) for a in arguments if isinstance(a, Sequence | np.ndarray) and _is_list(a)
    ]
    if [len(a) for a in lists] == shape:
        return lists
    numbers = [a for a in arguments if isinstance(a, int | float) and not isinstance(a, bool)]
    if len(numbers) == 3 * len(shape) and [int(n) for n in numbers[2::3]] == shape:
        ends = list(zip(numbers[::3], numbers[1::3], strict=True))
    elif len(shape) == 1 and len(numbers) == 2 and not lists:
        ends = [(numbers[0], numbers[1])]  # of scan: first, last
    else:
        extents = start.get("extents")
        if not isinstance(extents, Sequence) or len(extents) != len(shape) or lists:
            return None
        ends = [(float(first), float(last)) for first, last in extents]
    if max(shape) > MAX_ENERGIES:
        return None
    return [np.linspace(*end, n).tolist() for end, n in zip(ends, shape, strict=True)]


def plan_snaking(start: Mapping[str, Any], motors: Sequence[str]) -> list[bool]:
    """Return True for each axis that snakes, from a list or from the plan's arguments."""
    listed = start.get("snaking")
    if isinstance(listed, Sequence) and len(listed) == len(motors):
        return [bool(value) for value in listed]
    pattern = start.get("plan_pattern_args")
    spelt = start.get("snake_axes")
    if spelt is None and isinstance(pattern, Mapping):
        spelt = pattern.get("snake_axes")
    if spelt in (True, "True"):
        return [k > 0 for k in range(len(motors))]
    names = re.findall(r"name='([^']*)'", str(spelt or ""))
    return [k > 0 and motor in names for k, motor in enumerate(motors)]
