"""Whatever a chooser is asked and whatever it does, the plan that waits for it ends."""

import os
import signal
import threading
from dataclasses import replace

import pytest
from bluesky.run_engine import RunEngineInterrupted, SigintHandler
from run_engines import a_run_engine

from stxm_live.adaptive.chooser import RegionChooser, box_region
from stxm_live.core.region import Region
from stxm_live.plans import wait_for_region

REGION = Region((0, 1), (0, 1), nx=3, ny=3)
TINY = 1e-317


@pytest.fixture
def chooser():
    with RegionChooser() as it:
        yield it


@pytest.mark.parametrize(
    ("x_um", "step_um", "dwell_ms"),
    [
        ((0, TINY), 5e-324, 1),
        ((0, TINY), 1, 1),
        ((0, 1e300), 1, 1),
        ((-1e300, 1e300), 1e-300, 1),
        ((0, 1), float("nan"), 1),
        ((0, 1), 0.1, 1e12),
        ((0, 1), 0.1, float("inf")),
        ((0, 1), 0.1, 1e-300),
        ((0, 1), 0.1, -1),
    ],
)
def test_a_box_that_no_microscope_scans_is_refused(chooser, x_um, step_um, dwell_ms):
    with pytest.raises(ValueError, match=r"."):
        chooser.choose_box(x_um, (0, x_um[1]), step_um=step_um, dwell_ms=dwell_ms)
    assert chooser.claim() is None
    assert chooser.refused


@pytest.mark.parametrize(
    "changes",
    [
        {"x_extent_um": (0, TINY), "nx": 10**9},
        {"x_extent_um": (0, 1e300)},
        {"nx": 10**300},
        {"nx": 1e300},
        {"dwell_ms": 1e12},
        {"dwell_ms": 1e-300},
    ],
)
def test_a_region_that_no_microscope_scans_is_refused(chooser, changes):
    with pytest.raises(ValueError, match=r"."):
        chooser.choose(replace(REGION, **changes))
    assert chooser.claim() is None


@pytest.mark.parametrize("most_pixels", [0, 1, 4, 5, 2**22])
def test_a_step_is_proposed_for_any_limit_of_pixels(most_pixels):
    with pytest.raises(ValueError, match="give step_um="):
        box_region((0, 1e9), (0, 1e9), step_um=1e-9, most_pixels=most_pixels)


def test_a_region_whose_number_of_pixels_is_no_number_is_refused():
    with pytest.raises(ValueError, match="nx is nan"):
        Region((0, 1), (0, 1), nx=float("nan"), ny=3)


def test_a_chooser_that_calculates_a_dose_keeps_nobody_waiting():
    calculating, go_on = threading.Event(), threading.Event()

    class Slow(RegionChooser):
        def _check_dose(self, region):
            calculating.set()
            go_on.wait(60)

    with Slow() as chooser:
        choice = threading.Thread(target=chooser.choose, args=(REGION,))
        choice.start()
        calculating.wait(60)
        assert chooser.latest() is chooser.claim() is chooser.stack is None
        go_on.set()
        choice.join()
        assert chooser.latest() == REGION


class _Stuck(RegionChooser):
    """A chooser that never answers."""

    def __init__(self):
        super().__init__()
        self.asked, self.go_on = threading.Event(), threading.Event()

    def claim(self):
        self.asked.set()
        self.go_on.wait(60)
        return REGION


class _Raising(RegionChooser):
    def claim(self):
        raise KeyboardInterrupt


@pytest.fixture
def stuck():
    with _Stuck() as it:
        yield it
        it.go_on.set()


def test_the_wait_for_a_chooser_that_never_answers_ends_after_its_time(stuck):
    with a_run_engine() as engine:
        engine(wait_for_region(stuck, timeout_s=0.2))
        assert engine.state == "idle"
    assert stuck.question == ""


def test_the_wait_ends_even_if_the_suggestions_never_come():
    go_on = threading.Event()

    class Mute(RegionChooser):
        @property
        def suggestions(self):
            go_on.wait(60)
            return []

    with a_run_engine() as engine, Mute() as chooser:
        engine(wait_for_region(chooser, timeout_s=0.1, default=1))
        assert engine.state == "idle"
        go_on.set()


def test_the_wait_for_a_chooser_that_raises_ends_after_its_time_and_is_logged_once(caplog):
    with a_run_engine() as engine, _Raising() as chooser:
        engine(wait_for_region(chooser, timeout_s=0.3))
    assert [r.message for r in caplog.records].count(
        "a plan waits for an answer, and asking for it failed"
    ) == 1


def test_ctrl_c_ends_the_wait_for_a_chooser_that_never_answers(stuck):
    def interrupt():
        stuck.asked.wait(60)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    with a_run_engine() as engine:
        engine.context_managers = [SigintHandler]
        thread.start()
        with pytest.raises(RunEngineInterrupted):
            engine(wait_for_region(stuck, timeout_s=600))
        assert engine.state == "paused"
        engine.abort()
        assert engine.state == "idle"
    thread.join()


def test_a_choice_that_comes_after_the_time_is_not_scanned_and_named(stuck, caplog):
    with a_run_engine() as engine:
        engine(wait_for_region(stuck, timeout_s=0.1))
    stuck.go_on.set()
    for thread in threading.enumerate():
        if thread.name == "stxm-live-asked":
            thread.join(60)
    assert "the answer came too late and is not used" in caplog.text
