"""A dashboard in headless Chromium: where its pixels are, what it says."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stxm_live.plotting.style.palette import GROUND, phase_colors

CHROMIUM = Path("/usr/bin/chromium")

PATIENCE_MS = 120_000
"""The longest wait for what must come, on a machine that is busy with something else."""

_FRAME = """name => {
    const find = (view) => {
        if (view.model.name === name && view.frame) return view;
        for (const child of view.children ? view.children() : []) {
            const found = find(child);
            if (found) return found;
        }
        return null;
    };
    for (const root of Bokeh.index) {
        const view = find(root);
        if (!view) continue;
        const box = view.el.getBoundingClientRect();
        const {left, top, width, height} = view.frame.bbox;
        return [box.x + left, box.y + top, width, height];
    }
    return null;
}"""


_HAS_REPORTED = """([height, isDark]) => {
    for (const model of Bokeh.documents[0]._all_models.values())
        if (model.type.endsWith("Browser")) {
            const maps = document.querySelector(".maps");
            const wide = maps?.clientWidth || document.querySelector("header")?.clientWidth;
            const width = maps === null ? window.innerWidth - 350 : wide;
            const ground = Bokeh.documents[0].get_model_by_name("spectrum").background_fill_color;
            return model.of[0] === width && model.of[1] === height && model.of[2] === isDark
                && (ground === "#ffffff") !== isDark;  // the answer is there
        }
    return false;
}"""


_DRAWS = """() => [...Bokeh.documents[0]._all_models.values()].some(
    model => model.type.endsWith("SelectTool") && model.active)"""


_FAULTS_OF_TEXTS = """() => {
    const texts = [];
    const gather = (node) => {
        if (node.nodeType === Node.TEXT_NODE) {
            if (node.textContent.trim() === "") return;
            const range = document.createRange();
            range.selectNodeContents(node);
            for (const box of range.getClientRects())
                if (box.width > 1 && box.height > 1)
                    texts.push([node.textContent.trim().slice(0, 60), box, node.parentElement]);
            return;
        }
        if (node.nodeType !== Node.ELEMENT_NODE && node.nodeType !== Node.DOCUMENT_FRAGMENT_NODE)
            return;
        if (node.nodeType === Node.ELEMENT_NODE) {
            if (["SCRIPT", "STYLE", "OPTION", "CANVAS"].includes(node.tagName)) return;
            const style = getComputedStyle(node);
            if (style.display === "none" || style.visibility === "hidden") return;
            if (node.shadowRoot) gather(node.shadowRoot);
        }
        for (const child of node.childNodes) gather(child);
    };
    gather(document.body);
    const faults = [];
    texts.forEach(([one, a, parent], k) => {
        for (const [other, b, otherParent] of texts.slice(k + 1)) {
            const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
            const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
            if (parent !== otherParent && wide > 2 && high > 3)
                faults.push(`${one} | lies over | ${other}`);
        }
        if (a.left < -1 || a.right > window.innerWidth + 1) faults.push(`${one} | is cut`);
        const style = getComputedStyle(parent);
        if (style.overflowX === "hidden" && parent.scrollWidth > parent.clientWidth + 1)
            faults.push(`${one} | is cut by its box`);
    });
    if (document.documentElement.scrollWidth > window.innerWidth + 1)
        faults.push(`the page is ${document.documentElement.scrollWidth} px wide`);
    return faults;
}"""


def launch():
    """A browser, to be used as a generator fixture."""
    sync_api = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=str(CHROMIUM),
            args=["--no-sandbox", "--disable-gpu"],
            timeout=PATIENCE_MS,
        )
        yield launched
        launched.close()


@contextmanager
def watching(folder: Path, *arguments, **environment):
    """``stxm-live watch`` in a process, and its link."""
    process = subprocess.Popen(
        [sys.executable, "-m", "stxm_live", "watch", "--catalog", str(folder), *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = next((text for text in process.stdout if text.startswith("open ")), "")
        assert line, f"ended with {process.wait(60)}"
        yield process, line.split()[1]
    finally:
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(60) == 0
        finally:
            process.kill()
            process.stdout.close()


def until(is_so, timeout_s=PATIENCE_MS / 1000):
    """Wait for what the page's own server does."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def pixel_on_screen(frame, maps, row, column):
    """Where the middle of a pixel is, in a frame (x, y, width, height) that shows all."""
    x, y, width, height = frame
    ny, nx = maps.specimen.shape
    x0, x1, y0, y1 = maps.extent_um
    right = (column + 0.5) / nx if x1 > x0 else 1 - (column + 0.5) / nx
    up = (row + 0.5) / ny if y1 > y0 else 1 - (row + 0.5) / ny
    return x + right * width, y + (1 - up) * height


class Opened:
    """A page on the screen, with what it asked for and complained of."""

    def __init__(self, browser, url, size=(1280, 800)):
        self.page = browser.new_page(viewport={"width": size[0], "height": size[1]})
        self.page.set_default_timeout(PATIENCE_MS)
        self.requests, self.complaints = [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._on_console)
        self.page.goto(url)
        self.page.wait_for_selector(".verdict")

    def _on_console(self, message):
        # a widget of Bokeh's own calls a library's option by its old default
        if message.type in ("error", "warning") and "allowHTML" not in message.text:
            self.complaints.append(message.text)

    def text(self, kind):
        """What stands in a part of the page now; parts are found by their CSS class."""
        return self.page.locator(f".{kind} .bk-clearfix").first.inner_text()

    def says(self, kind, text="", *, without=None, timeout_s=PATIENCE_MS / 1000):
        """What stands in a part of the page, once ``text`` does and ``without`` does not."""
        deadline = time.monotonic() + timeout_s
        while True:
            said = self.text(kind)
            if text in said and (without is None or without not in said):
                return said
            assert time.monotonic() < deadline, f"{kind} says {said!r}, not {text!r}"
            self.page.wait_for_timeout(50)

    def look(self, width, height, scheme="light"):
        """Give the window another size, and the page the colors of a scheme."""
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.emulate_media(color_scheme=scheme)
        self.page.wait_for_function(_HAS_REPORTED, arg=[height, scheme == "dark"])

    def faults_of_texts(self, patience_s=20.0):
        """Texts that lie over one another, or are cut, once the page has settled."""
        deadline = time.monotonic() + patience_s
        n_without = 0
        while n_without < 2:
            faults = self.page.evaluate(_FAULTS_OF_TEXTS)
            if faults and time.monotonic() > deadline:
                return faults
            n_without = 0 if faults else n_without + 1
            self.page.wait_for_timeout(100)
        return []

    def place(self, name, maps, row, column):
        """Where the middle of a pixel is on the screen while the whole field is shown."""
        return pixel_on_screen(self.page.evaluate(_FRAME, name), maps, row, column)

    def settled_place(self, name, maps, row, column, quiet_ms=500):
        """The same, once the page has not moved for a while."""
        place = None
        while place != (now := self.place(name, maps, row, column)):
            place = now
            self.page.wait_for_timeout(quiet_ms)
        return place

    def hover(self, name, maps, row, column):
        wanted = f"row {row}, column {column}"
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while wanted not in self.text("pixel-text") and time.monotonic() < deadline:
            self.page.mouse.move(*self.place(name, maps, row, column))  # the page may still settle
            self.page.wait_for_timeout(100)
        self.says("pixel-text", wanted)
        return self.text("pixel-text"), self.text("pixel-table")

    def colors(self, name, maps, pixels):
        """What is seen at the middle of pixels (row, column), as red, green and blue."""
        self.page.mouse.move(2, 2)
        picture = np.asarray(Image.open(BytesIO(self.page.screenshot())).convert("RGB"))
        seen = []
        for row, column in pixels:
            x, y = self.place(name, maps, row, column)
            seen.append(picture[int(y), int(x)])
        return np.array(seen)

    def until(self, is_so):
        """Wait until that is so, while the page goes on."""
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while not is_so():
            assert time.monotonic() < deadline
            self.page.wait_for_timeout(100)

    def wait_for_colors(self, name, maps, pixels, expected, timeout_s=PATIENCE_MS / 1000):
        """Wait until the colors are these, to within what rounding does."""
        deadline = time.monotonic() + timeout_s
        while True:
            seen = self.colors(name, maps, pixels)
            if np.allclose(seen, expected, atol=1):
                return
            if time.monotonic() > deadline:
                np.testing.assert_allclose(seen, expected, atol=1)
            self.page.wait_for_timeout(100)

    def choose(self, name, value, what="value"):
        """Set a widget, found by the name of Bokeh's model."""
        self.page.evaluate(
            "([name, what, value]) => {"
            " Bokeh.documents[0].get_model_by_name(name)[what] = value; }",
            [name, what, value],
        )

    def press(self, label):
        self.page.get_by_role("button", name=label, exact=True).click()

    def drag(self, name, maps, first, last, held_ms=0):
        """Drag from a pixel to another one, with a pause before the mouse moves.

        Once more if the page moved below the mouse meanwhile, as it may until all is drawn.
        """
        self.page.wait_for_function(_DRAWS)
        start = None
        while start != self.place(name, maps, *first):
            # the answer to the button before has to be back, or the picture is moved instead
            start = self.settled_place(name, maps, *first)
            self.page.mouse.move(*start)
            self.page.mouse.down()
            self.page.wait_for_timeout(held_ms)
            self.page.mouse.move(*self.place(name, maps, *last), steps=5)
            self.page.mouse.up()


def rgb(color):
    return [int(color[k : k + 2], 16) for k in (1, 3, 5)]


def some_pixels(maps, n=12):
    """Of the specimen, and not below the scale bar."""
    y, x = np.abs(
        np.indices(maps.specimen.shape) / np.array(maps.specimen.shape)[:, None, None] - 0.5
    )
    inside = np.argwhere(maps.specimen & ((y < 0.25) | (x < 0.1)))
    return inside[:: len(inside) // n]


def expected_colors(maps, index, pixels):
    colors = np.rint(255 * phase_colors(maps.phase_names))
    return [colors[index[r, c]] if index[r, c] >= 0 else rgb(GROUND) for r, c in pixels]
