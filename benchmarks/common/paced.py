"""A detector that takes its time, and the plan of a scan with it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ophyd.status import Status

from benchmarks.common.documents import array_key, number_key
from stxm_live import StackScan


class PacedDetector:
    """Readable and settable: shows images or lines made beforehand, after a time."""

    name = "detector"
    parent = None

    def __init__(self, frames: NDArray[np.float32], frame_time_s: float) -> None:
        self.frames = frames
        self._time_s = frame_time_s
        self._now = -1
        self._read_s = math.nan
        self.energy_ev = 0.0
        self.between_ms: list[float] = []

    def set(self, energy_ev: float) -> Status:
        """Be at another energy."""
        self.energy_ev = energy_ev
        done = Status()
        done.set_finished()
        return done

    def trigger(self) -> Status:
        """Count."""
        self.between_ms.append(1e3 * (time.perf_counter() - self._read_s))
        self._now += 1
        done = Status()
        threading.Timer(self._time_s, done.set_finished).start()
        return done

    def read(self) -> dict[str, Any]:
        """What was counted."""
        now, self._read_s = time.time(), time.perf_counter()
        return {
            "energy": {"value": self.energy_ev, "timestamp": now},
            "counts": {"value": self.frames[self._now], "timestamp": now},
        }

    def describe(self) -> dict[str, Any]:
        """Keys of what is read."""
        return {"energy": number_key(), "counts": array_key(self.frames.shape[1:])}

    def read_configuration(self) -> dict[str, Any]:
        """None."""
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        """None."""
        return {}


def paced_scan(scan: StackScan, detector: PacedDetector) -> Iterator[Any]:
    """A plan that reads the detector's frames, as many at each energy."""
    import bluesky.plan_stubs as bps
    import bluesky.preprocessors as bpp

    per_energy = len(detector.frames) // len(scan.energies_ev)

    @bpp.run_decorator(md=scan.metadata())
    def inner() -> Iterator[Any]:
        for energy_ev in scan.energies_ev:
            yield from bps.abs_set(detector, energy_ev, wait=True)
            for _ in range(per_energy):
                yield from bps.checkpoint()
                yield from bps.trigger_and_read([detector])

    return inner()
