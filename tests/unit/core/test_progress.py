import numpy as np
import pytest

from stxm_live.live.progress import Pace, Progress, image_time_s


def test_the_time_left_is_the_typical_time_of_an_image_for_each_that_is_missing():
    pace = Pace({"time": 1000.0})
    for k in range(4):
        pace.came([500.0 + k], 1000.0 + 12.0 * (k + 1))
    assert pace.progress(4, 13).left_s == pytest.approx(9 * 12.0)


@pytest.mark.parametrize("paused_before", [1, 2, 3])
def test_a_pause_does_not_change_it(paused_before):
    times = 12.0 * np.arange(4)
    times[paused_before:] += 3600.0
    assert image_time_s(times) == pytest.approx(12.0)


def test_energies_may_come_in_any_order_and_again():
    pace = Pace({"time": 0.0})
    for energy_ev, time_s in ((525.0, 10.0), (505.0, 20.0), (525.0, 30.0), (515.0, 40.0)):
        pace.came([energy_ev], time_s)
    assert pace.progress(3, 5).left_s == pytest.approx(20.0)


@pytest.mark.parametrize("time_s", [None, "noon", [], float("nan"), float("inf"), 10**400])
def test_without_a_usable_time_nothing_is_promised(time_s):
    pace = Pace({"time": time_s})
    pace.came([505.0], 12.0)
    assert pace.progress(1, 13).left_s is None


def test_nothing_is_left_of_a_stack_that_is_whole():
    assert Progress(13, 13, 12.0).left_s == 0
