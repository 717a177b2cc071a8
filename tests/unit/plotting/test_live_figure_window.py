import logging
import threading
import time
from dataclasses import replace

import made_up_backend
import made_up_maps as made_up
import numpy as np
import pytest
from matplotlib.backend_bases import MouseButton, MouseEvent
from matplotlib.text import Text

from stxm_live.plotting import LiveFigure
from stxm_live.plotting.live_figure.header import TIME_LEFT
from stxm_live.plotting.live_figure.layout import cleared
from stxm_live.plotting.live_figure.moment import failure, final, growing
from stxm_live.plotting.pictures import agg_figure


@pytest.fixture(scope="module")
def result():
    return made_up.maps()


@pytest.fixture
def ring():
    """pyplot with windows that nobody sees; gives the function that rings their timers."""
    import matplotlib.pyplot as plt

    before = plt.get_backend()
    plt.switch_backend("module://made_up_backend")
    made_up_backend.TIMERS.clear()
    yield made_up_backend.ring
    plt.close("all")
    plt.switch_backend(before)


class Clock:
    """The time of day and that of the processor, which pass when a test says so."""

    def __init__(self):
        self.now_s, self.spent_s = time.monotonic(), 0.0

    def monotonic(self):
        return self.now_s

    def thread_time(self):
        return self.spent_s


@pytest.fixture
def clock(monkeypatch):
    one = Clock()
    for module in ("window", "moment"):
        monkeypatch.setattr(f"stxm_live.plotting.live_figure.{module}.time", one)
    return one


@pytest.fixture
def live(ring, clock):
    """A figure with an open window and no image yet."""
    figure = LiveFigure(dpi=40)
    figure.show()
    return figure


def window():
    """The figure in the window that is open."""
    import matplotlib.pyplot as plt

    return plt.gcf()


def image_axes():
    return next(ax for ax in window().axes for text in ax.texts
                if text.get_text().startswith("Optical density"))  # fmt: skip


def title():
    """Title of the image that is shown."""
    return next(t.get_text() for t in image_axes().texts if t.get_text().startswith("Optical"))


def controls():
    """The axes of the slider and of the box "follow"."""
    return [ax for ax in window().axes if ax.get_gid() == "control"]


def click(ax, x, y, of):
    """Press and release the mouse at a place in coordinates of the data or of the axes."""
    canvas = window().canvas
    canvas.draw()  # a legend or a box knows only then where it is
    at = (ax.transData if of == "data" else ax.transAxes).transform((x, y))
    for name in ("button_press_event", "button_release_event"):
        canvas.callbacks.process(name, MouseEvent(name, canvas, *at, MouseButton.LEFT))


def slide_to(k):
    click(controls()[0], k, 0.5, "data")


def click_follow():
    click(controls()[1], 0.15, 0.5, "axes")


def pixels(figure):
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba()).copy()


def test_axes_that_are_taken_again_show_what_new_ones_would(result):
    long = made_up.view(3).scan.model_copy(update={"y_extent_um": (0.0, 40.0)})
    narrow = replace(made_up.view(3), scan=long)
    without_axis = replace(result, energy_axis=None)
    failed = failure("run", ValueError("no I0"), growing(made_up.view(4), "roma"), "roma")
    moments = [growing(made_up.view(9), "roma"), final(result, "roma"), failed]
    moments += [final(without_axis, "paper"), growing(narrow, "roma"), moments[0]]
    again = agg_figure((8, 5), 50)
    for k, moment in enumerate(moments):
        size = (15.6, 8.9) if k == 2 else (8, 5)
        again.set_size_inches(size)
        cleared(again)
        moment.draw(again)
        new = agg_figure(size, 50)
        moment.draw(new)
        np.testing.assert_array_equal(pixels(again), pixels(new), err_msg=f"moment {k}")


def test_a_window_shows_the_newest_snapshot_when_its_timer_rings(live, ring):
    drawn = live.n_drawn
    worker = threading.Thread(target=lambda: [live.on_cube(made_up.view(k)) for k in (2, 3, 4)])
    worker.start()
    worker.join()
    assert live.n_drawn == drawn  # nothing is drawn on the worker's thread
    ring()
    ring()
    assert live.n_drawn == drawn + 1
    assert title() == "Optical density at 517.50 eV"


def test_a_new_image_is_drawn_before_the_other_panels(live, ring, monkeypatch):
    canvas, blitted = window().canvas, []

    def blit(box):
        blitted.append((np.asarray(canvas.buffer_rgba()).copy(), box))

    monkeypatch.setattr(canvas, "blit", blit)
    live.on_cube(made_up.view(4))
    ring()
    canvas.draw()
    before = pixels(window())
    assert not blitted  # all of the first moment is new
    live.on_cube(made_up.view(5))
    ring()
    ((alone, box),) = blitted
    after = pixels(window())
    top, bottom = (round(len(after) - y) for y in (box.y1, box.y0))
    panel = (slice(top, bottom), slice(0, round(box.x1)))
    assert (before[panel] != after[panel]).any()
    np.testing.assert_array_equal(alone[panel], after[panel])
    alone[panel] = before[panel]
    np.testing.assert_array_equal(alone, before)  # nothing else was touched


def test_an_image_that_was_chosen_stays_while_others_come(live, ring, monkeypatch):
    live.on_cube(made_up.view(4))
    ring()
    slide_to(1)
    monkeypatch.setattr(window().canvas, "blit", lambda box: pytest.fail("drawn"))
    live.on_cube(made_up.view(5))
    ring()
    assert title() == "Optical density at 513.20 eV"


def test_the_slider_shows_an_earlier_image_and_follow_the_newest_again(live, ring):
    live.on_cube(made_up.view(4))
    ring()
    slide_to(1)
    assert title() == "Optical density at 513.20 eV"
    image = image_axes().images[0].get_array()
    np.testing.assert_array_equal(image, made_up.view(4).od[1])
    live.on_cube(made_up.view(5))
    ring()
    assert title() == "Optical density at 513.20 eV"
    click_follow()
    assert title() == "Optical density at 518.30 eV"
    live.on_cube(made_up.view(6))
    ring()
    assert title() == "Optical density at 519.20 eV"


def test_an_image_that_was_chosen_stays_when_the_maps_come(live, ring, result):
    live.on_cube(made_up.view(12))
    ring()
    slide_to(9)
    live.on_maps(result)
    ring()
    assert title() == "Optical density at 525.00 eV"


def test_the_slider_stops_at_images_that_are_there(live, ring):
    measured = np.isin(np.arange(13), [0, 4, 9])
    live.on_cube(replace(made_up.view(9), measured=measured))
    ring()
    slide_to(6)
    assert title() in ("Optical density at 517.50 eV", "Optical density at 525.00 eV")


def test_follow_that_is_switched_off_keeps_the_image_it_stands_at(live, ring):
    live.on_cube(made_up.view(3))
    ring()
    click_follow()
    live.on_cube(made_up.view(4))
    ring()
    assert title() == "Optical density at 516.60 eV"


def test_a_chosen_energy_that_a_new_stack_lacks_is_that_next_to_it(live, ring):
    live.on_cube(made_up.view(12))
    ring()
    slide_to(12)
    live.on_cube(made_up.view(0, run="another"))
    ring()
    assert title() == "Optical density at 505.00 eV"


def test_the_time_left_goes_on_while_no_image_comes(live, ring, clock):
    live.on_cube(made_up.view(4))
    ring()
    clock.now_s += 600
    ring()
    (text,) = [t for t in window().texts if t.get_gid() == TIME_LEFT]
    assert text.get_text() == "no image for 10 min; about 4 min left"


def test_after_a_long_redraw_only_an_image_or_a_result_is_drawn_at_once(live, ring, clock, result):
    live.on_cube(made_up.view(3))
    ring()
    clock.spent_s += 5.0
    window().canvas.draw()
    drawn = live.n_drawn
    live.on_cube(made_up.view(4))
    ring()
    assert title() == "Optical density at 517.50 eV"
    assert live.n_drawn == drawn  # the other panels wait
    clock.now_s += 15.0
    ring()
    assert live.n_drawn == drawn + 1
    clock.spent_s += 120.0
    window().canvas.draw()
    live.on_maps(result)
    drawn = live.n_drawn
    ring()
    assert live.n_drawn == drawn + 1


def test_a_window_that_was_made_smaller_has_smaller_text(live, ring):
    live.on_cube(made_up.view(4))
    ring()
    figure = window()
    before = {t.get_text(): t.get_fontsize() for t in figure.findobj(Text) if t.get_gid()}
    figure.set_size_inches(8, 6)
    ring()
    after = {t.get_text(): t.get_fontsize() for t in figure.findobj(Text) if t.get_gid()}
    shared = before.keys() & after.keys()
    assert len(shared) > 5
    assert all(after[text] < 0.8 * before[text] for text in shared)
    assert len(controls()) == 2


def test_a_closed_window_stops_its_timer_and_may_be_opened_again(live, ring):
    import matplotlib.pyplot as plt

    window().canvas.callbacks.process("close_event", None)
    plt.close("all")
    live.on_cube(made_up.view(4))
    drawn = live.n_drawn
    ring()
    assert live.n_drawn == drawn
    live.show()
    assert live.n_drawn == drawn + 1
    assert title() == "Optical density at 517.50 eV"
    live.close()


def test_showing_it_twice_opens_one_window(live):
    before = window()
    live.show()
    assert window() is before


def test_a_failure_without_an_image_hides_the_slider(live, ring):
    live.on_cube(made_up.view(4))
    ring()
    live.on_error("another run", ValueError("no frames"))
    ring()
    assert not any(ax.get_visible() for ax in window().axes)
    live.on_cube(made_up.view(4))
    ring()
    assert all(ax.get_visible() for ax in window().axes)


def test_it_keeps_its_window_alive_while_a_runengine_is_busy(live):
    """As ``RunEngine(during_task=figure)`` does, without the timers of an event loop."""
    done = threading.Event()
    live.on_cube(made_up.view(4))
    threading.Timer(0.2, done.set).start()
    live.block(done)
    assert title() == "Optical density at 517.50 eV"


def test_what_cannot_be_drawn_harms_no_scan_that_keeps_the_window_alive(
    live, ring, caplog, monkeypatch
):
    """A RunEngine passes an error of its ``during_task`` on, and the scan is lost."""

    def fails(figure):
        raise SystemExit

    done = threading.Event()
    live.on_cube(made_up.view(4))
    threading.Timer(0.2, done.set).start()
    with caplog.at_level(logging.ERROR, "stxm_live"), monkeypatch.context() as patch:
        patch.setattr("stxm_live.plotting.live_figure.window.cleared", fails)
        live.block(done)
    assert {record.message for record in caplog.records} == {
        "the window could not be drawn (picture 2)"
    }
    assert len(caplog.records) == 1
    live.on_cube(made_up.view(5))
    ring()
    assert title() == "Optical density at 518.30 eV"


def test_a_window_and_a_folder_work_side_by_side(ring, tmp_path):
    live = LiveFigure(tmp_path, dpi=40)
    live.show()
    live.on_cube(made_up.view(4))
    ring()
    assert len(live.written) == 1
    assert live.n_drawn == 3  # window waiting, file, window


def test_a_backend_without_windows_is_named():
    import matplotlib.pyplot as plt

    before = plt.get_backend()
    plt.switch_backend("agg")
    with pytest.raises(RuntimeError, match=r"backend 'agg' has no window.*folder"):
        LiveFigure().show()
    assert plt.get_fignums() == []
    plt.switch_backend(before)
