"""The dashboard in a real browser while a simulated scan runs: pixels and words, against
the `PhaseMaps`."""

import re
import time
from dataclasses import replace
from urllib.parse import urlsplit

import made_up_maps as made_up
import numpy as np
import pytest
from dashboard_page import Opened, expected_colors, launch, rgb, some_pixels, until
from made_up_maps import HOSTILE, hostile_maps
from particles import image_documents

pytest.importorskip("bokeh", reason="needs the extra stxm-live[web]")

from stxm_live import LivePhaseMapper, Recipe
from stxm_live.adaptive.chooser import RegionChooser
from stxm_live.core.amount_words import share_in_words
from stxm_live.dashboard import Board, serve
from stxm_live.plotting.style.palette import AMBIGUOUS, GROUND, SPECIMEN

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def browser():
    yield from launch()


@pytest.fixture(scope="module")
def scanned(browser):
    """A scan that two browsers followed from its first image on, and its maps."""
    recipe = Recipe.load("nvpf").with_changes({"energy_fit": False})
    with LivePhaseMapper(recipe) as live, RegionChooser(live) as chooser:
        served = serve(live, chooser=chooser)
        first, second = Opened(browser, served.url), Opened(browser, served.url)
        said = {"before": first.says("verdict", "Waiting")}
        documents = list(image_documents())
        for document in documents[:8]:  # six images
            live(*document)
        said["verdict"] = first.says("verdict", "energy 6 of 13")
        said["progress"] = first.says("progress", "6 of 13 energies")
        said["phases"] = first.says("map-phases .legend", " or ")
        second.page.close()
        for document in documents[8:]:
            live(*document)
        maps = live.wait(documents[0][1]["uid"], timeout_s=60)
        first.says("subline", f"revision {maps.revision}")
        first.choose("outlined", False, "active")  # lines would lie over pixels
        yield first, maps, said, chooser, served
        first.page.close()
        served.close()


@pytest.fixture(scope="module")
def late(browser, scanned):
    """The page of a browser that joined when the scan was over."""
    page = Opened(browser, scanned[-1].url, size=(1920, 1080))
    page.says("subline", "complete")
    page.choose("outlined", False, "active")
    yield page
    page.page.close()


@pytest.fixture(scope="module")
def one_board(browser):
    board = Board()
    served = serve(board)
    page = Opened(browser, served.url)
    yield page, board
    page.page.close()
    served.close()


@pytest.fixture
def boarded(one_board):
    """Show results in a page that shows one stack after the other, and its board."""
    page, board = one_board

    def call(*results):
        for maps in results:
            board.on_maps(maps)
        return page, board

    return call


def test_the_page_tells_how_far_the_scan_is_and_follows_it(scanned):
    page, maps, said, _, _ = scanned
    assert "first image" in said["before"]
    assert "energy 6 of 13" in said["verdict"]
    assert "6 of 13 energies" in said["progress"]
    assert "Na1VPF or Na1-yVPF" in said["phases"]  # not distinguished by six energies
    assert maps.quality.cause in page.says("verdict")
    assert "complete" in page.says("subline")


ALL_NAMED = """() => {
    const nameless = (node) => [...node.querySelectorAll("*")].some((each) =>
        (each.shadowRoot !== null && nameless(each.shadowRoot))
        || (each.matches("select, input, [role=slider], .bk-spin-btn") && !each.ariaLabel
            && !each.labels?.length));
    return document.querySelector("select, main") !== null && !nameless(document);
}"""


def test_every_list_box_and_slider_has_a_name_for_a_screen_reader(scanned):
    scanned[0].page.wait_for_function(ALL_NAMED)


def test_every_pixel_has_the_color_of_its_phase(scanned):
    page, maps, *_ = scanned
    pixels = [*some_pixels(maps), (0, 0), (59, 3)]
    page.wait_for_colors("phases", maps, pixels, expected_colors(maps, maps.final_index, pixels))
    page.choose("phases-layer", "phase_index")
    page.wait_for_colors("phases", maps, pixels, expected_colors(maps, maps.phase_index, pixels))
    page.choose("phases-layer", "final")


def test_ambiguous_pixels_are_seen(scanned):
    page, maps, *_ = scanned
    pixels = [p for p in some_pixels(maps, 20) if not maps.unidentified[tuple(p)]]
    expected = [rgb(AMBIGUOUS if maps.ambiguous[r, c] else SPECIMEN) for r, c in pixels]
    assert len({tuple(color) for color in expected}) == 2
    page.wait_for_colors("doubt", maps, pixels, expected)


def test_the_difference_of_two_energies_is_seen(scanned):
    page, maps, *_ = scanned
    page.choose("doubt-layer", "difference")
    page.choose("first", "0")
    page.choose("second", "4")
    difference = maps.od[4] - maps.od[0]
    page.page.locator(".map-doubt .legend").get_by_text("OD").wait_for()
    row, column = np.unravel_index(np.nanargmax(difference), difference.shape)

    def is_red():
        red, _, blue = page.colors("doubt", maps, [(row, column)])[0]
        return int(red) > int(blue) + 60

    page.until(is_red)
    page.choose("doubt-layer", "ambiguous")


def test_the_mouse_over_a_pixel_tells_its_numbers(scanned):
    page, maps, *_ = scanned
    for row, column in [*some_pixels(maps, 5), np.argwhere(maps.ambiguous)[3]]:
        text, table = page.hover("phases", maps, row, column)
        name = maps.phase_names[maps.resolved_index[row, column]]
        mixture = r"( \(or a mixture of [^)]+\))?"
        assert re.search(rf"{re.escape(name)}{mixture}, wrong with probability", text)
        wrong = float(re.search(r"probability ([\d.]+)", text)[1])
        assert wrong == pytest.approx(maps.wrong_probability[row, column], abs=6e-4)
        assert f"{maps.counts[row, column]:.0f} counts per energy" in text
        assert ("ambiguous:" in text) == maps.ambiguous[row, column]
        lines = [line.split() for line in table.splitlines()[1:]]
        for k, (phase, pearson, probability, *share) in enumerate(lines):
            assert phase == maps.phase_names[k]
            assert float(pearson) == pytest.approx(maps.correlation[k, row, column], abs=6e-4)
            assert float(probability) == pytest.approx(maps.probability[k, row, column], abs=6e-4)
            amounts = maps.amounts
            words = share_in_words(
                amounts.composition[k, row, column],
                amounts.composition_std[k, row, column],
                distinguished="to" not in share,
            )
            assert " ".join(share) == words
    assert "no specimen" in page.hover("phases", maps, 0, 0)[0]


def test_the_spectrum_of_the_pixel_is_drawn(scanned):
    page, maps, *_ = scanned
    row, column = some_pixels(maps)[5]
    page.hover("od", maps, row, column)
    page.page.wait_for_function(
        """spectrum => {
            const drawn = Bokeh.documents[0].get_model_by_name("spectrum-points").data.y;
            return drawn.length === spectrum.length
                && spectrum.every((od, k) => Math.abs(drawn[k] - od) <= 1e-6 * Math.abs(od));
        }""",
        arg=maps.od[:, row, column].tolist(),
    )


def test_a_box_that_is_drawn_is_chosen_at_the_press_of_a_button_only(scanned):
    page, maps, _, chooser, _ = scanned
    page.page.get_by_text("Draw a box", exact=True).click()
    page.drag("phases", maps, (15, 20), (35, 50), held_ms=800)
    page.page.get_by_text("not chosen yet").wait_for()
    assert chooser.latest() is None

    def is_outlined():
        across = page.colors("phases", maps, [(25, column) for column in np.arange(18, 22, 0.2)])
        # a light line and a dark one
        return (across.min(axis=1) > 220).any() and (across.max(axis=1) < 50).any()

    page.until(is_outlined)
    page.press("Scan the drawn box next")
    page.says("chosen", "Next:")
    region = chooser.latest()
    step = 0.03
    np.testing.assert_allclose(sorted(region.x_extent_um), [20.5 * step, 50.5 * step], atol=step)
    # y descends: row 15 lies at 1.77 - 15 * 0.03
    np.testing.assert_allclose(
        sorted(region.y_extent_um), [1.77 - 35 * step, 1.77 - 15 * step], atol=step
    )
    page.press("Withdraw")
    page.says("chosen", "Nothing is chosen")
    assert chooser.latest() is None


def test_a_suggestion_is_taken(scanned):
    page, _, _, chooser, _ = scanned
    page.press("Take 1")
    page.says("chosen", "Next:")
    assert chooser.latest() == chooser.suggestions[0]
    page.press("Withdraw")
    page.says("chosen", "Nothing is chosen")


def test_maps_made_by_hand_are_those_of_redo_and_are_called_changed(scanned):
    page, maps, *_ = scanned
    page.page.get_by_text("Change the maps", exact=True).click()
    page.choose("offset", 0.3)
    page.page.wait_for_timeout(200)
    page.press("Make new maps")
    assert "energies +0.3 eV" in page.says("subline", "changed by hand")
    redone = maps.redo({"energy_offset_ev": 0.3})
    pixels = some_pixels(maps, 30)
    assert (redone.final_index != maps.final_index).any()
    page.wait_for_colors("phases", maps, pixels, expected_colors(maps, redone.final_index, pixels))
    page.press("Undo")
    page.wait_for_colors("phases", maps, pixels, expected_colors(maps, maps.final_index, pixels))
    page.press("Redo")
    page.wait_for_colors("phases", maps, pixels, expected_colors(maps, redone.final_index, pixels))
    page.press("Start over")
    page.choose("show", "0")


def test_a_change_that_cannot_be_made_is_a_sentence(scanned):
    page, maps, *_ = scanned
    page.page.get_by_text("Change the maps", exact=True).click()
    page.choose("left-out", [f"{energy:.2f}" for energy in maps.energies_ev[:-1]])
    page.page.wait_for_timeout(200)
    page.press("Make new maps")
    assert "Not done" in page.says("said", "Not done")
    page.press("Start over")


def test_arrow_keys_move_the_image_while_they_are_switched_on(scanned):
    page, *_ = scanned
    page.page.get_by_text("Change the maps", exact=True).click()
    page.press("Move an image")
    page.page.get_by_text("Arrow keys move the image").wait_for()
    for key in ("ArrowRight", "ArrowRight", "Shift+ArrowUp"):
        page.page.keyboard.press(key)
    page.page.get_by_text("eV moved by -1 rows, +0.5 columns").wait_for()  # y descends
    page.press("Make new maps")
    page.says("said", "of a catalogue only")
    page.press("Start over")
    page.press("Move an image")
    page.page.keyboard.press("ArrowRight")
    page.page.get_by_text("eV moved by").wait_for(state="hidden")


def test_a_browser_that_joins_late_sees_the_same_and_asks_only_this_machine(scanned, late):
    maps = scanned[1]
    pixels = some_pixels(maps)
    late.wait_for_colors("phases", maps, pixels, expected_colors(maps, maps.final_index, pixels))
    outside = [
        u for u in late.requests if not u.startswith(("http://127.0.0.1:", "data:", "blob:"))
    ]
    assert outside == []
    assert late.complaints == []


@pytest.mark.parametrize("extent_um", [made_up.EXTENT_UM, (3.58, 2.0, -2.18, -1.0)])
def test_maps_lie_right_wherever_the_axes_point(boarded, extent_um):
    maps = made_up.maps(extent_um=extent_um, run=f"from {extent_um[0]}")
    page, _ = boarded(maps)
    pixels = some_pixels(maps)
    page.wait_for_colors("phases", maps, pixels, expected_colors(maps, maps.final_index, pixels))
    row, column = pixels[3]
    page.hover("phases", maps, row, column)


def test_a_mouse_that_rests_while_another_field_comes_is_still_heard(boarded):
    first = made_up.maps(run="first")
    page, board = boarded(first)
    page.hover("phases", first, 20, 30)
    mirrored = made_up.maps(run="mirrored", extent_um=(3.58, 2.0, -2.18, -1.0))
    board.on_maps(mirrored)
    page.says("pixel-text", without="row 20, column 30")
    page.hover("phases", mirrored, 39, 49)  # the same place on the screen


def test_a_lost_connection_is_told_and_the_page_comes_back_with_the_dashboard(browser):
    def serving(port=0):
        board = Board()
        board.on_maps(made_up.maps(run="again" if port else "before"))
        return serve(board, port=port, token="the same")

    served = serving()
    page = Opened(browser, served.url)
    page.says("subline", "before")
    served.close()
    page.page.get_by_role("alert").get_by_text("no longer updated").wait_for()
    again = serving(urlsplit(served.url).port)
    page.page.get_by_role("alert").wait_for(state="detached")
    page.says("subline", "again")
    page.page.close()
    again.close()


def test_the_address_shows_another_browser_the_same(browser, scanned):
    page, maps, *_ = scanned
    row, column = some_pixels(maps)[3]
    page.hover("od", maps, row, column)
    page.page.mouse.click(*page.place("od", maps, row, column))
    page.choose("doubt-layer", "reliability")
    page.page.get_by_title("light or dark page").click()
    page.page.wait_for_url(f"**pins={row}.{column}**")
    page.page.wait_for_url("**doubt=reliability**")
    other = Opened(browser, page.page.url)
    assert f"1: row {row}, column {column}" in other.says("pins", "1: row")
    other.page.locator(".map-doubt .meaning").get_by_text("best minus second-best").wait_for()
    assert other.page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert other.complaints == []
    other.page.close()
    page.page.get_by_title("light or dark page").click()
    page.choose("doubt-layer", "ambiguous")
    page.press("Clear pins")


def test_a_choice_made_in_one_browser_is_seen_and_withdrawn_in_another(scanned, late):
    first, _, _, chooser, _ = scanned
    first.page.get_by_text("Next region", exact=True).click()
    other = late
    other.says("suggestion", "labels corrected")
    other.press("Take 2")
    first.says("chosen", "Next:")
    assert chooser.latest() == chooser.suggestions[1]
    first.press("Take 1")
    until(lambda: chooser.latest() == chooser.suggestions[0])
    other.press("Withdraw")
    first.says("chosen", "Nothing is chosen")
    assert chooser.latest() is None


def test_a_box_without_size_and_one_beyond_the_limits_are_refused(scanned):
    page, maps, _, chooser, _ = scanned
    page.page.get_by_text("Next region", exact=True).click()
    page.page.get_by_text("Draw a box", exact=True).click()
    page.drag("phases", maps, (15, 20), (15, 50))
    page.press("Scan the drawn box next")
    page.says("chosen", "the box has no size in y")
    page.page.get_by_text("Remove drawing", exact=True).click()
    chooser.limits_um = ((0.0, 1.0), (0.0, 2.0))
    page.drag("phases", maps, (15, 20), (35, 50))
    page.press("Scan the drawn box next")
    page.says("chosen", "beyond the limits, 0 to 1 um")
    chooser.limits_um = None
    page.page.get_by_text("Remove drawing", exact=True).click()
    page.page.mouse.click(*page.place("phases", maps, 20, 20))
    page.press("Scan the drawn box next")
    page.says("chosen", "draw a box first")
    assert chooser.latest() is None


def test_hostile_names_are_shown_and_not_obeyed(boarded):
    maps = hostile_maps()
    page, board = boarded(maps)
    row, column = some_pixels(maps)[4]
    page.hover("phases", maps, row, column)
    for name in HOSTILE:
        page.says("pixel-table", name.split()[0])
    board.on_error(maps.key.run_uids[0], ValueError("<img src=x onerror='window.hacked = 1'>"))
    page.says("notes", "<img src=x")
    assert page.page.evaluate("window.hacked") is None
    assert page.complaints == []


def test_incomplete_maps_and_an_empty_field_are_told(boarded):
    whole = made_up.maps(run="empty")
    nothing = np.zeros_like(whole.specimen)
    none = np.full_like(whole.resolved_index, -1)
    empty = replace(
        whole,
        status="incomplete",
        specimen=nothing,
        ambiguous=nothing,
        unidentified=nothing,
        phase_index=none,
        resolved_index=none,
    )
    page, _ = boarded(empty)
    page.says("subline", "incomplete")
    page.says("map-phases .legend", "no specimen in the field")
    page.wait_for_colors("phases", empty, [(30, 40)], [rgb(GROUND)])


def test_an_earlier_result_is_shown_beside_the_maps(boarded):
    newest = made_up.maps(run="newest")
    other = np.where(newest.specimen, (newest.resolved_index + 1) % 5, -1).astype(np.int8)
    earlier = made_up.maps(run="earlier", resolved_index=other)
    page, board = boarded(earlier, newest)
    page.says("subline", "newest")
    page.choose("compare-with", str(board.now.results[-2].number))
    page.page.wait_for_selector(".compared")
    pixels = some_pixels(newest)
    page.wait_for_colors("compare", earlier, pixels, expected_colors(newest, other, pixels))
    page.wait_for_colors(
        "phases", newest, pixels, expected_colors(newest, newest.final_index, pixels)
    )
    page.choose("compare-with", "0")


def test_1024_rows_and_columns_are_usable(boarded):
    maps = made_up.maps(shape=(1024, 1024), extent_um=(0.0, 20.46, 0.0, 20.46), run="large")
    page, _ = boarded(maps)
    page.page.wait_for_function(
        "Bokeh.documents[0].get_model_by_name('phases-image').data.image[0].shape[1] === 1024"
    )
    for row, column in some_pixels(maps, 4):
        deadline, got = time.monotonic() + 120, (-100, -100)
        while abs(np.subtract(got, (row, column))).max() > 5:  # a quarter of a screen pixel each
            assert time.monotonic() < deadline, f"row {got[0]}, column {got[1]} is shown"
            x, y = page.place("phases", maps, row, column)  # the page may still settle
            page.page.mouse.move(x, y)
            page.page.wait_for_timeout(100)
            text = page.says("pixel-text", "row ")
            got = [int(n) for n in re.search(r"row (\d+), column (\d+)", text).groups()]
        assert f"{maps.phase_names[maps.resolved_index[tuple(got)]]}, wrong" in text


def test_a_failed_analysis_is_told_on_top(boarded):
    page, board = boarded()
    board.on_cube(made_up.view(4, run="failing"))
    board.on_error("failing", ValueError("no I0 can be had"))
    said = page.says("verdict", "Analysis failed")
    assert "no I0 can be had" in said
    assert "The scan goes on" in said
