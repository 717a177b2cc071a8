"""Recording of the image of one energy, whole or line by line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import bluesky.plan_stubs as bps
import numpy as np
from bluesky.protocols import Movable, Preparable, Readable
from bluesky.utils import MsgGenerator

from stxm_live.core.region import Region
from stxm_live.core.scan import StackScan
from stxm_live.plans.beam import as_run
from stxm_live.plans.limits import check_limits, check_reach


@dataclass(frozen=True, eq=False)
class Recording:
    """Raster and devices of a scan.

    Parameters
    ----------
    scan : StackScan
    detector : Readable
    energy : Movable
    y_axis : Movable or None
    mode : {"image", "line"}
    monitors : sequence of Readable
    """

    scan: StackScan
    detector: Readable
    energy: Movable
    y_axis: Movable | None
    mode: Literal["image", "line"]
    monitors: Sequence[Readable]

    @classmethod
    def of(
        cls,
        detector: Readable,
        energy: Movable,
        energies_ev: Sequence[float],
        region: Region,
        *,
        check_energy_ev: float | None = None,
        y_axis: Movable | None,
        mode: Literal["image", "line"],
        monitors: Sequence[Readable],
        data_field: str | None,
        **announced: Any,
    ) -> Recording:
        """Make a recording from the arguments of a plan; ``announced`` has further scan fields."""
        energies = [float(e) for e in energies_ev]
        if len(set(energies)) != len(energies):
            raise ValueError("energies_ev lists one energy twice")
        if check_energy_ev is not None:
            energies.append(_one_of(energies, check_energy_ev))
            announced = _with_repeated_i0(announced, energies)
        scan = StackScan(
            shape=(len(energies), region.ny, region.nx),
            energies_ev=tuple(energies),
            x_extent_um=region.x_extent_um,
            y_extent_um=region.y_extent_um,
            dwell_ms=region.dwell_ms,
            region=region.name,
            y_motor="sample_y" if y_axis is None else _readback_key(y_axis),
            energy_motor=_readback_key(energy),
            data_field=data_field or _counts_key(detector),
            **announced,
        )
        return cls(scan, detector, energy, y_axis, mode, monitors)

    def check(self) -> MsgGenerator[None]:
        """Check, before anything moves, that arguments agree and positions are within limits."""
        if self.mode == "line" and self.y_axis is None:
            raise ValueError("line mode moves the y axis between lines; pass y_axis=")
        yield from check_limits(self.energy, self.scan.energies_ev)
        if self.y_axis is not None and self.mode == "line":
            yield from check_limits(self.y_axis, self.scan.y_extent_um)
        check_reach(self.detector, self.scan)

    def run(
        self,
        images: Callable[[str], MsgGenerator[None]],
        *,
        plan_name: str,
        shutter: Movable | None,
        md: Mapping[str, Any] | None,
    ) -> MsgGenerator[str]:
        """Record images in one run with its start document, and return the uid."""
        further = [] if self.y_axis is None else [self.y_axis]
        motors = [axis.name for axis in (self.energy, *further)]
        names = {"detectors": [self.detector.name], "motors": motors}
        return (
            yield from as_run(
                images,
                [*self._readables, *further],
                shutter=shutter,
                restored=further,
                md={"plan_name": plan_name, **names, **(md or {}), **self.scan.metadata()},
            )
        )

    def prepare(self) -> MsgGenerator[None]:
        """Send the region to a detector that can be prepared."""
        if isinstance(self.detector, Preparable):
            yield from bps.prepare(self.detector, self.scan, wait=True)

    def image(self, energy_ev: float, rows: Sequence[int] | None = None) -> MsgGenerator[None]:
        """Record the image at an energy; a pause resumes at the image, or at the line.

        In line mode only some ``rows`` may be recorded; by default all are.
        """
        yield from bps.checkpoint()
        yield from bps.mv(self.energy, energy_ev)
        if self.y_axis is None or self.mode == "image":
            yield from bps.trigger_and_read(self._readables)
            return
        places_um = np.linspace(*self.scan.y_extent_um, self.scan.image_shape[0])
        for y_um in places_um[slice(None) if rows is None else list(rows)].tolist():
            yield from bps.checkpoint()
            yield from bps.mv(self.y_axis, y_um)
            yield from bps.trigger_and_read([*self._readables, self.y_axis])

    @property
    def _readables(self) -> list[Readable | Movable]:
        return [self.detector, self.energy, *self.monitors]


def _one_of(energies_ev: Sequence[float], check_energy_ev: float) -> float:
    if check_energy_ev in energies_ev:
        return float(check_energy_ev)
    listed = ", ".join(f"{e:g}" for e in energies_ev)
    raise ValueError(
        f"check_energy_ev {check_energy_ev:g} eV is not among the energies of the stack, "
        f"{listed} eV; choose one of them"
    )


def _with_repeated_i0(announced: dict[str, Any], energies_ev: Sequence[float]) -> dict[str, Any]:
    """Return the fields with I0 of the last energy, which is measured again, listed again."""
    i0_counts = announced.get("i0_counts")
    if i0_counts is None or len(i0_counts) != len(energies_ev) - 1:
        return announced
    again = i0_counts[energies_ev.index(energies_ev[-1])]
    return {**announced, "i0_counts": (*i0_counts, again)}


def _readback_key(axis: Movable) -> str:
    """Return the data key of an axis: its first hinted field, else its name."""
    fields = getattr(axis, "hints", {}).get("fields", [])
    return str(fields[0] if fields else axis.name)


def _counts_key(detector: Readable) -> str:
    """Return the array key with the detector's name, or its only array key."""
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
