"""What the live mapper costs, side by side with the alternative in one run.

    python -m benchmarks.speed.live [--side 512] [--repeats 7]

Synthetic counts: a simulated particle that drifts about a pixel per image.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.documents import array_key, image_run, run_of, scan_of, simulated_counts
from benchmarks.common.figures import Beside, Figure, Target, benchmark_parser, report
from stxm_live import LivePhaseMapper, PhaseMaps, Recipe, Stack, map_phases
from stxm_live.phase_mapping.latent_space.model import load_model


def main() -> None:
    """Print a table of figure, measured value, alternative and target."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--side", type=int, default=512, help="pixels along each side")
    parser.add_argument("--repeats", type=int, default=7, help="the median counts")
    arguments = parser.parse_args()
    recipe = Recipe.load("nvpf")
    cube = simulated_counts(recipe, arguments.side)
    figures = [
        *import_figures(arguments.repeats),
        *callback_figures(recipe, cube),
        *line_figures(recipe),
        *latency_figures(recipe, cube, arguments.repeats),
        *redo_figures(recipe, cube, arguments.repeats),
        *size_figures(recipe, cube, arguments.repeats),
        *memory_figures(recipe, cube),
    ]
    report("stxm_live, live mapper", figures, arguments.figures)


def import_figures(repeats: int) -> Iterator[Figure]:
    """A fresh Python with and without the import, in turn."""
    bare, ours = [], []
    for _ in range(repeats):
        for code, times in (("pass", bare), ("import stxm_live", ours)):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            times.append(time.perf_counter() - start)
    extra = median(ours) - median(bare)
    beside = Beside("bare Python", median(bare))
    yield Figure("import stxm_live", extra, "s", beside, Target(0.5))


def callback_figures(recipe: Recipe, cube: NDArray[np.float32]) -> Iterator[Figure]:
    """Time in the callback for an image event, while the worker works."""
    times = []
    with LivePhaseMapper(recipe) as live:
        for _ in range(3):
            for name, doc in image_run(recipe, cube):
                start = time.perf_counter()
                live(name, doc)
                if name == "event":
                    times.append(time.perf_counter() - start)
                time.sleep(0.1)
    plain = []
    for image in cube:
        start = time.perf_counter()
        image.copy()
        plain.append(time.perf_counter() - start)
    yield Figure(
        f"callback of an image event of {cube[0].nbytes / 2**20:.2g} MiB",
        1e3 * median(times),
        "ms",
        Beside("a plain copy", 1e3 * median(plain)),
        Target(2),
        note=f"worst {1e3 * max(times):.2f}",
    )


def line_figures(recipe: Recipe) -> Iterator[Figure]:
    """Time in the callback for a line event, at the beginning and the end of a long scan."""
    ny, nx = 600, 150
    lines = np.random.default_rng(0).poisson(1000, (13 * ny, nx)).astype(np.float32)
    scan = scan_of(recipe, (13, ny, nx))
    times = []
    with LivePhaseMapper(recipe) as live:
        for name, doc in run_of(
            scan, {"counts": array_key([nx])}, ({"counts": line} for line in lines)
        ):
            start = time.perf_counter()
            live(name, doc)
            if name == "event":
                times.append(time.perf_counter() - start)
    tenth = len(times) // 10
    yield Figure(
        "callback of a line event of 150 points, last tenth of 7800",
        1e3 * median(times[-tenth:]),
        "ms",
        Beside("first tenth", 1e3 * median(times[:tenth])),
        Target(0.3),
        note=f"99 % of all within {1e3 * np.percentile(times, 99):.3f}",
    )


def latency_figures(recipe: Recipe, cube: NDArray[np.float32], repeats: int) -> Iterator[Figure]:
    """Last image to quick and to full maps, and in turn bare LiteRT on the same spectra."""
    model = load_model(recipe)
    quick, full, bare = [], [], []
    for _ in range(repeats + 1):
        first_s, all_s, maps = mapped_live(recipe, cube)
        spectra = np.ascontiguousarray(maps.od[:, maps.specimen & maps.valid].T)
        start = time.perf_counter()
        model.encode(spectra)
        bare.append(time.perf_counter() - start)
        quick.append(first_s)
        full.append(all_s)
    yield Figure(
        "last image to maps",
        median(quick[1:]),
        "s",
        Beside("bare LiteRT", median(bare[1:])),
        Target(0.4, of="difference"),
        note=f"{len(spectra)} spectra",
    )
    yield Figure(
        "last image to refined maps with the energy axis",
        median(full[1:]),
        "s",
        Beside("bare LiteRT", median(bare[1:])),
        Target(4),
    )


def mapped_live(recipe: Recipe, cube: NDArray[np.float32]) -> tuple[float, float, PhaseMaps]:
    """Seconds from the last image to the first maps and to the last ones, and these."""
    documents = list(image_run(recipe, cube))
    last = max(k for k, (name, _) in enumerate(documents) if name == "event")
    seen: SimpleQueue[tuple[float, PhaseMaps]] = SimpleQueue()
    with LivePhaseMapper(recipe) as live:
        live.add_sink(on_maps=lambda maps: seen.put((time.perf_counter(), maps)))
        for name, doc in documents[:last]:
            live(name, doc)
        uid = documents[0][1]["uid"]
        while live.status(uid).n_images < len(cube) - 1:
            time.sleep(0.05)
        time.sleep(0.2)
        start = time.perf_counter()
        live(*documents[last])
        (first, _), (final, maps) = seen.get(timeout=60), seen.get(timeout=60)
    return first - start, final - start, maps


REDONE: dict[str, dict[str, Any]] = {
    "another I0 box": {"i0.region": (-100.0, 100.0, -100.0, -7.0)},
    "an energy excluded": {"exclude_energies_ev": [524.0]},
    "an energy offset": {"energy_offset_ev": 0.1},
    "another resolver": {"resolver.method": "mahalanobis"},
}


def redo_figures(recipe: Recipe, cube: NDArray[np.float32], repeats: int) -> Iterator[Figure]:
    """Maps of the same aligned images with another recipe, and in turn all from the raw images."""
    stack = Stack.from_arrays(cube, recipe.energies_ev or (), extent_um=(-8, 8, -8, 8))
    model = load_model(recipe)
    maps = map_phases(stack, recipe, model=model)
    for name, changes in REDONE.items():
        again, anew = [], []
        for _ in range(max(2, repeats // 2)):
            start = time.perf_counter()
            maps.redo(changes)
            middle = time.perf_counter()
            map_phases(stack, recipe.with_changes(changes), model=model)
            again.append(middle - start)
            anew.append(time.perf_counter() - middle)
        beside = Beside("from the raw images", median(anew))
        yield Figure(f"maps.redo, {name}", median(again), "s", beside, Target(1))


def size_figures(recipe: Recipe, cube: NDArray[np.float32], repeats: int) -> Iterator[Figure]:
    """Maps of a stack, and in turn of one with twice as many pixels along each side."""
    model, energies_ev = load_model(recipe), recipe.energies_ev or ()
    large = simulated_counts(recipe, 2 * cube.shape[1])
    seconds: dict[int, list[float]] = {}
    for counts in [cube, large] * max(2, repeats // 2):
        stack = Stack.from_arrays(counts, energies_ev)
        start = time.perf_counter()
        map_phases(stack, recipe, model=model)
        seconds.setdefault(counts.shape[1], []).append(time.perf_counter() - start)
    (side, of_cube), (large_side, of_large) = seconds.items()
    yield Figure(
        f"maps of 13 x {large_side} x {large_side}",
        median(of_large),
        "s",
        Beside(f"13 x {side} x {side}", median(of_cube)),
        Target(4.5, of="ratio"),
    )


def memory_figures(recipe: Recipe, cube: NDArray[np.float32]) -> Iterator[Figure]:
    """Growth of resident memory, in processes of their own, as the allocator is set."""
    code = (
        "import sys; from benchmarks.speed import live;live.print_memory_growth(int(sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, str(cube.shape[1])]
    settings: list[tuple[dict[str, str], Target | None]] = [
        ({}, Target(6, of="ratio")),
        ({"MALLOC_ARENA_MAX": "1"}, None),
    ]
    for setting, target in settings:
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, env=os.environ | setting
        )
        first, further, arrays = (float(n) / 2**20 for n in done.stdout.split())
        how = "".join(f", {name}={value}" for name, value in setting.items())
        yield Figure(
            f"most memory for a first stack{how}",
            first,
            "MiB",
            Beside("one float32 cube", cube.nbytes / 2**20),
            target,
            note=f"each result kept {further / 3:.0f}, arrays alive {arrays:.0f}",
        )


def print_memory_growth(side: int) -> None:
    """Peak growth of a first stack, that of three more, and the most arrays alive; bytes."""
    recipe = Recipe.load("nvpf")
    with LivePhaseMapper(recipe) as live:
        live.add_sink(on_cube=lambda view: None)
        scan_to_the_end(live, recipe, simulated_counts(recipe, 96))
        cube = simulated_counts(recipe, side)
        before = resident_bytes()
        first = peak_while(lambda: scan_to_the_end(live, recipe, cube))
        further = max(peak_while(lambda: scan_to_the_end(live, recipe, cube)) for _ in range(3))
        tracemalloc.start()
        scan_to_the_end(live, recipe, cube)
        _, arrays = tracemalloc.get_traced_memory()
    print(first - before, further - first, arrays)


def scan_to_the_end(live: LivePhaseMapper, recipe: Recipe, cube: NDArray[np.float32]) -> None:
    """A paced run, and its maps."""
    uid = ""
    for name, doc in image_run(recipe, cube):
        live(name, doc)
        uid = doc["uid"] if name == "start" else uid
        time.sleep(0.15)
    live.wait(uid, timeout_s=60)


def peak_while(act: Callable[[], None]) -> int:
    """Largest resident memory while something is done, sampled every 5 ms."""
    peak, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            peak[0] = max(peak[0], resident_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    act()
    done.set()
    watcher.join()
    return peak[0]


def resident_bytes() -> int:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
