"""Images in HDF5 files, read in a process of their own and within the process of the scan.

    python -m benchmarks.speed.image_files [--side 512] [--images 24]

Beside the time for an image: the longest time in which another thread, such as that of the
RunEngine, did not get the interpreter.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.common.figures import Beside, Figure, Target, benchmark_parser, write_figures
from stxm_live.io.documents import Roots
from stxm_live.io.documents.file_reader import FileReader
from stxm_live.io.documents.hdf5_images import Hdf5Images

MORE_MS = 5.0
"""Milliseconds that an image may come later because another process reads it."""


class Cost(NamedTuple):
    """Median time of an image, and the longest pause of another thread, in ms."""

    image_ms: float
    pause_ms: float


def main() -> None:
    """Print a row for each compression."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--side", type=int, default=512, help="pixels along each side")
    parser.add_argument("--images", type=int, default=24)
    arguments = parser.parse_args()
    table = Table(title=f"{arguments.side} x {arguments.side}, uint16: ms of an image (of a pause)")
    for title in ("", "own process", "process of the scan"):
        table.add_column(title, justify="right")
    figures = []
    with TemporaryDirectory() as folder:
        for compression in (None, "gzip"):
            path = Path(folder) / f"{compression}.h5"
            write(path, arguments.images, arguments.side, compression)
            costs = [cost(read, arguments.images) for read in ways(path, arguments.side)]
            table.add_row(
                str(compression), *(f"{c.image_ms:.1f} ({c.pause_ms:.1f})" for c in costs)
            )
            own, inside = costs
            figures.append(
                Figure(
                    f"image from a file, {compression} compression",
                    own.image_ms,
                    "ms",
                    Beside("within the process", inside.image_ms),
                    Target(MORE_MS, of="difference"),
                )
            )
    Console().print(table)
    write_figures(arguments.figures, figures)


def write(path: Path, n_images: int, side: int, compression: str | None) -> None:
    """Write counts of about 1000 photons, an image in each chunk."""
    images = np.random.default_rng(0).poisson(1000, (n_images, side, side)).astype(np.uint16)
    with h5py.File(path, "w", libver="latest") as file:
        file.create_dataset("d", data=images, chunks=(1, side, side), compression=compression)


def ways(path: Path, side: int) -> Iterator[Callable[[int], NDArray[np.uint16]]]:
    """Yield the two ways to read the image of a number."""
    roots = Roots([path.parent])
    reader = FileReader(roots)
    reader.max_values = side * side
    yield lambda k: reader.hdf5(str(path), "d", index=k, n_frames=1)
    yield partial(Hdf5Images(str(path), "d", roots).event, n_frames=1)


def cost(read: Callable[[int], NDArray[np.uint16]], n_images: int) -> Cost:
    """Return what reading one image after the other costs; the first one opens the file."""
    read(0)
    durations = []
    with heartbeat() as pauses:
        for k in range(1, n_images):
            start = time.perf_counter()
            read(k)
            durations.append(time.perf_counter() - start)
            time.sleep(0.01)
    return Cost(1e3 * float(np.median(durations)), 1e3 * max(pauses))


@contextmanager
def heartbeat() -> Iterator[list[float]]:
    """Yield the times in seconds between two turns of a thread that asks for one each ms."""
    pauses, is_over = [0.0], threading.Event()

    def beat() -> None:
        last = time.perf_counter()
        while not is_over.wait(0.001):
            now = time.perf_counter()
            pauses.append(now - last)
            last = now

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield pauses
    finally:
        is_over.set()
        thread.join()


if __name__ == "__main__":
    main()
