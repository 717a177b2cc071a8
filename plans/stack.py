"""The plan of a stack: one image per photon energy, in one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

import bluesky.plan_stubs as bps
import numpy as np
from bluesky.protocols import Movable, Preparable, Readable
from bluesky.utils import MsgGenerator

from stxm_live.plans.beam import as_run
from stxm_live.plans.limits import check_limits, check_region
from stxm_live.scan import StackScan


def stxm_stack(
    detector: Readable,
    energy: Movable,
    y_axis: Movable | None = None,
    *,
    energies_ev: Sequence[float],
    x_extent_um: tuple[float, float],
    y_extent_um: tuple[float, float],
    nx: int,
    ny: int,
    dwell_ms: float = 1.0,
    mode: Literal["image", "line"] = "image",
    shutter: Movable | None = None,
    monitors: Sequence[Readable] = (),
    data_field: str | None = None,
    i0_field: str | None = None,
    region: str = "1",
    polarization: str = "",
    group_uid: str | None = None,
    parent: str | None = None,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Record an image at each energy, in the order given; returns the run's uid.

    A pause repeats the image (in line mode the line) it interrupts. In line mode the y axis goes
    back at the end to where it was.

    Parameters
    ----------
    detector : Readable
        In image mode it gives the image of a region, in line mode the line at the y axis. A
        detector that can be prepared is given the region (as a `StackScan`) first.
    energy : Movable
        Monochromator; what it reads is stored with every event.
    y_axis : Movable, optional
        Needed in line mode.
    energies_ev : sequence of float
        Any order, each once.
    x_extent_um, y_extent_um : (float, float)
        First and last pixel centre in the order scanned; may descend.
    mode : {"image", "line"}
        One event per image, or one per line (the ALS contract: ``seq_num = iE*ny + iy + 1``).
    shutter : Movable, optional
        Set to "open" before the first image and to "close" however the scan ends.
    monitors : sequence of Readable
        Read with every event, such as the ring current.
    data_field : str, optional
        Data key of the counts; by default the array key that bears the detector's name, or its
        only one.
    i0_field : str, optional
        Data key of a monitor that measures I0.
    group_uid : str, optional
        Common to the runs that belong together, such as those of an exploration.
    parent : str, optional
        The run on whose maps the region was chosen.

    Raises
    ------
    ValueError
        Before anything moves, if the arguments contradict each other, if a position is beyond a
        limit (the message names both), or if a device cannot tell its limits.
    """
    scan = StackScan(
        shape=(len(energies_ev), ny, nx),
        energies_ev=tuple(float(e) for e in energies_ev),
        dwell_ms=dwell_ms,
        x_extent_um=x_extent_um,
        y_extent_um=y_extent_um,
        y_motor="sample_y" if y_axis is None else _readback_key(y_axis),
        energy_motor=_readback_key(energy),
        data_field=data_field or _counts_key(detector),
        i0_field=i0_field,
        region=region,
        polarization=polarization,
        group_uid=group_uid,
        parent=parent,
    )
    axes = [energy] if y_axis is None else [energy, y_axis]
    yield from _check(scan, detector, energy, y_axis, mode)
    readables = [detector, energy, *monitors]
    names = {"detectors": [detector.name], "motors": [axis.name for axis in axes]}
    record = _image_by_image if y_axis is None or mode == "image" else partial(_lines, y_axis)
    return (
        yield from as_run(
            record(detector, energy, readables, scan),
            [*readables, *axes[1:]],
            shutter=shutter,
            restored=axes[1:],
            md={"plan_name": "stxm_stack", **names, **(md or {}), **scan.metadata()},
        )
    )


def _check(
    scan: StackScan, detector: Readable, energy: Movable, y_axis: Movable | None, mode: str
) -> MsgGenerator[None]:
    """Before anything moves: the arguments agree, and every position is within its limits."""
    if mode == "line" and y_axis is None:
        raise ValueError("line mode moves the y axis between lines; pass y_axis=")
    if len(set(scan.energies_ev)) != len(scan.energies_ev):
        raise ValueError("energies_ev names one energy twice")
    yield from check_limits(energy, scan.energies_ev)
    if y_axis is not None and mode == "line":
        yield from check_limits(y_axis, scan.y_extent_um)
    check_region(detector, scan)


def _image_by_image(
    detector: Readable, energy: Movable, readables: Sequence[Readable], scan: StackScan
) -> MsgGenerator[None]:
    """One event per image; a pause resumes at the image."""
    yield from _prepare(detector, scan)
    for energy_ev in scan.energies_ev:
        yield from bps.checkpoint()
        yield from bps.mv(energy, energy_ev)
        yield from bps.trigger_and_read(readables)


def _lines(
    y_axis: Movable,
    detector: Readable,
    energy: Movable,
    readables: Sequence[Readable],
    scan: StackScan,
) -> MsgGenerator[None]:
    """One event per line; a pause resumes at the line, not at the image."""
    rows_um = np.linspace(*scan.y_extent_um, scan.image_shape[0]).tolist()
    yield from _prepare(detector, scan)
    for energy_ev in scan.energies_ev:
        yield from bps.checkpoint()
        yield from bps.mv(energy, energy_ev)
        for y_um in rows_um:
            yield from bps.checkpoint()
            yield from bps.mv(y_axis, y_um)
            yield from bps.trigger_and_read([*readables, y_axis])


def _prepare(detector: Readable, scan: StackScan) -> MsgGenerator[None]:
    if isinstance(detector, Preparable):
        yield from bps.prepare(detector, scan, wait=True)


def _readback_key(axis: Movable) -> str:
    """The data key an axis is read by: its first hinted field, else its name."""
    fields = getattr(axis, "hints", {}).get("fields", [])
    return str(fields[0] if fields else axis.name)


def _counts_key(detector: Readable) -> str:
    """The array key that bears the detector's name, or its only array key."""
    described = detector.describe()
    if not isinstance(described, Mapping):  # an ophyd-async device answers later
        raise ValueError(
            f"detector {detector.name} describes itself asynchronously; pass data_field="
        )
    arrays = [key for key, value in described.items() if value["dtype"] == "array"]
    if detector.name in arrays:
        return str(detector.name)
    if len(arrays) != 1:
        raise ValueError(
            f"detector {detector.name} has {len(arrays)} array keys "
            f"({', '.join(arrays) or 'none'}); pass data_field="
        )
    return str(arrays[0])
