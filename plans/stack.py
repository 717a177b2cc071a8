"""The plan of a stack: one image per photon energy, in one run."""

from collections.abc import Sequence
from typing import Any, Literal

from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from stxm_live.core.region import Region
from stxm_live.plans.recording import Recording


def stxm_stack(
    detector: Readable,
    energy: Movable,
    energies_ev: Sequence[float],
    region: Region,
    *,
    check_energy_ev: float | None = None,
    y_axis: Movable | None = None,
    mode: Literal["image", "line"] = "image",
    shutter: Movable | None = None,
    monitors: Sequence[Readable] = (),
    data_field: str | None = None,
    i0_field: str | None = None,
    i0_counts: Sequence[float] | None = None,
    polarization: str = "",
    group_uid: str | None = None,
    parent: str | None = None,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Record an image of a region at each energy, in the order given; return the run's uid.

    A pause repeats the image (in line mode the line) it interrupts. In line mode the y axis goes
    back to its first position at the end.

    Parameters
    ----------
    detector : Readable
        In image mode it returns the image of a region, in line mode the line at the y axis. A
        detector that can be prepared receives the region (as a `StackScan`) first.
    energy : Movable
        Monochromator; its readback is stored with every event.
    energies_ev : sequence of float
        Any order, each once.
    region : Region
        Extents, pixels and dwell; its name is that of the stack.
    check_energy_ev : float, optional
        One of the energies, which is measured once more at the end to see if the specimen changed
        meanwhile. It shows most if it comes early in the list and if the phases differ there.
    y_axis : Movable, optional
        Needed in line mode.
    mode : {"image", "line"}
        One event per image, or one per line (the ALS contract: ``seq_num = iE*ny + iy + 1``).
    shutter : Movable, optional
        Set to "open" before the first image and to "close" at the end, also after an error.
    monitors : sequence of Readable
        Read with every event, such as the ring current.
    data_field : str, optional
        Data key of the counts; by default the array key with the detector's name, or its only
        one.
    i0_field : str, optional
        Data key of a monitor that measures I0.
    i0_counts : sequence of float, optional
        I0 at each energy for this dwell, measured elsewhere; used if the field has no empty
        support.
    group_uid : str, optional
        Common to the runs that belong together, such as those of an exploration.
    parent : str, optional
        The run on whose maps the region was chosen.

    Raises
    ------
    ValueError
        Before anything moves, if the arguments contradict each other, if a position is beyond a
        limit (the message names both), or if a device does not know its limits.

    Examples
    --------
    >>> field = Region((-2, 2), (-2, 2), nx=100, ny=100, dwell_ms=2)
    >>> RE(stxm_stack(image, energy, recipe.energies_ev, field))  # doctest: +SKIP
    """
    recording = Recording.of(
        detector,
        energy,
        energies_ev,
        region,
        check_energy_ev=check_energy_ev,
        y_axis=y_axis,
        mode=mode,
        monitors=monitors,
        data_field=data_field,
        i0_field=i0_field,
        i0_counts=i0_counts,
        polarization=polarization,
        group_uid=group_uid,
        parent=parent,
    )
    yield from recording.check()
    images = _every_energy(recording)
    return (
        yield from recording.run(lambda _: images, plan_name="stxm_stack", shutter=shutter, md=md)
    )


def _every_energy(recording: Recording) -> MsgGenerator[None]:
    yield from recording.prepare()
    for energy_ev in recording.scan.energies_ev:
        yield from recording.image(energy_ev)
