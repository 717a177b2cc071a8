"""How soon the window shows what came, and what drawing costs the scan.

    python -m benchmarks.speed.figure [--side 512] [--pairs 3] [--image-s 1.0]

Needs a window: PySide6, shown or not (QT_QPA_PLATFORM=offscreen), or Tk and a display. Synthetic
counts: a simulated particle that drifts about a pixel per image. Scans run under a RunEngine.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.speed.live import scan_of, simulated_counts
from stxm_live import LivePhaseMapper, Recipe

CubeArray = NDArray[np.float32]


def main() -> None:
    """Print a table of figure, measured value, what stands beside it, target."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=512, help="pixels along each side")
    parser.add_argument("--pairs", type=int, default=3, help="scans with and without a window")
    parser.add_argument("--image-s", type=float, default=1.0, help="time an image takes")
    arguments = parser.parse_args()
    backend = choose_backend()
    recipe = Recipe.load("nvpf")
    cube = simulated_counts(recipe, arguments.side)
    rows = list(scan_rows(recipe, cube, arguments.pairs, arguments.image_s))
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    table = Table("figure", "measured", "beside it", "target", title=f"{backend}, {load}")
    for row in rows:
        table.add_row(*row)
    Console(width=140).print(table)


def choose_backend() -> str:
    """Qt where there is one, else what matplotlib chooses."""
    import matplotlib as mpl

    try:
        from PySide6 import QtWidgets
    except ImportError:
        return str(mpl.get_backend())
    if not os.environ.get("DISPLAY"):
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
    mpl.use("qtagg")
    return f"qtagg, {os.environ.get('QT_QPA_PLATFORM', 'shown')}"


def scan_rows(
    recipe: Recipe, cube: CubeArray, pairs: int, image_s: float
) -> Iterator[tuple[str, ...]]:
    """Scans with a window and without, in turn; the first pair warms up."""
    shown, plain = [], []
    for _ in range(pairs + 1):
        shown.append(Scan(recipe, cube, image_s, with_window=True).run())
        plain.append(Scan(recipe, cube, image_s, with_window=False).run())
    shown, plain = shown[1:], plain[1:]
    first = [s for scan in shown for s in scan.first_s]
    images = [s for scan in shown for s in scan.image_s]
    analysed = [s for scan in plain for s in scan.image_s]
    yield (
        "new image visible after its event: median, worst",
        f"{median(first):.2f}, {max(first):.2f} s",
        f"analysed, not drawn: {median(analysed):.2f}, {max(analysed):.2f} s",
        "<= 0.5 s",
    )
    yield (
        "all panels: median, worst",
        f"{median(images):.2f}, {max(images):.2f} s",
        f"{sum(scan.n_skipped for scan in shown)} skipped, newer ones were there",
        "",
    )
    for name, k, target in (("maps", 0, "<= 1.2 s"), ("refined maps", 1, "<= 4 s")):
        yield (
            f"{name} visible after the last event",
            f"{median(scan.maps_s[k] for scan in shown):.2f} s",
            f"made, not drawn: {median(scan.maps_s[k] for scan in plain):.2f} s",
            target,
        )
    draws = [draw for scan in shown for draw in scan.draw_s]
    yield (
        "a redraw, processor time",
        f"{median(all_ for _, all_ in draws):.2f} s",
        f"drawing alone, as if updated in place: {median(draw for draw, _ in draws):.2f} s",
        "",
    )
    extra = [a.per_image_s - b.per_image_s for a, b in zip(shown, plain, strict=True)]
    spread = [b.per_image_s for b in plain]
    yield (
        "an image takes longer with the window by",
        f"{1e3 * median(extra):+.1f} ms ({100 * median(extra) / image_s:+.2f} %)",
        f"pairs from {1e3 * min(extra):+.1f} to {1e3 * max(extra):+.1f} ms; scans without a "
        f"window spread by {1e3 * (max(spread) - min(spread)):.1f} ms",
        "nothing measurable",
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
            engine(self._plan())
            self.per_image_s = (time.perf_counter() - start) / len(self.cube)
            figure.block(self._done)
        figure.close()
        return self

    def _plan(self) -> Iterator[Any]:
        import bluesky.plan_stubs as bps
        import bluesky.preprocessors as bpp

        scan = scan_of(self.recipe, self.cube.shape)
        device = Camera(self.cube)

        @bpp.run_decorator(md=scan.metadata())
        def inner() -> Iterator[Any]:
            for energy_ev in scan.energies_ev:
                device.take(energy_ev)
                yield from bps.sleep(self.pace_s)
                yield from bps.trigger_and_read([device])

        return inner()

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


class Camera:
    """Reads the image of the energy it was told."""

    name, parent = "camera", None

    def __init__(self, cube: CubeArray) -> None:
        self.cube, self.energy_ev, self.k = cube, 0.0, -1

    def take(self, energy_ev: float) -> None:
        """Be at the next energy."""
        self.energy_ev, self.k = energy_ev, self.k + 1

    def trigger(self) -> Any:
        """Nothing to wait for."""
        from ophyd.sim import NullStatus

        return NullStatus()

    def read(self) -> dict[str, Any]:
        """Energy and image."""
        values = {"energy": self.energy_ev, "counts": self.cube[self.k]}
        return {key: {"value": v, "timestamp": time.time()} for key, v in values.items()}

    def describe(self) -> dict[str, Any]:
        """Keys of the event."""
        image = {"dtype": "array", "shape": list(self.cube.shape[1:]), "dtype_numpy": "<f4"}
        energy = {"dtype": "number", "shape": []}
        return {
            "energy": energy | {"source": "benchmark"},
            "counts": image | {"source": "benchmark"},
        }

    def read_configuration(self) -> dict[str, Any]:
        """None."""
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        """None."""
        return {}


if __name__ == "__main__":
    main()
