"""The page in a real browser: what is seen and said there, against the `PhaseMaps`."""

import re
import time
from dataclasses import replace
from io import BytesIO

import made_up_maps as made_up
import numpy as np
import pytest
from dashboard_page import PATIENCE_MS, launch, pixel_on_screen
from made_up_maps import HOSTILE, hostile_maps
from PIL import Image

from stxm_live.dashboard import write_page
from stxm_live.plotting.style.palette import AMBIGUOUS, GROUND, SPECIMEN, phase_colors

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FRAME = """name => {
    const view = [...Bokeh.index].find(view => view.model.name === name);
    const box = view.el.getBoundingClientRect();
    const {left, top, width, height} = view.frame.bbox;
    return [box.x + left, box.y + top, width, height];
}"""


@pytest.fixture(scope="module")
def browser():
    yield from launch()


class Opened:
    """A page on the screen, with what it asked for and complained of."""

    def __init__(self, browser, path):
        self.page = browser.new_page(viewport={"width": 1640, "height": 1400})
        self.page.set_default_timeout(PATIENCE_MS)
        self.requests, self.complaints = [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "console",
            lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None,
        )
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-ready]")
        self.painted(300)

    def painted(self, ms):
        """Wait so long, and for two frames more: Bokeh paints with the next one."""
        self.page.wait_for_timeout(ms)
        self.page.evaluate(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    def place(self, name, maps, row, column):
        """Where the middle of a pixel is on the screen while the whole field is shown."""
        return pixel_on_screen(self.page.evaluate(FRAME, name), maps, row, column)

    def hover(self, name, maps, row, column, *, off_by=0, kept=None):
        """Move the mouse to a pixel until the page describes it, or the one that was kept."""
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while True:
            self.page.mouse.move(*self.place(name, maps, row, column))
            self.painted(80)
            text = self.page.inner_text("#pixel-text")
            got = [int(n) for n in re.findall(r"(?:row|column) (\d+)", text)]
            if len(got) >= 2 and abs(np.subtract(got[:2], kept or (row, column))).max() <= off_by:
                return text, self.page.inner_text("#pixel-table")
            assert time.monotonic() < deadline, f"row {row}, column {column}: {text}"

    def picture(self):
        self.page.mouse.move(2, 2)
        self.painted(200)
        return np.asarray(Image.open(BytesIO(self.page.screenshot())).convert("RGB"))


@pytest.fixture(scope="module")
def plain(browser, tmp_path_factory):
    """Made-up maps with all that a page can show, and a page of them that the tests share."""
    maps = made_up.maps()
    probability = np.random.default_rng(1).dirichlet(np.ones(5), (60, 80)).transpose(2, 0, 1)
    other = np.where(maps.specimen, (maps.resolved_index + 1) % 5, -1).astype(np.int8)
    maps = replace(
        maps,
        probability=probability.astype(np.float32),
        corrected_index=other,
        corrected_wrong_probability=np.full(other.shape, 0.25, dtype=np.float32),
    )
    path = write_page(maps, tmp_path_factory.mktemp("pages") / "page.html")
    page = Opened(browser, path)
    yield maps, page
    page.page.close()


@pytest.fixture
def opened(browser, tmp_path):
    pages = []

    def call(maps):
        pages.append(Opened(browser, write_page(maps, tmp_path / "page.html")))
        return pages[-1]

    yield call
    for each in pages:
        each.page.close()


def rgb(color):
    return [int(color[k : k + 2], 16) for k in (1, 3, 5)]


def some_pixels(maps, n=12):
    inside = np.argwhere(maps.specimen)
    return inside[:: len(inside) // n]


@pytest.mark.parametrize("axes", ["y descends", "x descends"])
def test_every_pixel_has_the_color_of_its_phase_wherever_the_axes_point(opened, plain, axes):
    maps, page = plain
    if axes == "x descends":
        maps = made_up.maps(extent_um=(3.58, 2.0, -2.18, -1.0))
        page = opened(maps)
    picture = page.picture()
    colors = np.rint(255 * phase_colors(maps.phase_names))
    seen = {"resolved_index": maps.resolved_index, "phase_index": maps.phase_index}
    for name, index in seen.items():
        for row, column in [*some_pixels(maps), (0, 0), (59, 3)]:
            x, y = page.place(name, maps, row, column)
            k = index[row, column]
            expected = colors[k] if k >= 0 else rgb(GROUND)
            np.testing.assert_allclose(picture[int(y), int(x)], expected, atol=1)
    for row, column in some_pixels(maps):
        x, y = page.place("ambiguous", maps, row, column)
        if not maps.unidentified[row, column]:
            expected = rgb(AMBIGUOUS if maps.ambiguous[row, column] else SPECIMEN)
            np.testing.assert_allclose(picture[int(y), int(x)], expected, atol=1)


def test_the_mouse_over_a_pixel_tells_its_numbers(plain):
    maps, page = plain
    pixels = [*some_pixels(maps, 6), np.argwhere(maps.ambiguous)[3]]
    for row, column in pixels:
        text, table = page.hover("phase_index", maps, row, column)
        assert f"row {row}, column {column}:" in text
        x_um = 2.0 + column * 0.02
        assert abs(float(re.search(r"x (\S+),", text)[1]) - x_um) < 0.001
        assert "counts per energy 1000" in text
        name = maps.phase_names[maps.phase_index[row, column]]
        assert f"by correlation {name}, R" in text
        shown = float(re.search(r"R (-?[\d.]+)", text)[1])
        assert abs(shown - maps.reliability[row, column]) <= 0.016
        wrong = float(re.search(r"probability ([\d.]+)", text)[1])
        assert abs(wrong - maps.wrong_probability[row, column]) <= 0.0031
        assert ("ambiguous:" in text) == maps.ambiguous[row, column]
        lines = [line.split() for line in table.splitlines()[1:]]
        for k, (phase, pearson, share) in enumerate(lines):
            assert phase == maps.phase_names[k]
            assert abs(float(pearson) - maps.correlation[k, row, column]) <= 0.00101
            assert abs(float(share) - maps.probability[k, row, column]) <= 0.0031
    text, _ = page.hover("phase_index", maps, 0, 0)
    assert "no specimen" in text


def test_the_mouse_tells_both_phases_where_the_energy_axis_is_corrected(plain):
    maps, page = plain
    row, column = some_pixels(maps)[2]
    text, _ = page.hover("corrected_index", maps, row, column)
    assert f"resolved {maps.phase_names[maps.resolved_index[row, column]]}" in text
    name = maps.phase_names[maps.corrected_index[row, column]]
    assert f"corrected energy axis {name}, wrong with probability 0.25" in text


def test_the_spectrum_of_the_pixel_is_drawn_over_the_scaled_references(plain):
    maps, page = plain
    row, column = some_pixels(maps)[5]
    page.hover("od", maps, row, column)
    data = page.page.evaluate(
        """() => ["pixel", "references"].map(name => {
            const {y, ys} = Bokeh.documents[0].get_model_by_name(name).data;
            return Array.from(y ?? ys, v => v.length ? Array.from(v) : v);
        })"""
    )
    spectrum = maps.od[:, row, column]
    np.testing.assert_allclose(data[0], spectrum, atol=0.0011)
    for reference, scaled in zip(maps.reference_od, data[1], strict=True):
        factor, constant = np.polyfit(reference, spectrum, 1)
        if factor > 0:
            np.testing.assert_allclose(scaled, factor * reference + constant, atol=0.003)


def test_a_click_keeps_a_pixel_and_a_second_one_lets_go(plain):
    maps, page = plain
    page.page.mouse.click(*page.place("phase_index", maps, 30, 40), delay=800)
    page.painted(500)
    assert "row 30, column 40" in page.hover("phase_index", maps, 20, 50, kept=(30, 40))[0]
    page.page.mouse.click(*page.place("phase_index", maps, 30, 40))
    page.painted(500)
    assert "row 20, column 50" in page.hover("phase_index", maps, 20, 50)[0]


def test_the_slider_shows_the_image_of_another_energy(plain):
    _, page = plain
    before = page.picture()
    page.page.locator("#energy").fill("0")
    assert page.page.inner_text("#energy-name") == "505.00 eV"
    x, y, width, height = (int(v) for v in page.page.evaluate(FRAME, "od"))
    after = page.picture()
    assert (before != after)[y : y + height, x : x + width].any(axis=-1).mean() > 0.3


def test_nothing_is_asked_from_the_network_and_nothing_complained_of(plain):
    maps, page = plain
    page.hover("phase_index", maps, 30, 40)
    assert [url for url in page.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert page.complaints == []


def test_hostile_names_are_shown_and_not_obeyed(opened):
    maps = hostile_maps()
    page = opened(maps)
    row, column = some_pixels(maps)[4]
    _, table = page.hover("phase_index", maps, row, column)
    assert all(name.split()[0] in table for name in HOSTILE)
    assert page.page.evaluate("window.hacked") is None
    assert page.complaints == []


def test_512_rows_and_columns_are_usable(opened, tmp_path):
    maps = made_up.maps(shape=(512, 512), extent_um=(0.0, 10.22, 0.0, 10.22))
    page = opened(maps)
    assert (tmp_path / "page.html").stat().st_size <= 5_000_000
    for row, column in some_pixels(maps, 5):
        # 0.6 of a screen pixel each: the mouse may stand on the neighbor
        text, _ = page.hover("resolved_index", maps, row, column, off_by=2)
        got = [int(n) for n in re.search(r"row (\d+), column (\d+)", text).groups()]
        assert f"resolved {maps.phase_names[maps.resolved_index[tuple(got)]]}" in text
    x, y, width, _ = page.page.evaluate(FRAME, "resolved_index")
    page.page.mouse.move(x + 0.45 * width, y + 0.45 * width)
    page.page.mouse.down()
    page.page.mouse.move(x + 0.55 * width, y + 0.55 * width, steps=4)
    page.page.mouse.up()
    page.painted(500)
    picture = page.picture()
    x_start, x_end, y_start, y_end = page.page.evaluate(
        """() => ["x_range", "y_range"].flatMap(axis => {
            const range = Bokeh.documents[0].get_model_by_name("phase_index")[axis];
            return [range.start, range.end];
        })"""
    )
    assert x_end - x_start == pytest.approx(0.1 * 10.24, rel=0.1)
    colors = np.rint(255 * phase_colors(maps.phase_names))
    x, y, width, height = page.page.evaluate(FRAME, "phase_index")
    for row, column in [(250, 250), (255, 261), (262, 252)]:
        right = (column * 0.02 - x_start) / (x_end - x_start)
        up = (row * 0.02 - y_start) / (y_end - y_start)
        seen = picture[int(y + (1 - up) * height), int(x + right * width)]
        np.testing.assert_allclose(seen, colors[maps.phase_index[row, column]], atol=1)
