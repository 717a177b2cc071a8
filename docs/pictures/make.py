"""Draw dashboard.png, first-look.png and page.png of the documentation.

python docs/pictures/make.py

A simulated particle, shown by the real dashboard and the real page in headless Chromium.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from playwright.sync_api import Page, sync_playwright

from stxm_live import LivePhaseMapper, Recipe, Stack
from stxm_live.adaptive.chooser import RegionChooser
from stxm_live.dashboard import serve, write_page
from stxm_live.io.files import stack_documents
from stxm_live.sim.phantom import STATES_OF_CHARGE, make_particle, od_cube

HERE = Path(__file__).parent
CHROMIUM = "/usr/bin/chromium"
PATIENCE_MS = 120_000


def simulated_stack(recipe: Recipe) -> Stack:
    """Measure a particle of all phases with 2000 photons a pixel."""
    rng = np.random.default_rng(4)
    particle = make_particle((140, 160), phase_weights=STATES_OF_CHARGE["Na2VPF"], rng=rng)
    od = od_cube(particle, recipe.reference_spectra, recipe.energies_ev)
    counts = rng.poisson(2000 * np.exp(-od))
    extent_um = (0.0, 4.77, 4.17, 0.0)
    return Stack.from_arrays(counts, recipe.energies_ev, extent_um=extent_um, dwell_ms=2.0)


@contextmanager
def chromium(height_px: int = 920) -> Iterator[Page]:
    """Open a browser's page, 1280 px wide."""
    with sync_playwright() as playwright:
        options = {"executable_path": CHROMIUM, "args": ["--no-sandbox", "--disable-gpu"]}
        browser = playwright.chromium.launch(**options)
        page = browser.new_page(viewport={"width": 1280, "height": height_px})
        page.set_default_timeout(PATIENCE_MS)
        yield page
        browser.close()


def draw_first_look(stack: Stack) -> None:
    """Draw the dashboard after a scan without references."""
    with chromium(1210) as page, LivePhaseMapper(Recipe.load("first-look")) as live:
        documents = list(stack_documents(stack, md={"sample": "simulated particle"}))
        dashboard = serve(live)
        page.goto(dashboard.url)
        for name, doc in documents:
            live(name, doc)
        live.explored(str(documents[0][1]["uid"]), timeout_s=PATIENCE_MS / 1000)
        page.wait_for_timeout(6000)
        page.screenshot(path=HERE / "first-look.png")
        dashboard.close()


def keep_pixels(page: Page) -> None:
    """Click on two pixels of the phase map, and leave it."""
    box = page.locator(".map-phases canvas").first.bounding_box()
    assert box is not None
    for right, down in ((0.5, 0.35), (0.7, 0.55)):
        page.mouse.click(box["x"] + right * box["width"], box["y"] + down * box["height"])
        page.wait_for_timeout(1000)
    page.mouse.move(2, 2)
    page.wait_for_timeout(2000)


def main() -> None:
    """Draw the pictures."""
    recipe = Recipe.load("nvpf")
    stack = simulated_stack(recipe)
    with chromium() as page, LivePhaseMapper(recipe) as live, RegionChooser(live) as chooser:
        documents = list(stack_documents(stack, md={"sample": "simulated particle"}))
        dashboard = serve(live, chooser=chooser)
        page.goto(dashboard.url)
        for name, doc in documents:
            live(name, doc)
        maps = live.wait(str(documents[0][1]["uid"]), timeout_s=PATIENCE_MS / 1000)
        page.wait_for_timeout(6000)  # until the last picture has come
        keep_pixels(page)
        page.screenshot(path=HERE / "dashboard.png")
        dashboard.close()
    draw_first_look(stack)
    with TemporaryDirectory() as folder, chromium() as page:
        path = write_page(maps, Path(folder) / "maps.html")
        page.goto(path.as_uri())
        page.wait_for_selector("#trouble", state="hidden", timeout=PATIENCE_MS)
        page.wait_for_timeout(500)
        page.screenshot(path=HERE / "page.png")


if __name__ == "__main__":
    main()
