"""State shared by the records: pace, faults, positions, and the image in the beam."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from stxm_live.sim.instrument import monochromator_error
from stxm_live.sim.microscope import Microscope

_TICK_S = 0.02


class Fault(IntEnum):
    """Faults that can be switched on by writing their number to the PV ``FAULT``."""

    NONE = 0
    MOTOR_STUCK = 1
    COUNTER_HANGS = 2
    IMAGE_DROPPED = 3
    DISCONNECTED = 4
    BEAM_LOST = 5


@dataclass
class Travel:
    """A position that needs time to change, and can be stopped.

    Parameters
    ----------
    position : float
        Present position, in its own unit.
    speed : float
        Units per second.
    """

    position: float
    speed: float
    _move: int = 0

    async def go(
        self,
        target: float,
        *,
        bench: Bench,
        tell: Callable[[float], Awaitable[object]],
        within: tuple[float, float] = (-np.inf, np.inf),
    ) -> bool:
        """Move and report every position; return False if stopped, blocked or redirected."""
        self._move += 1
        this_move = self._move
        end = float(np.clip(target, *within))
        while self.position != end:
            await asyncio.sleep(_TICK_S)
            if self._move != this_move:
                return False
            if bench.fault == Fault.MOTOR_STUCK:
                continue
            step = self.speed * bench.pace * _TICK_S
            self.position += float(np.clip(end - self.position, -step, step))
            await tell(self.position)
        return self.position == target

    def stop(self) -> None:
        """Stop; the move that is under way ends."""
        self._move += 1


@dataclass
class Bench:
    """The simulated instrument as seen by its records.

    Parameters
    ----------
    microscope : Microscope
        Specimen, beam and drift, with their true values.
    pace : float
        Speed of all moves and counts relative to a real instrument.
    """

    microscope: Microscope
    pace: float = 1.0
    fault: Fault = Fault.NONE
    offline_s: float = 2.0
    shutter_is_open: bool = False
    monochromator: Travel = field(default_factory=lambda: Travel(500.0, speed=10.0))
    fine_x: Travel = field(default_factory=lambda: Travel(0.0, speed=50.0))
    fine_y: Travel = field(default_factory=lambda: Travel(0.0, speed=50.0))
    coarse_x: Travel = field(default_factory=lambda: Travel(0.0, speed=200.0))
    coarse_y: Travel = field(default_factory=lambda: Travel(0.0, speed=200.0))
    _line_energy_ev: float = float("nan")
    _dark: np.random.Generator = field(default_factory=np.random.default_rng)

    async def wait(self, seconds: float) -> None:
        """Wait for a span of the instrument's own time."""
        await asyncio.sleep(seconds / self.pace)

    @property
    def shown_energy_ev(self) -> float:
        """Return the energy that the monochromator's encoder shows."""
        return self.monochromator.position + monochromator_error(self.monochromator.position)

    def begin_stack(self) -> None:
        """Begin a stack because a region was set: the operator has centered the specimen again."""
        self._line_energy_ev = float("nan")
        self.microscope.begin_stack()

    def image(self, x_um: NDArray[np.float64], y_um: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return counts (ny, nx) of the next image at these positions of the fine stages."""
        self.microscope.begin_image()
        return self._counts(x_um, y_um)

    def line(self, x_um: NDArray[np.float64], y_um: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return counts (1, nx) of the line at the fine y stage; a new energy begins an image."""
        if self.monochromator.position != self._line_energy_ev:
            self._line_energy_ev = self.monochromator.position
            self.microscope.begin_image()
        return self._counts(x_um, np.array([self.fine_y.position]))

    def _counts(self, x_um: NDArray[np.float64], y_um: NDArray[np.float64]) -> NDArray[np.float64]:
        if not self.shutter_is_open or self.fault == Fault.BEAM_LOST:
            beam = self.microscope.beam
            mean = beam.dark_counts if beam else 0.0
            return self._dark.poisson(mean, (len(y_um), len(x_um))).astype(np.float64)
        return self.microscope.counts(
            self.shown_energy_ev, x_um + self.coarse_x.position, y_um + self.coarse_y.position
        )
