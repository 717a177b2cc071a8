"""Histogram, contrast and line profile of the maps, and maps made from chosen energies."""

import made_up_maps as made_up
import numpy as np
import pytest

pytest.importorskip("bokeh", reason="needs the extra stxm-live[web]")

from bokeh.models import Div, TabPanel, Widget

from stxm_live.dashboard import Board
from stxm_live.dashboard.layers import DOUBT_LAYERS, doubt_layer, od_layer
from stxm_live.dashboard.line_profile import profile
from stxm_live.dashboard.scene import Scene
from stxm_live.dashboard.state import Result
from stxm_live.dashboard.style import STYLE
from stxm_live.dashboard.view import View


def scene_of(**changes):
    maps = made_up.maps(find_amounts=made_up.amounts, **changes)
    return Scene.of_result(Result(1, maps, "live", "", maps, 0.0))


@pytest.fixture(scope="module")
def view():
    board = Board()
    board.on_maps(made_up.maps(find_amounts=made_up.amounts))
    view = View(board)
    view.parts()
    view.open_tab(view.contrast.title)
    view.tick()
    return view


def grey_of(view, name="od"):
    pixels = view.maps.figures[name].source.data["image"][0].view(np.uint8)
    return pixels.reshape(60, 80, 4)[::-1, :, 0]  # y descends: the first row is the highest


def test_every_map_with_numbers_is_shown_between_the_limits_that_are_given():
    scene, seen = scene_of(), 0
    for name, _ in DOUBT_LAYERS:
        layer = doubt_layer(scene, name, (0, 4, 9), 2)
        if layer.values is None:
            assert name in ("ambiguous", "rgb", "rgb-maps")
            continue
        low, high = (float(end) for end in np.nanpercentile(layer.values, [30, 60]))
        high = max(high, low + 0.01)
        limited = doubt_layer(scene, name, (0, 4, 9), 2, (low, high))
        assert limited.limits == (low, high)
        values, colors = layer.values.ravel(), limited.image.reshape(-1, 4)
        ends = [np.unique(colors[chosen], axis=0) for chosen in (values <= low, values >= high)]
        assert len(ends[0]) == 1, name
        assert len(ends[1]) == (values >= high).any(), name
        seen += len(ends[1])
        assert not np.array_equal(*ends), name
    assert seen > 4


def test_three_maps_are_red_green_and_blue():
    scene = scene_of()
    maps, names = scene.maps, ("1", "reliability", "")
    layer = doubt_layer(scene, "rgb-maps", (0, 4, 9), channels=names)
    top = np.nanpercentile(maps.reliability, 99)
    shares = maps.amounts.composition[1], np.clip(maps.reliability / top, 0, 1)
    at = maps.specimen & maps.valid
    for k, share in enumerate(shares):
        np.testing.assert_allclose(layer.image[at][:, k], 255 * np.nan_to_num(share[at]), atol=0.51)
    assert not layer.image[at][:, 2].any()
    for text in (f"{maps.phase_names[1]}: 0 to 100 %", "R: 0 to", "nothing"):
        assert text in layer.legend
    unresolved = scene_of(resolved_index=None)
    assert doubt_layer(
        unresolved, "rgb-maps", (0, 4, 9), channels=("value", "0", "counts")
    ).image.any()


def test_a_mean_and_three_colors_are_those_of_their_energies():
    scene = scene_of()
    mean = doubt_layer(scene, "mean", (9, 4, 0))
    np.testing.assert_allclose(mean.values, scene.od[4:10].mean(axis=0), rtol=1e-5)
    assert "6 energies" in mean.meaning
    colors = doubt_layer(scene, "rgb", (0, 4, 9))
    for k, energy in enumerate((0, 4, 9)):
        np.testing.assert_array_equal(
            colors.image[..., k], od_layer(scene, energy).image[..., 0], err_msg=str(k)
        )
        assert f"{scene.energies_ev[energy]:.2f} eV" in colors.legend


def test_the_limits_of_the_slider_are_those_of_the_picture_until_it_is_automatic(view):
    od = view.scene.od[view.maps._energy]
    data = view.contrast.bars.data
    assert np.expm1(data["top"]).sum() == pytest.approx(od.size)
    low, high = 0.4, 0.9
    automatic = grey_of(view).copy()
    view.contrast._limit((low, high))
    view.tick()
    expected = np.rint(255 * np.clip((od - low) / (high - low), 0, 1))
    np.testing.assert_allclose(grey_of(view), expected, atol=1)
    assert (view.contrast.shown.left, view.contrast.shown.right) == (low, high)
    assert tuple(view.contrast.slider.value) == (low, high)
    view.maps.energy.value = 2  # the same limits for all energies
    assert view.maps.layers["od"].limits == (low, high)
    view.contrast._limit((0.7, 0.7))
    assert view.maps.layers["od"].limits == (low, high)
    view.maps.follow.active = True
    view.maps.set_limits("od", None)
    view.tick()
    np.testing.assert_array_equal(grey_of(view), automatic)


@pytest.mark.parametrize("name", ["rgb", "mean", "difference", "composition"])
def test_what_chooses_energies_or_a_phase_has_the_colors_of_the_page(view, name):
    view.maps.doubt.value = name
    for control in view.maps.columns["doubt"].select({"type": Widget}):
        assert STYLE in control.stylesheets, control
    view.maps.doubt.value = "ambiguous"


def test_a_map_without_numbers_says_so(view):
    view.contrast.of.value = "doubt"
    assert "no single number" in view.contrast.words.text
    view.maps.doubt.value = "thickness"
    view.tick()
    assert view.contrast.words.text == ""
    assert view.contrast.histogram.visible
    view.maps.doubt.value = "ambiguous"
    view.contrast.of.value = "od"


@pytest.mark.parametrize("extent_um", [made_up.EXTENT_UM, (3.58, 2.0, -2.18, -1.0)])
def test_a_profile_has_the_values_of_the_pixels_under_the_line(extent_um):
    scene = scene_of(extent_um=extent_um)
    row, column = np.indices((60, 80))
    values = 100.0 * row + column
    ends = scene.centre_of(10, 20), scene.centre_of(10, 50)
    distance, along = profile(scene, values, ends)
    np.testing.assert_allclose(along, 1000 + np.arange(20, 51))
    np.testing.assert_allclose(distance, 0.02 * np.arange(31), atol=1e-9)
    wide = profile(scene, np.where(row == 9, np.nan, values), ends, width_px=3)[1]
    np.testing.assert_allclose(wide, 1050 + np.arange(20, 51))
    outside = profile(scene, values, (scene.centre_of(10, 20), scene.centre_of(10, 120)))[1]
    assert np.isnan(outside[-1])


def test_the_profile_follows_the_line_and_goes_with_it(view):
    view.maps.line.show(view.scene.centre_of(30, 5), view.scene.centre_of(30, 75))
    view.tick()
    (drawn,) = view.contrast.line.lines.data["ys"]
    np.testing.assert_allclose(drawn, view.scene.od[view.maps._energy][30, 5:76], rtol=1e-4)
    assert "1.4 µm" in view.contrast.below.text
    view.maps._clear()
    view.tick()
    assert view.contrast.line.lines.data["ys"] == []
    assert "Draw a line" in view.contrast.below.text


def test_what_no_browser_of_ours_sends_takes_no_memory_and_no_time(view):
    here = view.scene.centre_of(20, 5)
    for there in ((1e15, 0.0), (float("nan"), 0.0), (float("inf"), 1.0), here):
        view.maps.line.show(here, there)
        view.tick()
    view.maps.line.show(here, view.scene.centre_of(20, 75))
    for width in (1e12, float("nan"), -3, None):
        view.contrast.width.value = width
        view.tick()
        assert len(view.contrast.line.lines.data["ys"]) == 1
    view.contrast.width.value = 1
    for limits in ((0.0, float("inf")), (float("nan"), 1.0), (2.0, 1.0)):
        before = view.maps.layers["od"].limits
        view.contrast._limit(limits)
        assert view.maps.layers["od"].limits == before
    view.maps._clear()


def test_a_tab_that_comes_before_the_others_stops_no_histogram(view):
    view.tabs.tabs = [TabPanel(title="First look", child=Div()), *view.tabs.tabs]
    view.open_tab(view.contrast.title)
    view.maps.line.show(view.scene.centre_of(20, 5), view.scene.centre_of(20, 75))
    view.tick()
    assert len(view.contrast.line.lines.data["ys"]) == 1
    view.maps._clear()
