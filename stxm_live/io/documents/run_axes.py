"""Axes over which a run steps its motors, as its own start document says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from stxm_live.core.scan import StackScan
from stxm_live.io.documents.counts import PieceKind
from stxm_live.io.documents.grid import energy_named, plan_snaking, plan_steps, y_named
from stxm_live.io.documents.matching import MAX_REACH_EV
from stxm_live.io.documents.scan_order import ENERGY, ScanOrder, X, Y

_NAMES = {ENERGY: "energy", Y: "y", X: "x"}


class RunAxis(NamedTuple):
    """A motor of a grid: its number of steps, its positions if they are listed, and snaking."""

    motor: str
    n: int
    steps: Sequence[float] | None
    snakes: bool


class RunOrder(NamedTuple):
    """A scan as the run measures it, its order, and the kind of its events if the run says so."""

    scan: StackScan
    order: ScanOrder
    kind: PieceKind | None = None


def run_order(start: Mapping[str, Any], scan: StackScan) -> RunOrder:
    """Return the scan of a block in the order in which the run itself steps its motors.

    The motors, shape, snaking and positions that Bluesky's plans write decide over the block.
    What the block alone knows, such as the axis along a line, is taken from it.

    Raises
    ------
    ValueError
        If the block and the run contradict each other.
    """
    run = f"run {str(start.get('uid', '?'))[:8]}"
    axes = _grid_axes(start)
    if not axes:
        own = ScanOrder(scan.shape, snaking=(False, False, scan.snake), rows=scan.rows or ())
        return RunOrder(_with_listed_energies(run, start, scan), own)
    roles = _roles(run, axes, scan)
    for role, axis in zip(roles, axes, strict=True):
        is_part = role == ENERGY and scan.stack_id is not None
        if axis.n != scan.shape[role] and not (is_part and axis.n < scan.shape[role]):
            raise ValueError(
                f"{run}: the stxm block announces {scan.shape[role]} steps in {_NAMES[role]}, "
                f"the run itself steps {axis.motor!r} {axis.n} times; correct the block"
            )
    is_relative = str(start.get("plan_name", "")).startswith("rel_")
    for role, axis in zip(roles, axes, strict=True):
        if role == ENERGY:
            scan = scan.model_copy(update={"energy_motor": _energy_motor(axis.motor, scan)})
            if axis.steps is not None and not is_relative and axis.n == scan.shape[ENERGY]:
                scan = in_order_of_run(run, axis.motor, axis.steps, scan)
        elif axis.steps is not None:
            scan = _in_direction(role, axis.steps, scan)
    inside = [role for role in (Y, X) if role not in roles]
    outside = [] if ENERGY in roles else [ENERGY]
    levels = (*outside, *roles, *inside)
    snakes = {role: axis.snakes for role, axis in zip(roles, axes, strict=True)}
    snaking = [bool(k) and snakes.get(role, False) for k, role in enumerate(levels)]
    if levels.index(X) == 2 and inside == [X]:
        snaking[2] = scan.snake
    scan = scan.model_copy(update={"snake": snaking[levels.index(X)]})
    order = ScanOrder(
        scan.shape,
        (levels[0], levels[1], levels[2]),
        (snaking[0], snaking[1], snaking[2]),
        runs_on=ENERGY in roles,
    )
    if X in roles and Y not in roles:
        raise ValueError(
            f"{run}: its events hold lines along y, which are not read; make x the fast axis"
        )
    kind: PieceKind | None = "pixel" if X in roles else "line" if Y in roles else None
    return RunOrder(scan, order, kind)


def _grid_axes(start: Mapping[str, Any]) -> list[RunAxis]:
    """Return the axes of a grid with more than one step, from slowest to fastest."""
    shape, motors = start.get("shape"), start.get("motors")
    if not (
        isinstance(shape, Sequence)
        and isinstance(motors, Sequence)
        and not isinstance(shape, str)
        and not isinstance(motors, str)
        and len(shape) == len(motors)
        and all(isinstance(n, Integral) and int(n) > 0 for n in shape)
    ):
        return []
    names = [str(motor) for motor in motors]
    steps: Sequence[Sequence[float] | None] = plan_steps(start) or [None] * len(names)
    snaking = plan_snaking(start, names)
    axes = [RunAxis(*axis) for axis in zip(names, shape, steps, snaking, strict=True)]
    return [axis for axis in axes if axis.n > 1]


def _roles(run: str, axes: Sequence[RunAxis], scan: StackScan) -> list[int]:
    """Return `ENERGY`, `Y` or `X` for each axis: by the block's names, else as without a block."""
    wanted = {ENERGY: scan.energy_motor, Y: scan.y_motor, X: scan.x_motor}
    found: dict[int, int] = {}
    for role, name in wanted.items():
        named = [k for k, axis in enumerate(axes) if is_of(axis.motor, name) and k not in found]
        if len(named) == 1:
            found[named[0]] = role
    rest = [k for k in range(len(axes)) if k not in found]
    if ENERGY not in found.values():
        by_values = [k for k in rest if _are_energies(axes[k].steps, scan)]
        named = [k for k in rest if energy_named(axes[k].motor)]
        energy = by_values if len(by_values) == 1 else named
        if len(energy) == 1:
            found[energy[0]] = ENERGY
            rest.remove(energy[0])
    free = [role for role in (Y, X) if role not in found.values()]
    if len(rest) > len(free) or len(rest) == len(axes) == 3:
        listed = ", ".join(axes[k].motor for k in rest)
        raise ValueError(
            f"{run}: it is unclear which axes of the stack the motors {listed} step; name them in "
            "the stxm block: energy_motor, x_motor, y_motor"
        )
    if len(rest) == 2 and y_named(axes[rest[1]].motor) and not y_named(axes[rest[0]].motor):
        free.reverse()
    found |= dict(zip(rest, free, strict=False))
    return [found[k] for k in range(len(axes))]


def is_of(motor: str, name: str) -> bool:
    """Return True if a data key is that of a motor: ``energy`` and ``energy_readback``."""
    long, short = sorted((motor, name), key=len, reverse=True)
    return bool(short) and long.startswith(short) and not long[len(short) :][:1].isalnum()


def _energy_motor(motor: str, scan: StackScan) -> str:
    return scan.energy_motor if is_of(motor, scan.energy_motor) else motor


def _are_energies(steps: Sequence[float] | None, scan: StackScan) -> bool:
    """Return True if the positions are the announced energies in any order."""
    if steps is None or len(steps) != len(scan.energies_ev):
        return False
    off = np.abs(np.sort(np.asarray(steps, dtype=float)) - np.sort(scan.energies_ev))
    return bool((off < MAX_REACH_EV).all())


def in_order_of_run(run: str, motor: str, steps: Sequence[float], scan: StackScan) -> StackScan:
    """Return the scan with its energies in the order in which the run steps them.

    Raises
    ------
    ValueError
        If they are not the same energies, in eV or keV.
    """
    measured = np.asarray(steps, dtype=np.float64)
    announced = np.asarray(scan.energies_ev)
    for unit_ev in (1.0, 1000.0):
        order = np.argsort(measured, kind="stable")
        by_energy = np.argsort(announced, kind="stable")
        gaps = np.diff(np.unique(announced))
        reach = min(MAX_REACH_EV, gaps.min() / 2) if gaps.size else MAX_REACH_EV
        if (np.abs(measured[order] * unit_ev - announced[by_energy]) <= reach).all():
            placed = np.empty(len(announced))
            placed[order] = announced[by_energy]
            return scan.model_copy(update={"energies_ev": tuple(placed.tolist())})
    raise ValueError(
        f"{run}: the stxm block announces {announced.min():g} to {announced.max():g} eV, the run "
        f"itself steps {motor!r} from {measured[0]:g} to {measured[-1]:g}; correct the block"
    )


def _with_listed_energies(run: str, start: Mapping[str, Any], scan: StackScan) -> StackScan:
    """Return the scan with the energies in the order of a plan that lists them for one motor."""
    motors = start.get("motors")
    if not isinstance(motors, Sequence) or isinstance(motors, str) or len(motors) != 1:
        return scan
    steps = plan_steps({**start, "shape": [start.get("num_points")]})
    motor = str(motors[0])
    if steps is None or len(steps[0]) != len(scan.energies_ev):
        return scan
    if is_of(motor, scan.energy_motor) and not str(start.get("plan_name", "")).startswith("rel_"):
        return in_order_of_run(run, motor, steps[0], scan)
    if _are_energies(steps[0], scan) and not any(
        is_of(motor, name) for name in (scan.x_motor, scan.y_motor)
    ):
        return in_order_of_run(
            run, motor, steps[0], scan.model_copy(update={"energy_motor": motor})
        )
    return scan


def _in_direction(role: int, steps: Sequence[float], scan: StackScan) -> StackScan:
    """Return the scan with an extent in the direction in which the run steps it."""
    key = "x_extent_um" if role == X else "y_extent_um"
    first, last = getattr(scan, key)
    if (last - first) * (steps[-1] - steps[0]) < 0:
        return scan.model_copy(update={key: (last, first)})
    return scan
