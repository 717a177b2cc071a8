"""The simulated microscope behind Channel Access."""

import asyncio
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from epics_ioc import simulated
from epics_process import environment, free_port, served

from stxm_live.sim.ioc import Bench, Fault, MicroscopeRecords
from stxm_live.sim.ioc.bench import Travel

SHIPPED = Path(__file__).parents[3] / "profiles" / "profile_stxm" / "microscope.toml"


def bench(**options):
    return Bench(simulated().microscope, pace=100.0, **options)


def told_by(travel, target, bench, **options):
    """The positions of a move, and whether it arrived."""
    told = []

    async def tell(position):
        told.append(position)

    return told, asyncio.run(travel.go(target, bench=bench, tell=tell, **options))


def pv_names(values):
    """Every PV that a file of names mentions."""
    for value in values.values():
        if isinstance(value, dict):
            yield from pv_names(value)
        elif isinstance(value, str):
            yield value


def test_every_shipped_name_is_served():
    served_names = MicroscopeRecords.pvs_of(bench()).keys()
    assert set(pv_names(tomllib.loads(SHIPPED.read_text()))) <= served_names


def test_a_move_takes_time_and_ends_at_the_target():
    told, arrived = told_by(Travel(0.0, speed=1.0), 5.0, bench())
    assert arrived
    np.testing.assert_allclose(told, [2.0, 4.0, 5.0])  # 1 unit/s, 100 times as fast, 20 ms apart


def test_a_move_ends_at_a_limit_switch():
    told, arrived = told_by(Travel(0.0, speed=1.0), 50.0, bench(), within=(-3.0, 3.0))
    assert not arrived
    assert told[-1] == 3.0


def test_a_stopped_or_stuck_move_does_not_arrive():
    travel, stuck = Travel(0.0, speed=0.1), bench(fault=Fault.MOTOR_STUCK)

    async def go():
        async def tell(position):
            raise AssertionError("a stuck motor moved")

        move = asyncio.ensure_future(travel.go(50.0, bench=stuck, tell=tell))
        await asyncio.sleep(0.1)
        travel.stop()
        return await move

    assert asyncio.run(go()) is False


def test_light_passes_the_open_shutter_only():
    scope = bench()
    x_um, y_um = np.linspace(-0.5, 0.5, 30), np.linspace(-0.5, 0.5, 20)
    dark = scope.image(x_um, y_um)
    scope.shutter_is_open = True
    light = scope.image(x_um, y_um)
    assert dark.shape == light.shape == (20, 30)
    assert dark.mean() == pytest.approx(3.0, abs=0.4)
    truth = simulated().microscope
    truth.begin_image()
    np.testing.assert_allclose(light, truth.counts(scope.shown_energy_ev, x_um, y_um))


def test_coarse_stages_move_the_field():
    moved, centred = bench(shutter_is_open=True), bench(shutter_is_open=True)
    moved.coarse_x.position = 0.25
    x_um = np.linspace(-0.5, 0.5, 30)
    np.testing.assert_array_equal(moved.image(x_um, x_um), centred.image(x_um + 0.25, x_um))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_says_what_to_set_and_ends_cleanly(number):
    port = free_port()
    command = [sys.executable, "-m", "stxm_live", "ioc", "--size", "32", "--port", str(port)]
    with served(command, port, ready=f"export EPICS_CA_SERVER_PORT={port}\n") as ioc:
        if number == signal.SIGINT:
            check_that_the_port_is_taken(command, port)
        ioc.send_signal(number)
        rest = ioc.stdout.read()
        ioc.wait(120)
    assert ioc.returncode == 0
    assert "profile-dir=profiles/profile_stxm" in rest
    assert rest.endswith("The IOC has ended.\n")


def check_that_the_port_is_taken(command, port):
    second = subprocess.run(
        command, capture_output=True, text=True, env=environment(port), timeout=240, check=False
    )
    assert second.returncode == 1
    assert re.match(
        rf"error: cannot listen on 127.0.0.1, port {port} \(.*\); is another", second.stderr
    )
