"""A real embedded catalogue and a real RunEngine for tests; imported by conftest."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import ClassVar

import numpy as np
import pytest

from stxm_live.core.scan import StackScan


class EnergyImageDevice:
    """Readable and settable: shows image ``round(energy)`` of a stack, reusing one buffer.

    ``fields`` of its events are ``energy`` and ``counts``.
    """

    name = "microscope"
    parent = None
    hints: ClassVar[dict] = {}

    def __init__(self, images, energies, *, dtype_numpy=None):
        self.images = dict(zip(energies, images, strict=True))
        self.energy = energies[0]
        self.reads = 0
        self._buffer = np.empty_like(images[0])
        self._dtype_numpy = dtype_numpy or images.dtype.str

    def set(self, energy):
        from ophyd.sim import NullStatus

        self.energy = energy
        return NullStatus()

    def trigger(self):
        from ophyd.sim import NullStatus

        self._buffer[...] = self.images[self.energy]
        return NullStatus()

    def read(self):
        self.reads += 1
        now = time.time()
        return {
            "energy": {"value": self.energy, "timestamp": now},
            "counts": {"value": self._buffer, "timestamp": now},
        }

    def describe(self):
        return {
            "energy": {"source": "test", "dtype": "number", "shape": [], "units": "eV"},
            "counts": {
                "source": "test",
                "dtype": "array",
                "shape": list(self._buffer.shape),
                "dtype_numpy": self._dtype_numpy,
            },
        }

    def read_configuration(self):
        return {}

    def describe_configuration(self):
        return {}


def stack_images(n_energies=4, ny=5, nx=7, seed=0, dtype=np.float32):
    """Images of which every pixel of every energy is another number."""
    rng = np.random.default_rng(seed)
    return rng.uniform(1.0, 5000.0, (n_energies, ny, nx)).astype(dtype)


def image_scan(n_energies=4, ny=5, nx=7):
    """The start-document blocks of `EnergyImageDevice`."""
    return StackScan(
        shape=(n_energies, ny, nx),
        energies_ev=tuple(515.0 + k for k in range(n_energies)),
        x_extent_um=(0, 1),
        y_extent_um=(3, 2),
        energy_motor="energy",
        data_field="counts",
    )


@pytest.fixture(scope="session")
def broker(tmp_path_factory) -> Iterator:
    """One embedded catalogue for the whole session: opening one imports Tiled for seconds."""
    from stxm_live.io.catalog import close_catalog, open_catalog

    opened = open_catalog(tmp_path_factory.mktemp("catalog"))
    yield opened
    close_catalog(opened)


@pytest.fixture(autouse=True)
def dependencies_once() -> None:
    """FastAPI looks at the functions of Tiled whenever a catalogue is opened, a third of its time.

    Here it remembers their signatures, from the first test on that finds it imported.
    """
    fastapi = sys.modules.get("fastapi.dependencies.utils")
    if fastapi is not None and not hasattr(fastapi.get_typed_signature, "cache_info"):
        fastapi.get_typed_signature = lru_cache(500)(fastapi.get_typed_signature)


def stack_plan(device, scan, *, before_image=None, md=None):
    """A stack of one event per image; ``before_image(k)`` is a plan inserted before image k."""
    import bluesky.plan_stubs as bps
    import bluesky.preprocessors as bpp

    @bpp.run_decorator(md={"plan_name": "stack", **(md or {}), **scan.metadata()})
    def inner():
        for k, energy_ev in enumerate(scan.energies_ev):
            yield from bps.checkpoint()
            yield from bps.abs_set(device, energy_ev, wait=True)
            if before_image is not None:
                yield from before_image(k)
            yield from bps.trigger_and_read([device])

    return inner()


def line_documents(images, scan, *, lines=None, exit_status="success"):
    """The documents of one event per line, the ALS way; ``lines`` tells in which order."""
    from event_model import compose_run

    ny, nx = scan.image_shape
    run = compose_run(metadata=scan.metadata())
    yield "start", run.start_doc
    keys = {
        "energy": {"source": "test", "dtype": "number", "shape": []},
        "counts": {"source": "test", "dtype": "array", "shape": [nx], "dtype_numpy": "<f4"},
    }
    stream = run.compose_descriptor(name="primary", data_keys=keys)
    yield "descriptor", stream.descriptor_doc
    for line in range(len(images) * ny) if lines is None else lines:
        k, row = divmod(line, ny)
        data = {"energy": scan.energies_ev[k], "counts": images[k, row]}
        times = dict.fromkeys(data, 1.0)
        yield "event", stream.compose_event(data=data, timestamps=times, seq_num=line + 1)
    if exit_status:
        yield "stop", run.compose_stop(exit_status=exit_status)


def listed_by_tiled(broker, **limit):
    """The list of a catalogue on a server, of which there is no database to look into."""
    from stxm_live.io.catalog import list_runs

    broker.stxm_live_folder, folder = None, broker.stxm_live_folder
    try:
        return list_runs(broker, **limit)
    finally:
        broker.stxm_live_folder = folder
