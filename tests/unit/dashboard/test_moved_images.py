"""Images moved with the arrow keys: as they are seen, and as the maps are made again."""

import itertools
import time
from dataclasses import replace
from types import SimpleNamespace

import made_up_maps as made_up
import numpy as np
import pytest

pytest.importorskip("bokeh", reason="needs the extra stxm-live[web]")

from bokeh.events import ButtonClick

from stxm_live.core.shift_files import read_shifts
from stxm_live.dashboard import Board
from stxm_live.dashboard.moved_images import FARTHEST_PX
from stxm_live.dashboard.state import SHIFTS
from stxm_live.dashboard.view import View

COUNT = itertools.count()


@pytest.fixture(scope="module")
def made():
    """What was asked for: lines of shifts, as the file has them while maps are made."""
    return []


@pytest.fixture(scope="module")
def view(made):
    def map_again(maps, changes):
        made.append(read_shifts(changes[SHIFTS]))
        return replace(maps, revision=2)

    view = View(Board(), history=SimpleNamespace(runs=list, map_again=map_again))
    view.parts()
    yield view
    view.board.close()


@pytest.fixture
def page(view, request):
    """The page of a stack of its own, whose arrow keys are switched on."""
    view.show.value = "0"
    view.board.on_maps(made_up.maps(run=request.node.name))
    view.tick()
    view.changes.moved.switch.active = True
    return view


def press(view, *steps, is_large=False):
    for x, y in steps:
        view.changes.moved.keys.pressed = [next(COUNT), x, y, is_large]


def greys(view):
    """The image as it is on the screen, its lowest row first."""
    pixels = view.maps.figures["od"].source.data["image"][0]
    return pixels.view(np.uint8).reshape(*pixels.shape, 4)[..., 0].astype(int)


@pytest.mark.parametrize("extent_um", [made_up.EXTENT_UM, (3.58, 2.0, -2.18, -1.0)])
def test_an_image_goes_where_the_arrow_points(page, extent_um):
    page.board.on_maps(made_up.maps(run=f"at {extent_um[0]}", extent_um=extent_um))
    page.tick()
    page.maps.set_limits("od", (0.0, 1.2))
    before = greys(page)
    press(page, (1, 0), (1, 0), (1, 0), is_large=True)
    np.testing.assert_allclose(greys(page)[5:-5, 8:-5], before[5:-5, 5:-8], atol=1)
    press(page, (-1, 0), (-1, 0), (-1, 0), (0, 1), (0, 1), is_large=True)
    np.testing.assert_allclose(greys(page)[7:-5, 5:-5], before[5:-7, 5:-5], atol=1)
    press(page, *[(0, -1)] * 8)  # quarters of a pixel
    np.testing.assert_array_equal(greys(page), before)
    assert page.changes.moved.moves == {}


def test_another_energy_is_not_moved_and_a_scan_and_another_stack_neither(page):
    press(page, (1, 0))
    moved = page.changes.moved
    (energy_ev,) = moved.moves
    assert energy_ev == page.scene.energies_ev[page.maps.energy_shown]
    page.maps.energy.value = 0
    np.testing.assert_array_equal(page.maps.layers["od"].values, page.scene.od[0])
    moved.switch.active = False
    press(page, (1, 1))
    assert list(moved.moves) == [energy_ev]
    page.board.on_maps(made_up.maps(run="another"))
    page.tick()
    assert moved.moves == {}
    page.board.on_cube(made_up.view(3, run="scan"))
    page.tick()
    moved.switch.active = True
    press(page, (1, 0))
    assert moved.moves == {}
    page.board.on_maps(made_up.maps(run="scan"))


def test_keys_that_lie_move_no_image_out_of_reach(page):
    press(page, (1e9, 0), (0, float("nan")), ("1", 0), (None, [1]), is_large=True)
    assert page.changes.moved.moves == {}
    press(page, *[(1, -1)] * 500, is_large=True)
    ((y, x),) = page.changes.moved.moves.values()
    assert abs(y) == abs(x) == FARTHEST_PX
    page.changes.reset()
    assert page.changes.moved.moves == {}


def test_maps_are_made_again_with_the_shifts_and_undone(page, made):
    press(page, (1, 0), (1, 0))
    k, base = page.maps.energy_shown, page.scene.maps
    n = len(made)
    page.changes.make()
    until(lambda: page._wanted)
    page.tick()
    expected = np.column_stack([base.energies_ev, base.shifts_px])
    expected[k, 2] += 0.5
    np.testing.assert_allclose(made[n], expected, atol=1e-4)
    assert "+0.5 columns" in page.scene.result.title
    # these maps have the move in them: it is not shown twice
    np.testing.assert_array_equal(page.maps.layers["od"].values, page.scene.od[k])
    press(page, (1, 0))
    assert page.changes.moved.moves[base.energies_ev[k]] == (0.0, 0.75)
    back = page.changes.back
    back._trigger_event(ButtonClick(back))
    page.tick()
    assert page.scene.result.origin == "live"
    assert page.changes.moved.moves == {}


def test_without_a_catalogue_it_is_said_what_is_missing(page):
    press(page, (1, 0))
    page.changes._map_again, kept = None, page.changes._map_again
    page.changes.make()
    page.changes._map_again = kept
    assert "catalogue" in page.board.now.note


def until(is_so):
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)
