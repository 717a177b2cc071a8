"""Simulated counts, and runs of documents with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from event_model import compose_run
from numpy.typing import NDArray

from stxm_live import Recipe, StackScan
from stxm_live.sim.instrument import SimulatedMicroscope

Document = tuple[str, dict[str, Any]]


def simulated_counts(recipe: Recipe, side: int) -> NDArray[np.float32]:
    """Counts (13, side, side), float32: 1 MiB an image at 512; a particle that drifts."""
    microscope = SimulatedMicroscope.with_particle(
        recipe.reference_spectra, rng=np.random.default_rng(1), shape=(side, side)
    )
    return scanned_counts(microscope, recipe.energies_ev or (), side)


def scanned_counts(
    microscope: SimulatedMicroscope, energies_ev: Sequence[float], side: int
) -> NDArray[np.float32]:
    """Counts (n_energies, side, side) of the whole specimen, without a plan."""
    x0, x1, y0, y1 = microscope.specimen.extent_um
    x, y = np.linspace(x0, x1, side), np.linspace(y0, y1, side)
    microscope.microscope.begin_stack()
    images = []
    for energy_ev in energies_ev:
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
