"""A synthetic stack mapped with its arrays in files, beside the same in memory.

    python -m benchmarks.speed.large_stack [--side 256 --energies 40 --gib 0.02]
    python -m benchmarks.speed.large_stack --side 2048 --energies 150 --gib 4 --files-only
    python -m benchmarks.speed.large_stack --side 2048 --energies 16 --gib 0.5 --catalog

The stack (NXstxm, uint16) is made image by image. Each road is a process of its own, with the
steps from the file to maps, pictures, page and results file. ``anonymous`` is the largest memory of
the process that only it can free (RssAnon of Linux), ``peak`` its largest memory with what it
shows of files (VmHWM), and ``reader`` that of the process that reads the file (ru_maxrss).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.common.figures import Beside, Figure, Target, benchmark_parser, write_figures
from benchmarks.speed.memory import status_mib
from stxm_live.core.file_arrays import MEMORY, SCRATCH, is_in_file
from stxm_live.core.recipe import Recipe
from stxm_live.core.stack import Stack
from stxm_live.sim.phantom import STATES_OF_CHARGE, make_particle

ROADS = ("in files", "in memory")

_TILE = 512
"""Pixels along each side of the particle; in larger fields each stands for several pixels."""

_ENERGIES_EV = (506.0, 534.0)


def main() -> None:
    """Make the stack, map it on both roads and print memory, time and the comparison."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--side", type=int, default=256, help="pixels along each side")
    parser.add_argument("--energies", type=int, default=40)
    parser.add_argument("--gib", type=float, default=0.02, help="memory that the map is given")
    parser.add_argument("--files-only", action="store_true", help="not in memory, for a large one")
    parser.add_argument("--catalog", action="store_true", help="read it as a run of a catalogue")
    parser.add_argument("--file", type=Path, help="such a stack, if it is there already")
    parser.add_argument("--road", choices=ROADS, help="measure here")
    options = parser.parse_args()
    if options.road:
        print(json.dumps(measured(options.file)))
        return
    with tempfile.TemporaryDirectory(dir=os.environ.get(SCRATCH)) as folder:
        path = options.file or Path(folder) / "synthetic.hdf5"
        if options.file is None:
            write_stack(path, options.side, options.energies)
        if options.catalog:
            path = imported(path, Path(folder) / "runs")
        found = {road: in_process(road, path, options) for road in ROADS[: 2 - options.files_only]}
    report(found, options)


def imported(path: Path, catalog: Path) -> Path:
    """Return the catalogue into which a stack was imported by a process of its own."""
    command = [sys.executable, "-m", "stxm_live", "import", str(path), "--catalog", str(catalog)]
    subprocess.run(command, check=True, stdout=sys.stderr)
    return catalog


def in_process(road: str, path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Return what a process of its own measures."""
    command = [sys.executable, "-m", "benchmarks.speed.large_stack", "--road", road]
    gib = options.gib if road == "in files" else 1024
    done = subprocess.run(
        [*command, "--file", str(path)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, MEMORY: str(gib)},
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def report(found: dict[str, dict[str, Any]], options: argparse.Namespace) -> None:
    """Print a table, and write the figures."""
    steps = ("read", "map", "pictures", "page", "results file")
    table = Table("road", "cube, MiB", "anonymous", "peak", "reader", *steps)
    for road, one in found.items():
        sizes = (one[name] for name in ("cube", "anonymous", "peak", "reader"))
        seconds = (f"{one['steps'][step]['seconds']:.0f} s" for step in steps)
        table.add_row(road, *(f"{mib:.0f}" for mib in sizes), *seconds)
        for step, values in one["steps"].items():
            print(f"{road}, {step}: {values}")
    Console(width=140).print(table)
    files, memory = found["in files"], found.get("in memory")
    size = f"{options.energies} x {options.side} x {options.side}"
    figures = [
        Figure(
            f"peak memory of a map in files, {size}",
            files["peak"],
            "MiB",
            None if memory is None else Beside("in memory", memory["peak"]),
            Target(4096.0),
        )
    ]
    if memory is not None:
        differing = [k for k, v in memory["products"].items() if files["products"].get(k) != v]
        print(f"products that differ: {differing or 'none'} of {len(memory['products'])}")
        figures.append(
            Figure("products that differ", float(len(differing)), "", target=Target(0.0))
        )
    write_figures(options.figures, figures)


def measured(path: Path) -> dict[str, Any]:
    """Return memory and time of every step, in MiB and s, and a hash of each product."""
    from stxm_live.dashboard import write_page
    from stxm_live.io.results import write_nexus
    from stxm_live.phase_mapping.workflow import map_phases
    from stxm_live.plotting import write_pictures

    recipe = Recipe.from_values({"name": "wide", "references": Recipe.load("nvpf").references})
    steps: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        with step("read", steps):
            stack = last_run(path) if path.is_dir() else read_file(path)
        reader = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        images = [frame.intensity for frame in stack.frames]
        cube_mib, in_file = sum(4 * image.size for image in images) / 2**20, is_in_file(images[0])
        del images
        with step("map", steps):
            maps = map_phases(stack, recipe)
        del stack
        with step("pictures", steps):
            write_pictures(maps, folder)
        with step("page", steps):
            page = write_page(maps, Path(folder) / "maps.html")
        with step("results file", steps):
            results = write_nexus(maps, Path(folder) / "maps.nxs")
        steps["page"]["MB"] = round(page.stat().st_size / 1e6, 1)
        steps["results file"]["MB"] = round(results.stat().st_size / 1e6, 1)
    products = {str(name): _hash(values.values) for name, values in maps.to_xarray().items()}
    return {
        "cube": cube_mib,
        "in_file": in_file,
        "anonymous": max(one["anonymous"] for one in steps.values()),
        "peak": status_mib("VmHWM"),
        "reader": reader or _ended_reader_mib(),
        "steps": steps,
        "products": products | {"warnings": list(maps.warnings)},
    }


def read_file(path: Path) -> Stack:
    """Return the stack of a file."""
    from stxm_live.io.files import read_stack

    return read_stack(path)


def last_run(catalog: Path) -> Stack:
    """Return the stack of the last run of a catalogue."""
    from stxm_live.io.catalog import close_catalog, open_catalog
    from stxm_live.live.replay import stack_of_run

    broker = open_catalog(catalog)
    try:
        return stack_of_run(broker[-1])
    finally:
        close_catalog(broker)


def _ended_reader_mib() -> float:
    """Return the largest memory of the process that reads files; 0 if no file was read."""
    from stxm_live.io.files import reading_apart

    if reading_apart._process is None:
        return 0.0
    pid = reading_apart._process.pid
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


@contextmanager
def step(name: str, steps: dict[str, Any]) -> Iterator[None]:
    """Measure a step: seconds by the clock and of the processor, and the peaks meanwhile, MiB."""
    done, peaks = threading.Event(), {"anonymous": 0.0, "resident": 0.0}

    def watch() -> None:
        while not done.wait(0.02):
            for key, line in (("anonymous", "RssAnon"), ("resident", "VmRSS")):
                peaks[key] = max(peaks[key], round(status_mib(line)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    begun_s, processor_s = time.monotonic(), time.process_time()
    try:
        yield
    finally:
        done.set()
        watcher.join()
    steps[name] = {
        "seconds": round(time.monotonic() - begun_s, 1),
        "processor_s": round(time.process_time() - processor_s, 1),
        **peaks,
    }
    print(name, steps[name], file=sys.stderr, flush=True)


def _hash(values: np.ndarray) -> str:
    total = hashlib.sha256()
    for image in values if values.ndim == 3 else values[None]:
        total.update(np.ascontiguousarray(image).tobytes())
    return total.hexdigest()[:16]


def write_stack(path: Path, side: int, n_energies: int) -> None:
    """Write a SYNTHETIC stack of particles that drift, with 2000 counts of I0."""
    import h5py

    recipe, rng, tile = Recipe.load("nvpf"), np.random.default_rng(1), min(side, _TILE)
    made = make_particle((tile, tile), phase_weights=STATES_OF_CHARGE["Na2VPF"], rng=rng)
    amount = made.fractions * (made.thickness_nm / 100)
    energies = np.linspace(*_ENERGIES_EV, n_energies).round(3)
    spectra = recipe.reference_spectra.at(energies).T
    with h5py.File(path, "w") as file:
        file["entry1/definition"] = [b"NXstxm"]
        file["entry1/title"] = [b"SYNTHETIC"]
        group = file.create_group("entry1/counter0")
        for one, kind in ((file["entry1"], "NXentry"), (group, "NXdata")):
            one.attrs["NX_class"] = kind
        group.attrs["signal"] = "data"
        group.attrs["axes"] = np.array(["energy", "sample_y", "sample_x"], dtype="S")
        group["stxm_scan_type"] = [b"sample image stack"]
        shape = (n_energies, side, side)
        counts = group.create_dataset("data", shape, "u2", chunks=(1, tile // 2, tile // 2))
        for k, spectrum in enumerate(spectra):
            od = np.tensordot(spectrum, amount, axes=1)
            drift = int(3 * np.sin(k / 9)), k // 25
            od = np.roll(od, drift, axis=(0, 1)).repeat(side // tile, 0).repeat(side // tile, 1)
            counts[k] = rng.poisson(2000 * np.exp(-od))
        pixels = np.arange(side) * 0.03
        for name, values in (("energy", energies), ("sample_y", pixels), ("sample_x", pixels)):
            group[name] = values
            group[name].attrs["units"] = "eV" if name == "energy" else "um"
        group["count_time"] = np.full(n_energies, 0.002)
        group["count_time"].attrs["units"] = "s"


if __name__ == "__main__":
    main()
