"""What the analysis does to a scan: nothing, or so it should be.

    python -m benchmarks.robustness.harm [--repeats 7] [--side 512]   what a paced scan loses by it
    python -m benchmarks.robustness.harm --kill   SIGKILL at each of 13 energies
    python -m benchmarks.robustness.harm --faults 20000   mutated streams, see tests/robustness
    python -m benchmarks.robustness.harm --messages 20000 spoilt messages to each kind of socket
    python -m benchmarks.robustness.harm --images 10000   memory while so many images go through

The paced scans run under a RunEngine with simulated counts, 0.5 s an image or 0.1 s a line of 150
points, without a callback and with one, in turn.
"""

from __future__ import annotations

import argparse
import logging
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Any

import numpy as np
from bluesky import RunEngine
from growth import Memory, fed
from numpy.typing import NDArray
from proxy import Results, ServerProcess, a_proxy, free_ports
from rich.console import Console
from rich.table import Table

from benchmarks.common.documents import Document, image_run, scan_of, simulated_counts
from benchmarks.common.figures import Beside, Figure, Target, benchmark_parser, report
from benchmarks.common.paced import PacedDetector, paced_scan
from stxm_live import LivePhaseMapper, Recipe, map_run
from stxm_live.core.scan import StackScan
from stxm_live.live.remote import publisher

IMAGE_S, LINE_S = 0.5, 0.1
LINE_ROWS, LINE_POINTS = 5, 150
SLEEP_S = 2.0
MOST_MS, MOST_GROWTH_MIB = 50.0, 200.0

Subscriber = Callable[[str, dict[str, Any]], None]


def main() -> None:
    """Print a table of figure, measured value and target."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--side", type=int, default=512, help="pixels along each side")
    parser.add_argument("--repeats", type=int, default=7, help="the median counts")
    parser.add_argument("--kill", action="store_true", help="kill the process instead")
    parser.add_argument("--faults", type=int, help="so many mutated streams instead")
    parser.add_argument("--messages", type=int, help="so many spoilt messages to sockets instead")
    parser.add_argument(
        "--images", type=int, help="so many small images through one mapper instead"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the mutations")
    arguments = parser.parse_args()
    figures = asked_for(arguments)
    report("harm to a scan", figures, arguments.figures)


def asked_for(arguments: argparse.Namespace) -> list[Figure]:
    """The figures of one of the five measurements."""
    if arguments.messages:
        return list(message_figures(arguments.messages, arguments.seed))
    if arguments.faults:
        return list(fault_figures(arguments.faults, arguments.seed))
    recipe = Recipe.load("nvpf")
    if arguments.images:
        return [growth_figure(recipe, arguments.images)]
    cube = simulated_counts(recipe, arguments.side)
    if arguments.kill:
        return [kill_figure(recipe, cube)]
    return list(harm_figures(recipe, cube, arguments.repeats))


class Scan:
    """A paced scan under one RunEngine, again and again."""

    def __init__(self, scan: StackScan, frames: NDArray[np.float32], frame_time_s: float) -> None:
        self._scan, self._frames, self._time_s = scan, frames, frame_time_s
        self._engine = RunEngine({}, context_managers=[])
        self.last_event_s = 0.0
        self.between_ms = 0.0
        self.uid = ""

    def run(self, subscriber: Subscriber | None) -> float:
        """Seconds the plan took."""
        tokens = [self._engine.subscribe(self)]
        if subscriber is not None:
            tokens.append(self._engine.subscribe(subscriber))
        detector = PacedDetector(self._frames, self._time_s)
        start = time.perf_counter()
        self._engine(paced_scan(self._scan, detector))
        seconds = time.perf_counter() - start
        self.between_ms = float(np.nanmean(detector.between_ms))
        for token in tokens:
            self._engine.unsubscribe(token)
        return seconds

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Note when the last event came, before the others hear of it."""
        if name == "start":
            self.uid = doc["uid"]
        elif name == "event":
            self.last_event_s = time.perf_counter()


def harm_figures(recipe: Recipe, cube: NDArray[np.float32], repeats: int) -> Iterator[Figure]:
    """Durations and latencies of paced scans, each way of analysis in turn."""
    images = Scan(scan_of(recipe, cube.shape), cube, IMAGE_S)
    lines = simulated_lines(recipe)
    by_line = Scan(scan_of(recipe, (13, LINE_ROWS, LINE_POINTS)), lines, LINE_S)
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        (results,) = free_ports(1)
        into, out = stack.enter_context(a_proxy())
        server = ServerProcess(out, results, folder)
        stack.callback(server.close)
        heard = Results(results)
        stack.callback(heard.close)
        publish = publisher(into)
        stack.callback(publish.close)
        time.sleep(20)  # the catalogue opens
        for name, scan in (("image", images), ("line", by_line)):
            times = measured(recipe, scan, publish, heard, repeats)
            yield from figures_of(name, times)


def simulated_lines(recipe: Recipe) -> NDArray[np.float32]:
    """Counts (13 * rows, points)."""
    side = simulated_counts(recipe, LINE_POINTS)
    middle = (LINE_POINTS - LINE_ROWS) // 2
    return side[:, middle : middle + LINE_ROWS].reshape(-1, LINE_POINTS)


def measured(
    recipe: Recipe, scan: Scan, publish: Subscriber, heard: Results, repeats: int
) -> dict[str, list[float]]:
    """Seconds of plans and from the last event to maps, by name."""
    times: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        times.setdefault(name, []).append(value)

    for _ in range(repeats + 1):
        note("none", scan.run(None))
        note("none between", scan.between_ms)
        with sleeping_mapper(recipe) as live:
            note("sleeping", scan.run(live))
        seen: list[float] = []
        with LivePhaseMapper(recipe) as live:
            live.add_sink(on_maps=lambda maps, seen=seen: seen.append(time.perf_counter()))
            note("in process", scan.run(live))
            note("in process between", scan.between_ms)
            time.sleep(8)
        note("in process first", seen[0] - scan.last_event_s)
        note("in process last", seen[-1] - scan.last_event_s)
        note("apart", scan.run(publish))
        note("apart between", scan.between_ms)
        arrivals = arrivals_of(heard, scan.uid)
        note("apart first", arrivals[0] - scan.last_event_s)
        note("apart last", arrivals[-1] - scan.last_event_s)
        time.sleep(3)
    return {name: values[1:] for name, values in times.items()}


@contextmanager
def sleeping_mapper(recipe: Recipe) -> Iterator[LivePhaseMapper]:
    """A mapper of which a sink sleeps with every image."""
    stop = threading.Event()
    live = LivePhaseMapper(recipe)
    live.add_sink(on_cube=lambda view: stop.wait(SLEEP_S) and None)
    try:
        yield live
    finally:
        stop.set()
        live.close()


def arrivals_of(heard: Results, uid: str) -> list[float]:
    """When the results of a run came, until none comes for eight seconds."""
    found: list[float] = []
    wait_s = 60.0
    while True:
        try:
            arrival_s, run = heard.next(wait_s)
        except TimeoutError:
            return found
        if run["start"]["original_run_uid"] == uid:
            found.append(arrival_s)
            wait_s = 8.0


def figures_of(shape: str, times: dict[str, list[float]]) -> Iterator[Figure]:
    """Percent longer than without a callback, pair by pair, and latencies."""
    plain = times["none"]
    for name, percent in (("sleeping", 1), ("in process", 2), ("apart", 1)):
        longer = [100 * (t / p - 1) for t, p in zip(times[name], plain, strict=True)]
        yield Figure(
            f"a scan by {shape}, analysis {name}",
            median(times[name]),
            "s",
            Beside("no callback", median(plain)),
            Target(1 + percent / 100, of="ratio"),
            note=f"{median(longer):+.2f} %, {min(longer):+.2f} to {max(longer):+.2f}",
        )
    for name in ("in process", "apart"):
        yield Figure(
            f"from a reading to the next exposure, by {shape}, analysis {name}",
            median(times[f"{name} between"]),
            "ms",
            Beside("no callback", median(times["none between"])),
        )
    for which in ("first", "last"):
        apart, inside = times[f"apart {which}"], times[f"in process {which}"]
        later = [1e3 * (a - b) for a, b in zip(apart, inside, strict=True)]
        yield Figure(
            f"last event to {which} maps of a scan by {shape}, analysis apart",
            median(apart),
            "s",
            Beside("in process", median(inside)),
            Target(0.3, of="difference"),
            note=f"{min(later):+.0f} to {max(later):+.0f} ms later",
        )


def kill_figure(recipe: Recipe, cube: NDArray[np.float32]) -> Figure:
    """Results of a stored run when the analysis is killed after each of its images."""
    from stxm_live.io.catalog import RawWriter, close_catalog, open_catalog

    expected = map_run(list(image_run(recipe, cube)), recipe).to_xarray()
    identical, times = [], []
    with tempfile.TemporaryDirectory() as folder, a_proxy() as (into, out), ExitStack() as stack:
        (results,) = free_ports(1)
        broker = open_catalog(folder)
        stack.callback(close_catalog, broker)
        writer = RawWriter(broker)
        stack.callback(writer.close)
        publish = publisher(into)
        stack.callback(publish.close)
        server = ServerProcess(out, results, folder)
        stack.callback(server.close)
        heard = Results(results)
        stack.callback(heard.close)
        time.sleep(5)
        for k in range(1, len(cube) + 1):
            documents = list(image_run(recipe, cube))
            found, seconds = killed_after(k, documents, server, heard, [writer, publish], expected)
            identical.append(found)
            times.append(seconds)
            print(f"killed after image {k}: identical {identical[-1]}, {seconds:.1f} s")
    return Figure(
        "maps as without it, SIGKILL after each of 13 images, started anew",
        sum(identical),
        "of 13",
        target=Target(13),
        larger_is_better=True,
        note=f"{median(times):.1f} s after the stop or the new start, at most {max(times):.1f} s",
    )


def killed_after(
    k: int,
    documents: list[Document],
    server: ServerProcess,
    heard: Results,
    subscribers: list[Subscriber],
    expected: Any,
) -> tuple[bool, float]:
    """Whether the refined maps of a run are as expected, and how long after its end they came."""
    n_images = 0
    restart = threading.Thread(target=lambda: (server.kill(), server.start()))
    for name, doc in documents:
        for subscriber in subscribers:
            subscriber(name, doc)
        n_images += name == "event"
        if name == "event" and n_images == k:
            restart.start()
        time.sleep(0.1)
    restart.join()
    start = time.perf_counter()
    uid = documents[0][1]["uid"]
    while time.perf_counter() - start < 120:
        try:
            arrival_s, run = heard.next(120)
        except TimeoutError:
            break
        if run["start"]["original_run_uid"] != uid or run["stop"]["exit_status"] != "success":
            continue
        if run["start"]["analysis"]["attributes"]["revision"] >= 2:
            return holds(run, expected), max(0.0, arrival_s - start)
    return False, time.perf_counter() - start


def holds(run: dict[str, Any], expected: Any) -> bool:
    """Whether the documents of a result hold these products, bit for bit."""
    return all(
        str(name) in run["data"]
        and run["data"][str(name)].dtype == variable.dtype
        and run["data"][str(name)].tobytes() == np.ascontiguousarray(variable.values).tobytes()
        for name, variable in expected.data_vars.items()
    )


def fault_figures(n_streams: int, seed: int) -> Iterator[Figure]:
    """Streams spoilt in every way at every position of every shape; what went wrong, and cost."""
    from growth import rss_mib
    from streams import MUTATIONS, SHAPES, cells, gone_through

    gone_through(min(n_streams, len(cells())), seed)  # imports, and memory that is kept at hand
    before_mib = rss_mib()
    counts, faults, longest_ms = gone_through(n_streams, seed)
    grown_mib = rss_mib() - before_mib
    table = Table("shape", *MUTATIONS, title="fewest streams of any position")
    for shape in SHAPES:
        fewest = [
            min(counts[cell] for cell in cells() if cell[:2] == (shape, mutation))
            for mutation in MUTATIONS
        ]
        table.add_row(shape, *map(str, fewest))
    Console(width=140).print(table)
    n_empty = sum(not counts[cell] for cell in cells())
    print(f"{counts.total()} streams, {n_empty} of {len(cells())} cells empty")
    for fault in faults[:50]:
        print("  ", fault[:300])
    name = f"scans disturbed, frames lost or faults not reported, of {n_streams} spoilt streams"
    yield Figure(name, len(faults), target=Target(0))
    yield Figure(
        "longest of one of their documents, on the thread of the RunEngine",
        *(longest_ms, "ms"),
        target=Target(MOST_MS),
        note="time of the processor",
    )
    yield Figure("growth of memory meanwhile", grown_mib, "MiB", target=Target(MOST_GROWTH_MIB))


def message_figures(n_messages: int, seed: int) -> Iterator[Figure]:
    """Spoilt messages to each socket there is; what they harmed, and what the process grew by."""
    from growth import rss_mib
    from messages import SOCKETS, HarmError

    logging.getLogger("stxm_live").disabled = True  # it tells of every message
    for name, send in SOCKETS.items():
        before_mib, harm = rss_mib(), ""
        start = time.perf_counter()
        try:
            send(n_messages // len(SOCKETS), random.Random(seed))
        except HarmError as error:
            harm = str(error)[:300]
        yield Figure(
            f"harm of {n_messages // len(SOCKETS)} spoilt {name}",
            int(bool(harm)),
            target=Target(0),
            note=f"{harm}{rss_mib() - before_mib:+.0f} MiB, {time.perf_counter() - start:.0f} s",
        )


def growth_figure(recipe: Recipe, n_images: int) -> Figure:
    """Memory of the process while stacks go through one mapper, one after the other."""
    table = Table("images", "RSS / MiB", "blocks", "threads", "files", title="one mapper")
    readings: list[Memory] = []
    for memory in fed(recipe, n_images, every=max(1, n_images // 20)):
        readings.append(memory)
        table.add_row(*map(str, memory))
    Console(width=100).print(table)
    settled, last = readings[len(readings) // 5], readings[-1]
    return Figure(
        f"memory after {last.n_images} images",
        last.rss_mib,
        "MiB",
        Beside(f"after {settled.n_images}", settled.rss_mib),
        note=f"{last.n_blocks - settled.n_blocks:+d} blocks, "
        f"{last.n_threads - settled.n_threads:+d} threads, "
        f"{last.n_files - settled.n_files:+d} files",
    )


if __name__ == "__main__":
    main()
