"""Stacks written as NXstxm, for MANTiS and other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.stack import Stack
from stxm_live.core.whole_file import whole_hdf5

DETECTOR = "counter0"
"""The name MANTiS and the beamlines' programs expect."""


def write_nexus_stxm(path: str | Path, stack: Stack, *, title: str = "") -> None:
    """Write a stack as NXstxm (version 1.1 of the definition).

    Parameters
    ----------
    path : path-like
        An ``.hdf5`` file; an existing one is replaced when the new one is complete.
    stack : Stack
        Its frames are written in ascending energy, without missing ones; a missing pixel is
        NaN. `stxm_live.preprocessing.normalization.aligned_stack` makes one of
        aligned images.
    title : str

    Notes
    -----
    Texts are arrays of length one and axes are bytes of fixed length, as MANTiS 3.3 requires.
    The energy is the measured one of each image; ``count_time`` is in seconds. The definition
    asks for the times of start and end; a stack does not know them and they are left empty.
    """
    with whole_hdf5(path) as file:
        file.attrs["default"] = "entry1"
        _write_entry(_group(file, "entry1", "NXentry"), stack, title)


def _write_entry(entry: Any, stack: Stack, title: str) -> None:
    intensity = stack.intensity()
    x, y = _positions(stack)
    energies_ev = np.array(stack.energies_ev)
    _texts(entry, definition="NXstxm", title=title or str(stack.key), start_time="", end_time="")
    entry["definition"].attrs["version"] = "1.1"
    entry.attrs["default"] = DETECTOR
    data = _group(entry, DETECTOR, "NXdata")
    data.attrs["signal"] = "data"
    data.attrs["axes"] = np.array(["energy", "sample_y", "sample_x"], dtype="S")
    _texts(data, stxm_scan_type="sample image stack")
    _numbers(data, "data", intensity, stack.scan.quantity or "counts")
    for place, (name, values, unit) in enumerate(
        (("energy", energies_ev, "eV"), ("sample_y", y, "um"), ("sample_x", x, "um"))
    ):
        _numbers(data, name, values, unit)
        data.attrs[f"{name}_indices"] = place
    count_time_s = np.full(len(energies_ev), stack.scan.dwell_ms / 1000)
    _numbers(data, "count_time", count_time_s, "s")
    _write_instrument(entry, stack)
    sample = _group(entry, "sample", "NXsample")
    _numbers(sample, "rotation_angle", np.zeros(1), "degree")
    current = [np.nan if f.monitor is None else f.monitor for f in stack.frames]
    if np.isfinite(current).any():
        control = _group(entry, "control", "NXmonitor")
        _numbers(control, "data", np.broadcast_to(np.reshape(current, (-1, 1, 1)), intensity.shape))


def _write_instrument(entry: Any, stack: Stack) -> None:
    """Write the groups that the definition requires; the counts are linked, not copied."""
    instrument = _group(entry, "instrument", "NXinstrument")
    source = _group(instrument, "source", "NXsource")
    _texts(source, type="Synchrotron X-ray Source", name="unknown", probe="x-ray")
    monochromator = _group(instrument, "monochromator", "NXmonochromator")
    _numbers(monochromator, "energy", np.array(stack.energies_ev), "eV")
    detector = _group(instrument, "detector", "NXdetector")
    detector["data"] = entry[DETECTOR]["data"]


def _positions(stack: Stack) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the pixel centers in um along x and y."""
    (ny, nx), (x0, x1, y0, y1) = stack.scan.image_shape, stack.scan.extent_um
    return np.linspace(x0, x1, nx), np.linspace(y0, y1, ny)


def _group(parent: Any, name: str, nx_class: str) -> Any:
    made = parent.create_group(name)
    made.attrs["NX_class"] = nx_class
    return made


def _texts(parent: Any, **texts: str) -> None:
    for name, value in texts.items():
        parent.create_dataset(name, data=[value.encode("utf-8")])


def _numbers(parent: Any, name: str, values: NDArray[np.floating], unit: str = "") -> None:
    parent.create_dataset(name, data=values)
    if unit:
        parent[name].attrs["units"] = unit
