"""The view of a page in its link: read back as it was, and harmless whatever stands in it."""

from urllib.parse import parse_qs, urlencode

import made_up_maps as made_up
import numpy as np
import pytest

pytest.importorskip("bokeh", reason="needs the extra stxm-live[web]")

from stxm_live.dashboard import Board
from stxm_live.dashboard.link import MOST_CORNERS, Link, restore, values_of
from stxm_live.dashboard.view import View


@pytest.fixture(scope="module")
def board():
    board = Board()
    for run in ("first", "second"):
        board.on_maps(made_up.maps(run=run))
    return board


@pytest.fixture(scope="module")
def views(board):
    made = View(board), View(board)
    for view in made:
        view.parts()
        view.tick()
    return made


@pytest.fixture
def view(views):
    """The second page, as it is opened."""
    view = views[1]
    view.show.value, view.tabs.active, view.maps.follow.active = "0", 0, True
    view.maps.pins.clear()
    view.maps.drawn.clear()
    view.maps._show_whole()
    view.maps._limits.clear()
    view.maps.doubt.value, view.maps.phases.value = "ambiguous", "final"
    view.draw()
    return view


def linked(values):
    """A link as a server reads it from a request."""
    query = urlencode(values)
    arguments = parse_qs(query, keep_blank_values=True)
    return Link.from_arguments({k: [v.encode() for v in given] for k, given in arguments.items()})


def opened(view, values):
    view.show.value = "0"
    view._link = linked(values)
    view.draw()
    return view._not_found


def test_a_link_shows_what_its_page_showed(views, view):
    first = views[0]
    first.show.value = "1"
    first.tabs.active = 1
    first.maps.doubt.value, first.maps.share_of.value = "composition", "3"
    first.maps.energy.value = 3
    for place in ((30, 40), (20, 30)):
        first.maps.pins.toggle(place)
    first.maps.drawn.show_box(2.2, 2.9, -2.0, -1.3)
    first.maps.show_part(2.1, 3.0, -2.1, -1.2)
    first.maps.set_limits("od", (0.2, 0.9))
    first.maps.set_limits("doubt", (0.25, 0.75))
    values = values_of(first)
    assert opened(view, values) == ""
    assert values_of(view) == values
    assert view.scene.key.run_uids == ("first",)
    assert view.maps.part_um == (2.1, 3.0, -2.1, -1.2)
    assert not view.maps.follow.active
    assert (view.maps.limits("od"), view.maps.limits("doubt")) == ((0.2, 0.9), (0.25, 0.75))
    first.show.value = "0"


def test_energies_are_in_a_link_if_the_map_is_made_from_them(views, view):
    first = views[0]
    assert "second" not in values_of(first)
    first.maps.doubt.value, first.maps.second.value = "difference", "0"
    opened(view, values_of(first))
    assert (view.maps.doubt.value, view.maps.second.value) == ("difference", "0")
    first.maps.doubt.value, first.maps.second.value = "ambiguous", "7"


def test_maps_that_are_shown_as_colors_and_a_result_beside_them_are_in_a_link(views, view):
    first = views[0]
    first.maps.doubt.value = "rgb-maps"
    for each, name in zip(first.maps.colors, ("3", "reliability", ""), strict=True):
        each.value = name
    first.compare.choice.value = "1"
    values = values_of(first)
    opened(view, values)
    assert [each.value for each in view.maps.colors] == ["3", "reliability", ""]
    assert view.compare.shown.maps.key.run_uids == ("first",)
    view.compare.choice.value = "0"
    opened(view, values | {"beside": values["beside"].replace("first", "second")})
    assert view.compare.shown is None  # the number is of another run here
    first.compare.choice.value, first.maps.doubt.value = "0", "ambiguous"
    assert not {"beside", "red"} & set(values_of(first))


def test_a_newest_run_that_is_no_longer_the_newest_is_found(view):
    assert opened(view, {"run": "first", "region": "1"}) == ""
    assert view.scene.key.run_uids == ("first",)
    assert opened(view, {"run": "second", "region": "1"}) == ""
    assert view.scene.key.run_uids == ("second",)


def test_a_page_that_followed_and_lost_its_connection_follows_on(view):
    pins = {"pins": "30.40"}
    assert opened(view, {"was": "first", "region": "1", **pins}) == ""
    assert view.scene.key.run_uids == ("second",)
    assert list(view.maps.pins) == []  # of another stack
    opened(view, {"was": "second", "region": "1", **pins})
    assert len(list(view.maps.pins)) == 1


def test_an_outline_of_many_corners_keeps_its_shape(views, view):
    turn = np.linspace(0, 2 * np.pi, 900, endpoint=False)
    x, y = 2.8 + 0.4 * np.cos(turn), -1.6 + 0.3 * np.sin(turn)
    views[0].maps.drawn.take({"type": "poly", "x": x.tolist(), "y": y.tolist()})
    opened(view, values_of(views[0]))
    corners = np.array(view.maps.drawn.outline_um)
    assert 20 < len(corners) <= MOST_CORNERS
    distance = np.hypot((corners[:, 0] - 2.8) / 0.4, (corners[:, 1] + 1.6) / 0.3)
    np.testing.assert_allclose(distance, 1, atol=0.01)
    assert len(urlencode(values_of(views[0]))) < 8000
    views[0].maps.drawn.outline.xs = [float("nan")] * 900
    assert len(values_of(views[0])["outline"]) < 8000
    views[0].maps.drawn.clear()


@pytest.mark.parametrize(
    "values",
    [
        {"pins": "60.0_0.80_-1.3_1.-3_nan.1_1e2.3_99999999999999999999.0_٣.٤_._"},
        {"pins": "30.40.50_30"},
        {"box": "nan_0_1_1"},
        {"box": "2_-2_inf_-1"},
        {"box": "2_-2_1e300_-1"},
        {"box": "2_-2_3"},
        {"box": "1e400_1_2_2"},
        {"outline": "2_-2_3"},
        {"outline": "_".join(["2.5", "-1.5"] * 2)},
        {"outline": "_".join(["2.5", "-1.5"] * (MOST_CORNERS + 1))},
        {"part": "2.5_-1.5_2.5_-1.5"},
        {"part": "2.5_-1.5_2.500001_-1.2"},
        {"part": "-1e9_-1e9_1e9_1e9"},
        {"contrast-od": "nan_1", "contrast-doubt": "1_inf"},
        {"contrast-od": "0.5_0.5", "contrast-doubt": "1_0"},
        {"contrast-od": "0.5", "contrast-doubt": "0_1_2"},
        {"tab": "1", "energy": "13"},
        {"tab": "<script>", "energy": "-1"},
        {"phases": "__class__", "doubt": "<script>", "first": "9999", "mean": "77"},
        {"result": "<script>", "share": "1e9", "energy": "x" * 3000},
    ],
)
def test_values_that_do_not_fit_the_stack_change_nothing(view, values):
    before = values_of(view)
    assert opened(view, {"run": "second", "region": "1", **values}) == ""
    assert values_of(view) == before


def test_three_pixels_are_kept_of_many_and_none_twice(view):
    many = "_".join(["1.1", "1.1", "1.2", *(f"2.{k}" for k in range(500))])
    opened(view, {"run": "second", "region": "1", "pins": many})
    assert [pin[1:] for pin in view.maps.pins] == [(1, 1), (1, 2)]


def test_a_link_of_an_unknown_run_says_so_and_nothing_of_it_is_shown(view):
    said = opened(view, {"run": "<img src=x>", "region": "1", "pins": "30.40"})
    assert "does not have" in said
    assert list(view.maps.pins) == []
    assert "<img" not in view.said.text
    assert "&lt;img" in view.said.text
    assert linked({"pins": "30.40"}) is None
    assert linked({"run": "r" * 5000}) is None


def test_a_link_waits_for_the_first_stack():
    board = Board()
    late = View(board)
    late.parts()
    late._link = linked({"run": "later", "region": "1", "pins": "30.40"})
    late.tick()
    assert values_of(late) == {}
    board.on_maps(made_up.maps(run="later"))
    late.tick()
    assert len(list(late.maps.pins)) == 1


def test_what_restores_a_link_checks_it_itself(view):
    assert "does not have" in restore(view, Link({"run": "other"}))
