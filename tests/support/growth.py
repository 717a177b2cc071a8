"""Many small stacks through one mapper, and what the process holds meanwhile."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from event_model import compose_run

from stxm_live import LivePhaseMapper, Recipe, StackScan
from stxm_live.sim.instrument import SimulatedMicroscope

SIDE = 24
_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20


class Memory(NamedTuple):
    """What a process holds after so many images."""

    n_images: int
    rss_mib: float
    n_blocks: int
    n_threads: int
    n_files: int

    @classmethod
    def now(cls, n_images: int) -> Memory:
        """After the garbage is collected."""
        gc.collect()
        return cls(
            n_images,
            round(rss_mib(), 1),
            sys.getallocatedblocks(),
            threading.active_count(),
            sum(1 for _ in Path("/proc/self/fd").iterdir()),
        )


def rss_mib() -> float:
    """What the process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_MIB


def small_counts(recipe: Recipe) -> np.ndarray:
    """Counts (13, SIDE, SIDE) of a particle with room around it."""
    simulated = SimulatedMicroscope.with_particle(
        recipe.reference_spectra, rng=np.random.default_rng(2), shape=(SIDE, SIDE)
    )
    x0, x1, y0, y1 = 1.7 * np.asarray(simulated.specimen.extent_um)
    x_um, y_um = np.linspace(x0, x1, SIDE), np.linspace(y0, y1, SIDE)
    microscope = simulated.microscope
    microscope.begin_stack()
    images = []
    for energy_ev in recipe.energies_ev or ():
        microscope.begin_image()
        images.append(microscope.counts(energy_ev, x_um, y_um))
    return np.asarray(images, np.float32)


def documents(recipe: Recipe, cube: np.ndarray) -> Iterator[tuple[str, dict]]:
    """A run of one event per image; every array is a copy of its own, as from a detector."""
    scan = StackScan(
        shape=cube.shape,
        energies_ev=recipe.energies_ev,
        x_extent_um=(0, 2),
        y_extent_um=(0, 2),
        energy_motor="energy",
        data_field="counts",
    )
    keys = {
        "energy": {"source": "test", "dtype": "number", "shape": []},
        "counts": {"source": "test", "dtype": "array", "shape": list(cube.shape[1:])},
    }
    run = compose_run(metadata=scan.metadata())
    yield "start", run.start_doc
    stream = run.compose_descriptor(name="primary", data_keys=keys)
    yield "descriptor", stream.descriptor_doc
    for energy_ev, image in zip(scan.energies_ev, cube, strict=True):
        data = {"energy": energy_ev, "counts": image.copy()}
        stamps = dict.fromkeys(data, 0.0)
        yield "event", stream.compose_event(data=data, timestamps=stamps, validate=False)
    yield "stop", run.compose_stop()


class Shown:
    """A sink that keeps the newest of all, as a display does."""

    view = maps = None

    def on_cube(self, view: object) -> None:
        self.view = view

    def on_maps(self, maps: object) -> None:
        self.maps = maps


def fed(recipe: Recipe, n_images: int, *, every: int) -> Iterator[Memory]:
    """Feed so many images and tell after every few; all must be mapped whole."""
    cube = small_counts(recipe)
    with LivePhaseMapper(recipe) as live:
        live.add_sink(Shown())
        live.add_sink(Shown(), own_thread=True)
        n_fed = told = 0
        while n_fed < n_images:
            uid = ""
            for name, doc in documents(recipe, cube):
                uid = doc["uid"] if name == "start" else uid
                live(name, doc)
            maps = live.wait(uid, timeout_s=120)
            assert maps.status == "complete"
            n_fed += len(cube)
            del maps
            if n_fed - told >= every or n_fed >= n_images:
                told = n_fed
                yield Memory.now(n_fed)
