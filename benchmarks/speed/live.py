"""What the live mapper costs, side by side with the alternative in one run.

    python -m benchmarks.speed.live [--side 512] [--repeats 7]

Synthetic counts: a simulated particle that drifts about a pixel per image.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue
from statistics import median
from typing import Any

import numpy as np
from event_model import compose_run
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from stxm_live import LivePhaseMapper, PhaseMaps, Recipe, Stack, StackScan, map_phases
from stxm_live.phase_mapping.correlation import ambiguous, best_two, pearson, reliability
from stxm_live.phase_mapping.latent_space.model import load_model
from stxm_live.sim.instrument import SimulatedMicroscope

Document = tuple[str, dict[str, Any]]


def main() -> None:
    """Print a table of figure, measured value, alternative and target."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=512, help="pixels along each side")
    parser.add_argument("--repeats", type=int, default=7, help="the median counts")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    arguments = parser.parse_args()
    recipe = Recipe.load("nvpf")
    cube = simulated_counts(recipe, arguments.side)
    rows = [
        *import_rows(arguments.repeats),
        *callback_rows(recipe, cube),
        *line_rows(recipe),
        *latency_rows(recipe, cube, arguments.repeats),
        *redo_rows(recipe, cube, arguments.repeats),
        *correlation_rows(recipe, cube, arguments.repeats),
        *memory_rows(recipe, cube),
    ]
    table = Table("figure", "measured", "beside it", "target", title="stxm_live, live mapper")
    for row in rows:
        table.add_row(*row)
    Console(width=140).print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps([list(row) for row in rows], indent=1))


def simulated_counts(recipe: Recipe, side: int) -> NDArray[np.float32]:
    """Counts (13, side, side), float32: 1 MiB an image at 512."""
    microscope = SimulatedMicroscope.with_particle(
        recipe.reference_spectra, rng=np.random.default_rng(1), shape=(side, side)
    )
    x0, x1, y0, y1 = microscope.specimen.extent_um
    x, y = np.linspace(x0, x1, side), np.linspace(y0, y1, side)
    microscope.microscope.begin_stack()
    images = []
    for energy_ev in recipe.energies_ev or ():
        microscope.microscope.begin_image()
        images.append(microscope.microscope.counts(energy_ev, x, y))
    return np.asarray(images, dtype=np.float32)


def image_run(recipe: Recipe, cube: NDArray[np.float32]) -> Iterator[Document]:
    """A run of one event per image."""
    scan = scan_of(recipe, cube.shape)
    keys = {"energy": number_key(), "counts": array_key(cube.shape[1:])}
    images = zip(scan.energies_ev, cube, strict=True)
    yield from run_of(scan, keys, ({"energy": e, "counts": image} for e, image in images))


def scan_of(recipe: Recipe, shape: Sequence[int]) -> StackScan:
    """The announcement of a stack of this shape."""
    return StackScan(
        shape=tuple(shape),
        energies_ev=recipe.energies_ev,
        x_extent_um=(0, 10),
        y_extent_um=(0, 10),
        energy_motor="energy",
        data_field="counts",
    )


def run_of(
    scan: StackScan, keys: dict[str, Any], data: Iterable[dict[str, Any]]
) -> Iterator[Document]:
    """Start, descriptor, events with this data, stop."""
    run = compose_run(metadata=scan.metadata())
    yield "start", run.start_doc
    stream = run.compose_descriptor(name="primary", data_keys=keys)
    yield "descriptor", stream.descriptor_doc
    for values in data:
        stamps = dict.fromkeys(values, 0.0)
        yield "event", stream.compose_event(data=values, timestamps=stamps, validate=False)
    yield "stop", run.compose_stop()


def number_key() -> dict[str, Any]:
    """Data key of a scalar."""
    return {"source": "benchmark", "dtype": "number", "shape": []}


def array_key(shape: Sequence[int]) -> dict[str, Any]:
    """Data key of an array."""
    return {"source": "benchmark", "dtype": "array", "shape": list(shape), "dtype_numpy": "<f4"}


def import_rows(repeats: int) -> Iterator[tuple[str, ...]]:
    """A fresh Python with and without the import, in turn."""
    bare, ours = [], []
    for _ in range(repeats):
        for code, times in (("pass", bare), ("import stxm_live", ours)):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            times.append(time.perf_counter() - start)
    extra = median(ours) - median(bare)
    yield "import stxm_live", f"{extra:.3f} s", f"bare Python {median(bare):.3f} s", "<= 0.5 s"


def callback_rows(recipe: Recipe, cube: NDArray[np.float32]) -> Iterator[tuple[str, ...]]:
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
    size = f"{cube[0].nbytes / 2**20:.2g} MiB image event"
    yield (
        f"{size}: median, worst",
        f"{1e3 * median(times):.2f}, {1e3 * max(times):.2f} ms",
        f"a plain copy {1e3 * median(plain):.2f} ms",
        "<= 2 ms",
    )


def line_rows(recipe: Recipe) -> Iterator[tuple[str, ...]]:
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
    yield (
        "line event of 150 points: median, 99 %",
        f"{1e3 * median(times):.3f}, {1e3 * np.percentile(times, 99):.3f} ms",
        f"first tenth {1e3 * median(times[:tenth]):.3f}, last {1e3 * median(times[-tenth:]):.3f}",
        "<= 0.3 ms, no growth",
    )


def latency_rows(
    recipe: Recipe, cube: NDArray[np.float32], repeats: int
) -> Iterator[tuple[str, ...]]:
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
    extra = [t - b for t, b in zip(quick[1:], bare[1:], strict=True)]
    yield (
        f"last image to maps, {len(spectra)} spectra",
        f"{median(quick[1:]):.2f} s",
        f"bare LiteRT {median(bare[1:]):.2f} s, difference {median(extra):.2f} s",
        "difference <= 0.4 s",
    )
    yield (
        "last image to refined maps with the energy axis",
        f"{median(full[1:]):.2f} s",
        f"{median(f - q for f, q in zip(full[1:], quick[1:], strict=True)):.2f} s after the first",
        "<= 4 s",
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


def redo_rows(recipe: Recipe, cube: NDArray[np.float32], repeats: int) -> Iterator[tuple[str, ...]]:
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
        yield (
            f"maps.redo, {name}",
            f"{median(again):.2f} s",
            f"from the raw images {median(anew):.2f} s",
            "<= 1 s",
        )


def correlation_rows(
    recipe: Recipe, cube: NDArray[np.float32], repeats: int
) -> Iterator[tuple[str, ...]]:
    """PCC, R and ambiguity, and in turn a plain numpy PCC alone."""
    references = recipe.reference_spectra.at(recipe.energies_ev or ())
    spectra = -np.log(np.maximum(cube, 1)).reshape(len(cube), -1)
    ours, plain = [], []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        best = best_two(pearson(spectra, references))
        reliability(best)
        ambiguous(best, recipe.ambiguity_threshold)
        middle = time.perf_counter()
        plain_pearson(spectra, references)
        ours.append(middle - start)
        plain.append(time.perf_counter() - middle)
    ratio = median(a / b for a, b in zip(ours[1:], plain[1:], strict=True))
    yield (
        f"PCC, R, ambiguity of {spectra.shape[1]} spectra",
        f"{1e3 * median(ours[1:]):.0f} ms",
        f"plain numpy PCC {1e3 * median(plain[1:]):.0f} ms, ratio {ratio:.1f}",
        "ratio <= 3",
    )


def plain_pearson(
    spectra: NDArray[np.float32], references: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What one writes in a notebook."""
    x = spectra - spectra.mean(axis=0)
    r = references - references.mean(axis=1, keepdims=True)
    return (r @ x) / np.linalg.norm(r, axis=1)[:, None] / np.linalg.norm(x, axis=0)


def memory_rows(recipe: Recipe, cube: NDArray[np.float32]) -> Iterator[tuple[str, ...]]:
    """Growth of resident memory, in processes of their own, as the allocator is set."""
    code = (
        "import sys; from benchmarks.speed import live;live.print_memory_growth(int(sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, str(cube.shape[1])]
    for setting, target in (({}, "<= 6"), ({"MALLOC_ARENA_MAX": "1"}, "")):
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, env=os.environ | setting
        )
        first, further, arrays = (float(n) / cube.nbytes for n in done.stdout.split())
        name = " ".join(f"{k}={v}" for k, v in setting.items()) or "memory, in float32 cubes"
        yield (
            name,
            f"peak {first:.1f}, each result kept {further / 3:.1f}",
            f"arrays alive at most {arrays:.1f}",
            target,
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
