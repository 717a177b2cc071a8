"""How soon the window shows what came, and what drawing costs the scan.

    python -m benchmarks.speed.figure [--side 512] [--pairs 3] [--image-s 1.0]

Needs a window: PySide6, shown or not (QT_QPA_PLATFORM=offscreen), or Tk and a display. Synthetic
counts: a simulated particle that drifts about a pixel per image. Scans run under a RunEngine.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.documents import scan_of, simulated_counts
from benchmarks.common.figures import Beside, Figure, Target, benchmark_parser, report, skip
from benchmarks.common.paced import PacedDetector, paced_scan
from stxm_live import LivePhaseMapper, Recipe

CubeArray = NDArray[np.float32]


def main() -> None:
    """Print a table of figure, measured value, what stands beside it, target."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--side", type=int, default=512, help="pixels along each side")
    parser.add_argument("--pairs", type=int, default=3, help="scans with and without a window")
    parser.add_argument("--image-s", type=float, default=1.0, help="time an image takes")
    arguments = parser.parse_args()
    backend = choose_backend()
    recipe = Recipe.load("nvpf")
    cube = simulated_counts(recipe, arguments.side)
    figures = list(scan_figures(recipe, cube, arguments.pairs, arguments.image_s))
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    report(f"{backend}, {load}", figures, arguments.figures)


def choose_backend() -> str:
    """Qt where there is one, else what matplotlib chooses."""
    import matplotlib as mpl

    try:
        from PySide6 import QtWidgets
    except ImportError:
        if not os.environ.get("DISPLAY"):
            skip("needs a window: PySide6, or Tk and a display")
        return str(mpl.get_backend())
    if not os.environ.get("DISPLAY"):
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
    mpl.use("qtagg")
    return f"qtagg, {os.environ.get('QT_QPA_PLATFORM', 'shown')}"


def scan_figures(recipe: Recipe, cube: CubeArray, pairs: int, image_s: float) -> Iterator[Figure]:
    """Scans with a window and without, in turn; the first pair warms up."""
    shown, plain = [], []
    for _ in range(pairs + 1):
        shown.append(Scan(recipe, cube, image_s, with_window=True).run())
        plain.append(Scan(recipe, cube, image_s, with_window=False).run())
    shown, plain = shown[1:], plain[1:]
    first = [s for scan in shown for s in scan.first_s]
    images = [s for scan in shown for s in scan.image_s]
    analysed = [s for scan in plain for s in scan.image_s]
    not_drawn = Beside("analysed, not drawn", median(analysed))
    yield Figure(
        "new image visible after its event",
        median(first),
        "s",
        not_drawn,
        Target(0.5),
        note=f"worst {max(first):.2f}",
    )
    n_skipped = sum(scan.n_skipped for scan in shown)
    yield Figure(
        "all panels of a new image visible",
        median(images),
        "s",
        not_drawn,
        note=f"worst {max(images):.2f}; {n_skipped} skipped, newer ones were there",
    )
    for name, k, limit_s in (("maps", 0, 1.2), ("refined maps", 1, 4.0)):
        yield Figure(
            f"{name} visible after the last event",
            median(scan.maps_s[k] for scan in shown),
            "s",
            Beside("made, not drawn", median(scan.maps_s[k] for scan in plain)),
            Target(limit_s),
        )
    draws = [draw for scan in shown for draw in scan.draw_s]
    yield Figure(
        "a redraw, processor time",
        median(all_ for _, all_ in draws),
        "s",
        Beside("drawing alone, as if updated in place", median(draw for draw, _ in draws)),
    )
    extra = [1e3 * (a.per_image_s - b.per_image_s) for a, b in zip(shown, plain, strict=True)]
    yield Figure(
        "time per image of a scan with the window",
        median(scan.per_image_s for scan in shown),
        "s",
        Beside("without", median(scan.per_image_s for scan in plain)),
        note=f"{median(extra):+.1f} ms, pairs from {min(extra):+.1f} to {max(extra):+.1f}",
    )


class Scan:
    """One scan under a RunEngine, and when what came of it was to be seen."""

    def __init__(
        self, recipe: Recipe, cube: CubeArray, image_s: float, *, with_window: bool
    ) -> None:
        self.recipe, self.cube, self.pace_s = recipe, cube, image_s
        self.with_window = with_window
        self.first_s: list[float] = []
        self.image_s: list[float] = []
        self.n_skipped = 0
        self.maps_s: list[float] = []
        self.draw_s: list[tuple[float, float]] = []
        self.per_image_s = float("nan")
        self._event_s: list[float] = []
        self._alone_s: dict[int, float] = {}
        self._newest = -1
        self._done = threading.Event()

    def run(self) -> Scan:
        """Scan, and wait for the refined maps."""
        from bluesky import RunEngine

        from stxm_live.plotting import LiveFigure

        figure = LiveFigure()
        with LivePhaseMapper(self.recipe) as live:
            live.add_sink(figure, own_thread=True)
            if self.with_window:
                figure.show()
                self._watch(figure)
            else:
                live.add_sink(on_cube=lambda view: self._seen(view.latest, None))
                live.add_sink(on_maps=lambda maps: self._seen(None, maps.revision))
            engine = RunEngine({})
            engine.subscribe(self._stamp)
            engine.subscribe(live)
            start = time.perf_counter()
            detector = PacedDetector(self.cube, self.pace_s)
            engine(paced_scan(scan_of(self.recipe, self.cube.shape), detector))
            self.per_image_s = (time.perf_counter() - start) / len(self.cube)
            figure.block(self._done)
        figure.close()
        return self

    def _stamp(self, name: str, _doc: dict[str, Any]) -> None:
        if name == "event":
            self._event_s.append(time.perf_counter())

    def _watch(self, figure: Any) -> None:
        """See when the window has drawn a scene, and how long that took."""
        window, canvas = figure._window, figure._window.figure.canvas
        first, build, draw = window._draw_image_first, window._draw, canvas.draw
        spent = {"build": 0.0}

        def timed_first(scene: Any) -> None:
            first(scene)
            latest = getattr(scene.shown, "latest", None)
            if window._image is not None and window._image.shown == latest:
                self._alone_s[latest] = time.perf_counter() - self._event_s[latest]

        def timed_build(scene: Any) -> None:
            start = time.thread_time()
            build(scene)
            spent["build"] = time.thread_time() - start

        def timed_draw() -> None:
            start = time.thread_time()
            draw()
            took = time.thread_time() - start
            if spent["build"]:
                self.draw_s.append((took, took + spent["build"]))
                spent["build"] = 0.0
            shown = window._shown[0].shown
            self._seen(getattr(shown, "latest", None), getattr(shown, "revision", None))

        window._draw, canvas.draw = timed_build, timed_draw
        window._draw_image_first = timed_first

    def _seen(self, latest: int | None, revision: int | None) -> None:
        """An image or a result is there; each counts once."""
        now_s = time.perf_counter()
        # the last image is told when its maps are made: it is not waited for
        if latest is not None and self._newest < latest < len(self.cube) - 1:
            self.image_s.append(now_s - self._event_s[latest])
            self.first_s.append(self._alone_s.get(latest, self.image_s[-1]))
            self.n_skipped += latest - self._newest - 1
            self._newest = latest
        if revision is not None and revision == len(self.maps_s) + 1:
            self.maps_s.append(now_s - self._event_s[-1])
            if revision == 2:
                self._done.set()


if __name__ == "__main__":
    main()
