"""How soon a scan is seen in the browser, and what showing it costs the scan.

    python -m benchmarks.speed.display [--side 512] [--repeats 3] [--browser /usr/bin/chromium]

For the times until something is seen, analysis and server share one process, and Chromium draws in
its own on the same cores; they run from the event to the frame in which the browser shows it. What
it costs the scan is measured as one uses it, with ``stxm-live watch`` in another process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from bluesky import RunEngine
from proxy import a_proxy

from benchmarks.common.documents import image_run, simulated_counts
from benchmarks.common.figures import Beside, Figure, Target, benchmark_parser, report, skip
from stxm_live import LivePhaseMapper, Recipe
from stxm_live.dashboard import serve
from stxm_live.live.remote import DocumentPublisher, publisher
from stxm_live.plans import stxm_stack
from stxm_live.sim.instrument import SimulatedMicroscope

SETTLE_S = 15.0
"""So long a new process loads libraries and opens its catalogue."""

SEEN = """(wanted) => new Promise(resolve => {
    const look = () => {
        const text = [...document.querySelectorAll("*")].length && find(document.body);
        if (text.includes(wanted)) requestAnimationFrame(() => resolve(Date.now()));
        else setTimeout(look, 5);
    };
    const find = (root) => {
        let text = "";
        const walk = (node) => {
            if (node.shadowRoot) walk(node.shadowRoot);
            for (const child of node.childNodes || []) {
                if (child.nodeType === 3) text += child.data;
                else if (!["STYLE", "SCRIPT", "CANVAS"].includes(child.nodeName)) walk(child);
            }
        };
        walk(root);
        return text;
    };
    look();
})"""
"""Resolves with the time at which some words stand in the page and its pictures are drawn."""


def main() -> None:
    """Print a table of figure, measured value, what stands beside it, target."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--side", type=int, default=512, help="pixels along each side")
    parser.add_argument("--repeats", type=int, default=3, help="the median counts")
    parser.add_argument("--browser", default="/usr/bin/chromium")
    arguments = parser.parse_args()
    if find_spec("playwright") is None or not Path(arguments.browser).exists():
        skip(f"needs playwright and Chromium at {arguments.browser}")
    recipe = Recipe.load("nvpf")
    figures = [
        *seen_figures(recipe, arguments.side, arguments.repeats, arguments.browser),
        scan_figure(recipe, arguments.side, arguments.repeats, arguments.browser),
    ]
    report("stxm_live, dashboard", figures, arguments.figures)
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


@contextmanager
def opened(url: str, browser: str) -> Iterator[Any]:
    """A page that shows the dashboard."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=browser, args=["--no-sandbox", "--disable-gpu"]
        )
        page = launched.new_page(viewport={"width": 1280, "height": 800})
        page.goto(url)
        page.get_by_text("Waiting").wait_for()
        yield page
        launched.close()


def seen_figures(recipe: Recipe, side: int, repeats: int, browser: str) -> list[Figure]:
    """From an event to what the browser shows of it."""
    cube = simulated_counts(recipe, side)
    images, quick, full = [], [], []
    told_s: dict[str, float] = {}
    with LivePhaseMapper(recipe) as live:
        live.add_sink(
            on_cube=lambda view: told_s.update(
                {f"energy {view.measured.sum()} of {len(view.energies_ev)}": time.time()}
            ),
            on_maps=lambda maps: told_s.update({f"revision {maps.revision}": time.time()}),
        )
        served = serve(live)
        with opened(served.url, browser) as page:
            for _ in range(repeats):
                run = list(image_run(recipe, cube))
                uid = str(run[0][1]["uid"])
                events = [k for k, (name, _) in enumerate(run) if name == "event"]
                for document in run[: events[0]]:
                    live(*document)
                for k in events[:-1]:
                    n = events.index(k) + 1
                    took = seen_s(page, live, run[k], told_s, f"energy {n} of {len(events)}")
                    if n > 3:  # the first ones load libraries
                        images.append(took)
                    time.sleep(0.5)
                start_s = time.time()
                quick.append(seen_s(page, live, run[events[-1]], told_s, "revision 1"))
                for document in run[events[-1] + 1 :]:
                    live(*document)
                done_s = page.evaluate(SEEN, "revision 2") / 1000
                live.wait(uid, timeout_s=120)
                full.append((done_s - start_s, done_s - told_s["revision 2"]))
        served.close()
    return [
        seen_figure(f"event of an image of {side} x {side} to the screen", images, 0.5),
        seen_figure("last event to unrefined maps on the screen", quick, 1.2),
        seen_figure("last event to refined maps on the screen", full, 4.0),
    ]


def seen_figure(name: str, times_s: list[tuple[float, float]], limit_s: float) -> Figure:
    """Medians of the whole time and of what the analysis takes of it."""
    whole_s = median(whole for whole, _ in times_s)
    analysis_s = median(whole - shown for whole, shown in times_s)
    return Figure(name, whole_s, "s", Beside("analysis alone", analysis_s), Target(limit_s))


def seen_s(
    page: Any, live: LivePhaseMapper, document: Any, told_s: dict[str, float], wanted: str
) -> tuple[float, float]:
    """Seconds until some words are in the page: from the event, and from when sinks were told."""
    told_s.clear()
    start_s = time.time()
    live(*document)
    done_s = float(page.evaluate(SEEN, wanted)) / 1000
    return done_s - start_s, done_s - told_s[wanted]


def scan_figure(recipe: Recipe, side: int, repeats: int, browser: str) -> Figure:
    """A paced scan that is published, with and without the dashboard in a process of its own."""
    alone, shown = [], []
    with a_proxy() as (into, out):
        publish = publisher(into)
        time.sleep(3.0)
        for k in range(repeats):
            alone.append(scan_s(recipe, side, k, publish))
            command = [sys.executable, "-m", "stxm_live", "watch", "--zmq", out, "--catalog"]
            with TemporaryDirectory() as folder, running([*command, folder]) as watch:
                assert watch.stdout is not None
                words = watch.stdout.readline().split()
                with opened(words[-1], browser):
                    time.sleep(SETTLE_S)
                    shown.append(scan_s(recipe, side, k, publish))
        publish.close()
    difference = median(b - a for a, b in zip(alone, shown, strict=True))
    return Figure(
        "a scan of 13 images in 0.3 s each, with watch and browser",
        median(shown),
        "s",
        Beside("without", median(alone)),
        note=f"{1000 * difference:+.0f} ms; without {min(alone):.2f} to {max(alone):.2f} s",
    )


@contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that is ended at the end."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def scan_s(recipe: Recipe, side: int, seed: int, publish: DocumentPublisher) -> float:
    """Seconds that a scan takes in a RunEngine that only publishes."""
    microscope = SimulatedMicroscope.with_particle(
        recipe.reference_spectra,
        rng=np.random.default_rng(seed),
        shape=(side, side),
        frame_time_s=0.3,
    )
    run_engine = RunEngine({})
    run_engine.subscribe(publish)
    plan = stxm_stack(
        microscope.camera,
        microscope.energy,
        recipe.energies_ev or (),
        microscope.field(),
    )
    start_s = time.perf_counter()
    run_engine(plan)
    return time.perf_counter() - start_s


if __name__ == "__main__":
    main()
