"""A program that ends at any document of a run: killed, or at the end of its script.

    python -m benchmarks.robustness.endings [--side 64]

A child process stores a run of 13 images, 0.1 s apart, and ends at one document after the other, by
SIGKILL or because its script is over. The next program restores what it finds; the run must then
give back the documents that were sent, and the same maps.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common.documents import Document, image_run, simulated_counts
from benchmarks.common.figures import Figure, Target, benchmark_parser, report
from stxm_live import Recipe, map_run
from stxm_live.io.catalog import RawWriter, close_catalog, open_catalog, restore_run
from stxm_live.io.catalog.read_back import stored_digests

PAUSE_S = 0.1
"""Seconds between documents, as in a fast scan."""


def main() -> None:
    """Print how many runs are as they were sent."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--side", type=int, default=64, help="pixels along each side")
    parser.add_argument("--child", nargs=3, help="folder, kill or exit, number of images")
    options = parser.parse_args()
    documents = list(
        image_run(Recipe.load("nvpf"), simulated_counts(Recipe.load("nvpf"), options.side))
    )
    if options.child:
        folder, how, n_images = options.child
        send(documents[: 2 + int(n_images)], Path(folder), how)
        return
    figures = [ending(how, documents, options.side) for how in ("kill", "exit")]
    report("a program that ends in a run", figures, options.figures)


def send(documents: Sequence[Document], folder: Path, how: str) -> None:
    """Send documents to a raw writer, and end."""
    writer = RawWriter(open_catalog(folder))
    for name, doc in documents:
        writer(name, doc)
        time.sleep(PAUSE_S)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)


def ending(how: str, documents: Sequence[Document], side: int) -> Figure:
    """Return the number of images after which the program may end and the run is as sent."""
    n_images = len(documents) - 3
    good = 0
    for k in range(1, n_images + 1):
        with tempfile.TemporaryDirectory() as folder:
            child = [sys.executable, "-m", "benchmarks.robustness.endings", "--side", str(side)]
            subprocess.run([*child, "--child", folder, how, str(k)], check=False)
            is_good = is_as_sent(Path(folder), documents[: 2 + k])
        print(f"{how} after image {k}: {'as sent' if is_good else 'NOT as sent'}", flush=True)
        good += is_good
    name = f"runs that replay as they were sent, {how} after each of {n_images} images"
    return Figure(name, good, f"of {n_images}", target=Target(n_images), larger_is_better=True)


def is_as_sent(folder: Path, documents: Sequence[Document]) -> bool:
    """Restore what is left of a run, and compare documents and maps."""
    broker = open_catalog(folder)
    try:
        writer = RawWriter(broker)
        for path in writer.leftovers:
            restore_run(broker, path)
        writer.close()
        uids = list(broker.v2)
        if len(uids) != 1:
            return False
        run = broker.v2[uids[0]]
        if stored_digests(run) != stored_digests(documents):
            return False
        if len(documents) == 3:  # one image makes no map
            return True
        stop = {"uid": "end", "time": 0.0, "run_start": documents[0][1]["uid"]}
        sent = map_run([*documents, ("stop", {**stop, "exit_status": "abort"})], _recipe())
        return not sent.differences(map_run(run, _recipe()))
    finally:
        close_catalog(broker)


def _recipe() -> Recipe:
    return Recipe.load("nvpf")


if __name__ == "__main__":
    main()
