"""Time of the processor that one document takes on the thread of the RunEngine.

    python -m benchmarks.robustness.scan_thread [--repeats 3]

Documents that are large in odd ways (synthetic) are given to the mapper, the writer of raw runs and
the publisher, each alone, with a second between them. The time is that of the calling thread, so a
busy machine changes it little. Further figures are of 13 images of 64 MB in a row, for most of
which no memory is at hand.
"""

from __future__ import annotations

import logging
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from event_model import compose_run

from benchmarks.common.figures import Figure, Target, benchmark_parser, report
from stxm_live import LivePhaseMapper, Recipe
from stxm_live.io.catalog import RawWriter, close_catalog, open_catalog
from stxm_live.live.remote import publisher

MOST_MS = 50.0

IMAGES_IN_A_ROW = 13

PAUSE_S = 1.0
"""Seconds between documents; a detector of 64 MB takes as long."""

Subscriber = Callable[[str, Mapping[str, Any]], None]


def values() -> Iterator[tuple[str, Any]]:
    """Yield readings that are large in odd ways."""
    yield "lists, 1024 x 1024", np.zeros((1024, 1024)).tolist()
    yield "ragged lists", [*np.zeros((1024, 1024)).tolist(), [0]]
    yield "1e6 numbers", [float(k) for k in range(10**6)]
    yield "1e6 numbers and texts", [0.5, "x"] * 500_000
    yield "1e5 dicts", [{"a": k, "b": [k]} for k in range(10**5)]
    yield "a dict of 1e6", {str(k): k for k in range(10**6)}
    yield "1e5 texts, one long", ["x" * 20_000] + ["x"] * 10**5
    yield "1e5 arrays", [np.zeros(4)] * 10**5
    yield "1e6 objects", np.full((1000, 1000), 0.5, dtype=object)
    yield "64 MB", np.ones((4096, 4096), np.float32)
    yield "64 MB by columns", np.ones((4096, 4096), np.float32).T


def documents() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield documents of runs: what it has in it, name, document."""
    for what, value in values():
        run = compose_run(metadata={"plan_name": "count"})
        stream = run.compose_descriptor(
            name="primary",
            data_keys={"a": {"source": "t", "dtype": "array", "shape": []}},
            validate=False,
        )
        yield "", "start", run.start_doc
        yield "", "descriptor", stream.descriptor_doc
        event = stream.compose_event(data={"a": value}, timestamps={"a": 0.0}, validate=False)
        yield what, "event", event
        yield "", "stop", run.compose_stop()
        yield f"start: {what}", "start", {**compose_run().start_doc, "odd": value}
    yield (
        "start: 1e6 fields",
        "start",
        {**compose_run().start_doc, **dict.fromkeys(map(str, range(10**6)))},
    )


def images_in_a_row() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield a run of large images."""
    run = compose_run(metadata={"plan_name": "count"})
    keys = {"a": {"source": "t", "dtype": "array", "shape": [4096, 4096]}}
    stream = run.compose_descriptor(name="primary", data_keys=keys, validate=False)
    yield "start", run.start_doc
    yield "descriptor", stream.descriptor_doc
    image = np.ones((4096, 4096), np.float32)
    for _ in range(IMAGES_IN_A_ROW):
        yield (
            "event",
            stream.compose_event(data={"a": image}, timestamps={"a": 0.0}, validate=False),
        )
    yield "stop", run.compose_stop()


def milliseconds(call: Subscriber, name: str, doc: Mapping[str, Any]) -> tuple[float, float]:
    """Return the time of the processor that a document takes, and that of it in the system."""
    begun, system_s = time.thread_time(), resource.getrusage(resource.RUSAGE_THREAD).ru_stime
    call(name, doc)
    took = time.thread_time() - begun
    return 1e3 * took, 1e3 * (resource.getrusage(resource.RUSAGE_THREAD).ru_stime - system_s)


@contextmanager
def subscribers() -> Iterator[dict[str, Subscriber]]:
    """Yield everything of ours that a RunEngine calls."""
    with tempfile.TemporaryDirectory() as folder:
        broker = open_catalog(Path(folder) / "c")
        writer = RawWriter(broker)
        sender = publisher("127.0.0.1:5577")
        mapper = LivePhaseMapper(Recipe.load("nvpf"))
        yield {"mapper": mapper, "writer": writer, "publisher": sender}
        mapper.close()
        sender.close()
        writer.close()
        close_catalog(broker)


def main() -> None:
    """Print the longest time of each subscriber, and for which document."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    logging.getLogger("stxm_live").setLevel(logging.CRITICAL)
    longest: dict[str, tuple[float, str]] = {}
    at_once: dict[str, tuple[float, float]] = {}
    with subscribers() as called:
        for who, call in called.items():
            for _ in range(arguments.repeats):
                for what, name, doc in documents():
                    time.sleep(PAUSE_S if what else 0.0)
                    took, _ = milliseconds(call, name, doc)
                    longest[who] = max(longest.get(who, (0.0, "")), (took, what or name))
            at_once[who] = max(milliseconds(call, *image) for image in images_in_a_row())
    figures = [
        Figure(f"longest of one document, {who}", ms, "ms", target=Target(MOST_MS), note=what)
        for who, (ms, what) in longest.items()
    ] + [
        Figure(
            *(f"{IMAGES_IN_A_ROW} images of 64 MB in a row, {who}", ms, "ms"),
            target=Target(MOST_MS),
            note=f"{system_ms:.0f} ms of it in the system, which finds memory",
        )
        for who, (ms, system_ms) in at_once.items()
    ]
    report("thread of the RunEngine", figures, arguments.figures)


if __name__ == "__main__":
    main()
