"""Kept pixels, and what a fit leaves of a spectrum, in a page without a browser."""

import made_up_maps as made_up
import numpy as np
import pytest

pytest.importorskip("bokeh", reason="needs the extra stxm-live[web]")

from stxm_live.dashboard import Board
from stxm_live.dashboard.fit import fit_of
from stxm_live.dashboard.scene import Scene
from stxm_live.dashboard.state import Result
from stxm_live.dashboard.view import View


@pytest.fixture(scope="module")
def view():
    view = View(Board())
    view.parts()
    return view


@pytest.fixture
def page(view, request):
    """A page of a stack of its own, a function that moves the mouse, and one that clicks."""
    view.maps.pointer.at = []
    view.board.on_maps(made_up.maps(run=request.node.name))
    view.tick()

    def move(*place):
        where = view.scene.centre_of(*place) if place else ()
        view.maps.pointer.at = ["phases", *where] if place else []
        view.tick()

    def click(row, column):
        view.maps._on_tap("phases", *view.scene.centre_of(row, column))
        view.tick()

    return view, move, click


def drawn(plot):
    """The values of each color's points."""
    data = plot.points.data
    return {
        color: np.array([y for y, c in zip(data["y"], data["color"], strict=True) if c == color])
        for color in data["color"]
    }


def test_kept_pixels_stay_while_the_mouse_shows_another(page):
    view, move, click = page
    for place in ((30, 40), (20, 30), (35, 50)):
        click(*place)
    move(25, 45)
    assert "row 25, column 45" in view.pixel.text.text
    spectra, od = drawn(view.pixel.spectrum), view.scene.od
    np.testing.assert_array_equal(spectra.pop("white"), od[:, 25, 45])
    for pin in view.maps.pins:
        np.testing.assert_array_equal(spectra.pop(pin.color), od[:, pin.row, pin.column])
    assert not spectra
    assert view.maps.pins.source.data["number"] == ["1", "2", "3"]
    for line in ("1: row 30, column 40", "2: row 20, column 30", "3: row 35, column 50"):
        assert line in view.pixel.kept.text
    move()
    assert "row 35, column 50" in view.pixel.text.text
    assert "white" not in drawn(view.pixel.spectrum)
    view.maps.pins.clear()
    view.tick()
    assert not view.pixel.kept.visible
    assert view.maps.pins.source.data["x"] == []


def test_kept_pixels_stay_for_new_images_and_go_with_the_stack(page):
    view, _, click = page
    click(30, 40)
    click(20, 30)
    run = view.scene.key.run_uids[0]
    changed = made_up.maps(run=run, revision=2, od=made_up.maps().od + 1)
    view.board.on_maps(changed)
    view.tick()
    np.testing.assert_array_equal(
        drawn(view.pixel.spectrum)[next(iter(view.maps.pins)).color], changed.od[:, 30, 40]
    )
    fewer = made_up.maps(
        run=run,
        revision=3,
        energies_ev=changed.energies_ev[:9],
        od=changed.od[:9],
        reference_od=changed.reference_od[:, :9],
        shifts_px=changed.shifts_px[:9],
        i0=changed.i0[:9],
    )
    view.board.on_maps(fewer)
    view.tick()
    assert {len(y) for y in drawn(view.pixel.spectrum).values()} == {9}
    view.board.on_maps(made_up.maps(run="another"))
    view.tick()
    assert list(view.maps.pins) == []
    assert list(drawn(view.pixel.spectrum)) == ["white"]


def scene_of(**changes):
    maps = made_up.maps(**changes)
    return Scene.of_result(Result(1, maps, "live", "", maps, 0.0))


def test_a_mixture_leaves_nothing_and_a_line_of_something_else_is_seen():
    scene = scene_of()
    od = 0.8 * scene.reference_od[0] + 1.3 * scene.reference_od[3] - 0.2
    np.testing.assert_allclose(fit_of(scene, od, 1).residual, 0, atol=1e-9)
    od[11] += 0.3
    residual = fit_of(scene, od, 1).residual
    assert np.abs(residual).argmax() == 11
    od[2] = np.nan
    assert np.isnan(fit_of(scene, od, 1).residual[2])
    od[:7] = np.nan
    assert fit_of(scene, od, 1) is None


def test_the_noise_of_a_pixel_is_that_of_the_maps_and_of_a_mean_what_i0_leaves():
    n = len(made_up.ENERGIES_EV)
    scene = scene_of(dispersion=1.2, i0_std=np.full(n, 3.0))
    fit = fit_of(scene, scene.od[:, 30, 40], 1)
    np.testing.assert_allclose(fit.std, scene.maps.od_std[:, 30, 40], rtol=1e-5)
    many = fit_of(scene, scene.od[:, 30, 40], 10**9)
    np.testing.assert_allclose(many.std, 3.0 / scene.i0, rtol=1e-3)


def test_the_mean_of_a_phase_is_shown_with_what_its_fit_leaves(page):
    view, move, _ = page
    view.pixel.mean_of.value = "2"
    view.tick()
    maps = view.scene.maps
    of_phase = maps.final_index == 2
    assert f"all of {maps.phase_names[2]}</b>: {of_phase.sum()} pixels" in view.pixel.text.text
    np.testing.assert_allclose(
        drawn(view.pixel.spectrum)["white"], maps.od[:, of_phase].mean(axis=1), rtol=1e-5
    )
    assert np.abs(drawn(view.pixel.residual)["white"]).max() < 0.05
    move(25, 45)
    assert "row 25, column 45" in view.pixel.text.text
    move()
    assert "all of" in view.pixel.text.text
    view.pixel.mean_of.value = ""
    view.tick()
    assert "mean of the specimen" in view.pixel.below.text
