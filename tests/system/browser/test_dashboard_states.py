"""The dashboard in the states of an evening, at three widths, light and dark: what it says, and
that no text lies over another one or is cut."""

import os
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import made_up_maps as made_up
import numpy as np
import pytest
from dashboard_page import Opened, launch, some_pixels
from PIL import Image

pytest.importorskip("bokeh", reason="needs the extra stxm-live[web]")

from stxm_live.adaptive.chooser import RegionChooser
from stxm_live.core.region import Region
from stxm_live.dashboard import Board, serve
from stxm_live.live.progress import Progress

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SIZES = ((390, 844), (1280, 800), (1920, 1080))
LOOKS = [(*size, scheme) for size in SIZES for scheme in ("light", "dark")]
WIDTHS = [(390, 844, "dark"), (1280, 800, "light"), (1920, 1080, "dark")]
NARROW = WIDTHS[:1]
"""Maps with their verdict have the most texts and are seen at all widths."""


def suggest(maps, scanned):
    """Five regions with long reasons."""
    reason = "boundary Na2.4VPF/Na2VPF, 32 % ambiguous, 0.41 µm²"
    x0, y0 = maps.extent_um[0], maps.extent_um[2]
    return [
        Region(
            (x0 + 0.1 * k, x0 + 0.1 * k + 0.4),
            (y0, y0 - 0.4),
            nx=60,
            ny=60,
            criterion="ambiguous",
            reason=reason,
            expected_gain=52.0,
            minutes=14.0,
            dose_mgy=1.3,
        )
        for k in range(1, 6)
    ]


CORNERS_OF_PLOTS = """() => {
    const found = (node) => [...node.querySelectorAll("*")].flatMap((each) => {
        const box = each.getBoundingClientRect();
        return [...(each.shadowRoot === null ? [] : found(each.shadowRoot)),
            ...(each.matches(".bk-Canvas") && box.width > 200 ? [[box.x, box.y, box.width]] : [])];
    });
    return found(document);
}"""


SLIDERS_ARE_NAMED = """() => {
    const names = (node) => [...node.querySelectorAll("*")].flatMap((each) => [
        ...(each.shadowRoot === null ? [] : names(each.shadowRoot)),
        ...(each.matches("[role=slider]") ? [each.ariaLabel] : [])]);
    return names(document).sort().join() === "bright,dark,photon energy";
}"""


IS_BELOW = """number => {
    const map = document.querySelector(`.maps > :nth-child(${number})`).getBoundingClientRect();
    return Math.abs(document.querySelector(".pixel").getBoundingClientRect().top - map.bottom) < 20;
}"""


@pytest.fixture(scope="module")
def evening():
    """A page, and what it shows: board, chooser and RunEngine are moved on by the tests."""
    board, engine = Board(), SimpleNamespace(state="idle")
    with RegionChooser(suggest=suggest) as chooser:
        served = serve(board, chooser=chooser, run_engine=engine)
        for browser in launch():
            page = Opened(browser, served.url)
            yield page, board, chooser, engine
            page.page.close()
        served.close()


def check(page, state, looks=NARROW):
    """Look for texts that lie over one another at the size of the page, and at these."""
    folder = os.environ.get("STXM_LIVE_SCREENSHOTS")
    assert page.faults_of_texts() == [], state
    for width, height, scheme in LOOKS if folder else looks:
        page.look(width, height, scheme)
        faults = page.faults_of_texts()
        if folder:
            path = Path(folder) / f"{state}-{width}-{scheme}.png"
            page.page.screenshot(path=str(path), full_page=True)
        assert faults == [], (state, width, scheme)
    page.look(1280, 800)


def test_an_empty_page_waits_for_a_stack(evening):
    page, *_ = evening
    page.says("verdict", "Waiting for the first image")
    check(page, "empty")


@pytest.mark.parametrize("n", [1, 12])
def test_a_scan_says_how_far_it_is(evening, n):
    page, board, *_ = evening
    board.on_cube(made_up.view(n - 1, run="first"))
    page.says("verdict", f"energy {n} of 13")
    page.says("progress", f"{n} of 13 energies, about")
    check(page, f"scan{n}")


def test_a_paused_scan_promises_no_time(evening):
    page, board, _, engine = evening
    engine.state = "paused"
    said = page.says("verdict", "Paused since")
    assert "RE.resume()" in said
    page.says("progress", "12 of 13 energies", without="left")
    check(page, "paused")
    engine.state = "running"
    board.on_cube(made_up.view(11, run="first"))  # for it is silent after 90 s
    page.says("verdict", "Scanning")


def test_a_scan_without_new_images_says_so(evening):
    page, board, *_ = evening
    board.now = replace(board.now, came_s=board.now.came_s - 3600)
    page.says("verdict", "No new image for 1 h")
    page.says("progress", "no new image")
    check(page, "silent")


def test_maps_have_their_verdict_and_the_time_at_which_they_were_made(evening):
    page, board, chooser, engine = evening
    engine.state = "idle"
    maps = made_up.maps(run="first")
    board.on_maps(maps)
    chooser.on_maps(maps)
    page.says("verdict", maps.quality.cause)
    page.says("progress", "finished, mapped at")
    page.says("suggestion", "boundary")
    check(page, "finished", WIDTHS)


def test_three_kept_pixels_stand_beside_the_one_under_the_mouse(evening):
    page, *_ = evening
    maps = made_up.maps(run="first")
    pixels = some_pixels(maps)
    for row, column in pixels[2:9:3]:
        page.hover("phases", maps, row, column)
        page.page.mouse.click(*page.place("phases", maps, row, column))
        page.says("pins", f"row {row}, column {column}")
    page.hover("od", maps, *pixels[6])
    said = page.says("pins", "3: row")
    assert "1: row" in said
    check(page, "kept")
    page.press("Clear pins")
    page.page.wait_for_selector(".pins", state="hidden")


def test_a_click_is_kept_however_long_the_button_is_held_and_however_soon_the_next_comes(evening):
    page, *_ = evening
    maps = made_up.maps(run="first")
    slow, *quick = some_pixels(maps)[2:9:3]
    page.hover("phases", maps, *slow)
    page.page.mouse.click(*page.place("phases", maps, *slow), delay=800)
    page.says("pins", f"row {slow[0]}, column {slow[1]}")
    for pixel in quick:
        page.page.mouse.click(*page.place("phases", maps, *pixel))
    for pixel in quick:
        page.says("pins", f"row {pixel[0]}, column {pixel[1]}")
    page.press("Clear pins")
    page.page.wait_for_selector(".pins", state="hidden")


def test_on_a_phone_the_spectrum_comes_below_the_map_that_was_touched(evening):
    page, *_ = evening
    maps = made_up.maps(run="first")
    pixel = some_pixels(maps)[6]
    page.look(390, 844)
    page.settled_place("od", maps, *pixel, quiet_ms=5000)  # the maps get their new width
    for number, name in ((1, "od"), (3, "doubt"), (2, "phases")):
        page.page.locator(f".map-{name}").scroll_into_view_if_needed()
        place = page.settled_place(name, maps, *pixel)
        page.page.mouse.click(*place)
        page.page.wait_for_function(IS_BELOW, arg=number)
        stays = pytest.approx(place, abs=1)
        assert page.settled_place(name, maps, *pixel) == stays  # the map did not move
    page.press("Clear pins")
    page.page.wait_for_selector(".pins", state="hidden")
    page.look(1280, 800)


def test_a_drawn_line_has_its_profile_beside_the_histogram(evening):
    page, *_ = evening
    maps = made_up.maps(run="first")
    page.page.get_by_text("Contrast and profile", exact=True).click()
    page.page.get_by_text("Draw a line", exact=True).click()
    page.page.wait_for_timeout(500)
    page.page.mouse.move(*page.place("phases", maps, 30, 10))
    page.page.mouse.down()
    page.page.mouse.move(*page.place("phases", maps, 30, 60), steps=4)
    page.page.mouse.up()
    page.page.get_by_text("to the last point, 1 µm").wait_for()
    page.page.wait_for_function(SLIDERS_ARE_NAMED)
    page.choose("doubt-layer", "rgb")
    page.page.locator(".map-doubt .legend").get_by_text("532.20 eV").wait_for()
    check(page, "contrast")
    page.choose("doubt-layer", "ambiguous")
    page.press("Remove drawing")
    page.page.get_by_text("for the values along it").wait_for()
    page.page.get_by_text("Zoom in", exact=True).click()


def test_a_plan_that_waits_for_a_choice_calls_on_top(evening):
    page, _, chooser, _ = evening
    chooser.question, chooser.question_left_s = "the next region of sample B", 580.0
    assert "Waiting for your choice" in page.says("ask", "9 min 40 s left")
    check(page, "waiting")
    chooser.question = ""
    page.page.wait_for_selector(".ask", state="hidden")


def test_an_older_result_is_not_taken_for_the_scan_that_is_running(evening):
    page, board, *_ = evening
    page.choose("show", "1")
    board.on_cube(made_up.view(3, run="second", progress=Progress(4, 13, 30.0)))
    said = page.says("elsewhere", "Being scanned now")
    assert "second" in said
    assert "4 of 13 energies" in said
    page.says("progress", "finished, mapped at")
    page.says("subline", "first")
    check(page, "pinned")
    page.press("Show the newest")
    page.says("verdict", "energy 4 of 13")
    page.says("progress", "4 of 13 energies")


def test_a_failed_analysis_is_told_and_is_over_with_the_next_stack(evening):
    page, board, *_ = evening
    board.on_error("second", ValueError("no I0 was found: no empty part in the field"))
    assert "The scan goes on" in page.says("verdict", "no I0 was found")
    board.say(note="Not done (making new maps): the box holds no pixel")
    page.says("said", "the box holds no pixel")
    check(page, "failed")
    board.on_cube(made_up.view(1, run="third"))
    page.says("verdict", "energy 2 of 13")
    page.page.get_by_text("the box holds no pixel").wait_for(state="hidden")


def test_maps_of_an_aborted_scan_are_called_incomplete(evening):
    page, board, *_ = evening
    board.on_maps(made_up.maps(run="third", status="incomplete", resolved_index=None))
    page.says("verdict", "map of an incomplete scan")
    page.says("subline", "incomplete")
    check(page, "aborted")


def test_a_plot_keeps_no_line_of_the_colors_before(evening):
    page, *_ = evening
    page.look(1280, 800, "dark")
    page.look(1280, 800)
    page.page.wait_for_timeout(500)
    picture = np.asarray(Image.open(BytesIO(page.page.screenshot())).convert("L"))
    seen = [
        picture[int(y), int(x) + 5 : int(x + width) - 5]
        for x, y, width in page.page.evaluate(CORNERS_OF_PLOTS)
        if y < 700
    ]
    assert len(seen) > 3
    assert min(np.median(row) for row in seen) > 245


def test_the_switch_turns_the_page_dark(evening):
    page, *_ = evening
    color = "getComputedStyle(document.body).backgroundColor"
    before = page.page.evaluate(color)
    page.page.get_by_title("light or dark page").click()
    assert page.page.evaluate(color) != before
