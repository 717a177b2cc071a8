"""Plans for servers that use JSON: devices by name and numbers, no objects of a session.

For blueapi: a source of kind ``planFunctions`` with this module; for the queue server import them
in the startup files. The others of `stxm_live.plans` take a region, a chooser, an advisor or a
mapper, for which a server has no schema.
"""

from collections.abc import Sequence
from typing import Any, Literal

from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from stxm_live.core.region import Region
from stxm_live.plans.overview import stxm_overview
from stxm_live.plans.stack import stxm_stack

__all__ = ["stxm_overview_remote", "stxm_stack_remote"]


def stxm_stack_remote(
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
    i0_counts: Sequence[float] | None = None,
    region: str = "1",
    polarization: str = "",
    group_uid: str | None = None,
    parent: str | None = None,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Record a stack as `stxm_live.plans.stxm_stack`, and return the run's uid.

    Parameters
    ----------
    x_extent_um, y_extent_um : (float, float)
        First and last pixel centre in the order scanned; may descend.
    nx, ny : int
        Pixels along each axis.
    dwell_ms : float
        Exposure of one pixel.
    region : str
        Name of the stack.
    detector, energy, y_axis, energies_ev, mode, shutter, monitors, data_field, i0_field, i0_counts
        As for `stxm_live.plans.stxm_stack`; the same holds for ``polarization`` to ``md``.
    """
    field = Region(x_extent_um, y_extent_um, nx, ny, dwell_ms, name=region)
    return (
        yield from stxm_stack(
            detector,
            energy,
            energies_ev,
            field,
            y_axis=y_axis,
            mode=mode,
            shutter=shutter,
            monitors=monitors,
            data_field=data_field,
            i0_field=i0_field,
            i0_counts=i0_counts,
            polarization=polarization,
            group_uid=group_uid,
            parent=parent,
            md=md,
        )
    )


def stxm_overview_remote(
    detector: Readable,
    energy: Movable,
    *,
    energies_ev: Sequence[float],
    x_extent_um: tuple[float, float],
    y_extent_um: tuple[float, float],
    nx: int = 50,
    ny: int = 50,
    dwell_ms: float = 0.5,
    shutter: Movable | None = None,
    monitors: Sequence[Readable] = (),
    md: dict[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Record an overview as `stxm_live.plans.stxm_overview`; return the run's uid.

    Parameters
    ----------
    x_extent_um, y_extent_um, nx, ny, dwell_ms
        As for `stxm_stack_remote`.
    detector, energy, energies_ev, shutter, monitors, md
        As for `stxm_live.plans.stxm_overview`.
    """
    field = Region(x_extent_um, y_extent_um, nx, ny, dwell_ms)
    return (
        yield from stxm_overview(
            detector, energy, energies_ev, field, shutter=shutter, monitors=monitors, md=md
        )
    )
