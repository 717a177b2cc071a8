"""Changes of the maps by hand, there and back, in a page without a browser."""

import time
from dataclasses import replace

import made_up_maps as made_up
import pytest

pytest.importorskip("bokeh", reason="needs the extra stxm-live[web]")

from bokeh.events import ButtonClick

from stxm_live.core.recipe import Recipe
from stxm_live.dashboard import Board
from stxm_live.dashboard.recompute_panel import _BASELINES, _METHODS
from stxm_live.dashboard.view import View


@pytest.fixture
def page():
    """A page of maps that can be changed, what was asked for, and a function that makes maps."""
    board, asked = Board(), []
    maps = made_up.maps(run="base")

    def remake(changes):
        asked.append(dict(changes))
        return replace(maps, revision=2)

    board.on_maps(replace(maps, remake=remake))
    view = View(board)
    view.parts()
    view.tick()

    def make():
        before = board.now.results[-1].number
        view.changes.make()
        until(lambda: board.now.results[-1].number > before and view._wanted)
        view.tick()

    yield view, asked, make
    board.close()


def until(is_so):
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def press(view, button):
    button._trigger_event(ButtonClick(button))
    view.tick()


def test_changes_are_undone_and_made_again_with_their_settings(page):
    view, asked, make = page
    changes = view.changes
    assert changes.back.disabled
    assert changes.forth.disabled
    changes.offset.value = 0.3
    make()
    changes.method.value, changes.left_out.value = "pearson", ["513.20"]
    make()
    second = view.scene.result.number
    assert asked[-1] == {
        "energy_offset_ev": 0.3,
        "exclude_energies_ev": (513.2,),
        "resolver.method": "pearson",
    }
    press(view, changes.back)
    assert view.scene.result.title.endswith("energies +0.3 eV")
    assert (changes.offset.value, changes.method.value, changes.left_out.value) == (0.3, "", [])
    press(view, changes.back)
    assert view.scene.result.origin == "live"
    assert view.show.value == "0"  # it follows the scan again
    assert changes.offset.value == 0
    assert changes.back.disabled
    press(view, changes.forth)
    press(view, changes.forth)
    assert view.scene.result.number == second
    assert (changes.method.value, changes.left_out.value) == ("pearson", ["513.20"])
    assert changes.forth.disabled
    assert len(asked) == 2


def test_maps_that_were_refined_since_are_what_is_gone_back_to(page):
    view, _, make = page
    view.changes.offset.value = 0.3
    make()
    view.board.on_maps(made_up.maps(run="base", revision=3))
    view.tick()
    press(view, view.changes.back)
    assert view.scene.result.maps.revision == 3


def test_the_mask_of_one_field_is_not_that_of_the_next(page):
    view, *_ = page
    view.maps.drawn.show_box(2.4, 3.0, -2.0, -1.3)
    view.changes._take_mask()
    assert "drawn pixels" in view.changes.words.text
    view.board.on_maps(made_up.maps(run="base", revision=2))
    view.tick()
    assert "drawn pixels" in view.changes.words.text
    view.board.on_maps(made_up.maps(run="next"))
    view.tick()
    assert view.changes.words.text == ""
    view.changes.make()
    assert "Nothing was changed" in view.board.now.note


def test_every_method_and_baseline_that_is_offered_is_one_of_the_recipe():
    recipe = Recipe.load("nvpf")
    for name, choices in (("method", _METHODS), ("baseline", _BASELINES)):
        for value, _ in choices[1:]:
            changed = recipe.with_changes({f"resolver.{name}": value})
            assert getattr(changed.resolver, name) == value
