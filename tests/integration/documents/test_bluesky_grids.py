"""Bluesky's own grid scans under a RunEngine, with a block in their start document."""

import bluesky.plan_stubs as bps
import numpy as np
import pytest
from bluesky.plans import grid_scan, list_grid_scan
from ophyd.sim import SynAxis, SynSignal

from stxm_live.core.scan import StackScan
from stxm_live.live.replay import stack_of_run

E, NY, NX = (515.0, 516.0, 518.0), 4, 4
"""As many rows as columns: an exchange of the axes changes no shape."""

COUNTS = np.add.outer(100 * np.arange(3.0), np.add.outer(10 * np.arange(4.0), np.arange(4.0))) + 50

SCAN = StackScan(
    shape=(3, NY, NX),
    energies_ev=E,
    x_extent_um=(0, NX - 1),
    y_extent_um=(0, NY - 1),
    x_motor="sx",
    y_motor="sy",
    data_field="apd",
)


@pytest.fixture
def axes():
    return {
        "energy": SynAxis(name="energy", value=E[0]),
        "y": SynAxis(name="sy"),
        "x": SynAxis(name="sx"),
    }


def apd(axes):
    def count():
        place = (E.index(axes["energy"].position), round(axes["y"].position))
        return float(COUNTS[*place, round(axes["x"].position)])

    return SynSignal(func=count, name="apd")


def runs_of(RE, plan):
    runs = []
    RE(
        plan,
        lambda name, doc: (
            runs.append([]) if name == "start" else None,
            runs[-1].append((name, doc)),
        ),
    )
    return runs


@pytest.mark.parametrize("snake", [False, True])
@pytest.mark.parametrize("order", [("y", "x"), ("x", "y")], ids="".join)
def test_a_grid_for_every_energy_is_read_as_its_motors_moved(RE, axes, order, snake):
    detector = apd(axes)

    def plan():
        for k, energy in enumerate(E):
            yield from bps.mv(axes["energy"], energy)
            md = SCAN.model_copy(update={"stack_id": "a", "energy_index": k}).metadata()
            steps = [part for axis in order for part in (axes[axis], 0, 3, 4)]
            yield from grid_scan([detector], *steps, snake_axes=snake, md=md)

    stack = stack_of_run(runs_of(RE, plan()))
    np.testing.assert_array_equal(stack.intensity(), COUNTS)


@pytest.mark.parametrize("snake", [False, True])
@pytest.mark.parametrize("order", [("energy", "x", "y"), ("y", "x", "energy")], ids="-".join)
@pytest.mark.parametrize("how", ["block", "scan=", "nothing"])
def test_a_list_grid_is_read_as_its_motors_moved(RE, axes, order, snake, how):
    positions = {"energy": list(E), "y": list(range(NY)), "x": list(range(NX))}
    steps = [part for axis in order for part in (axes[axis], positions[axis])]
    md = SCAN.metadata() if how == "block" else {}
    (run,) = runs_of(RE, list_grid_scan([apd(axes)], *steps, snake_axes=snake, md=md))
    stack = stack_of_run(run, scan=SCAN if how == "scan=" else None)
    np.testing.assert_array_equal(stack.intensity(), COUNTS)
