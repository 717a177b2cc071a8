"""One image while it comes in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.stack import Frame
from stxm_live.io.documents.matching import Measured

_STRAY_EV = 1.0
"""A readback so far from the others of its image is that of another: its event bears a wrong
number."""


@dataclass(frozen=True, eq=False, slots=True)
class Piece:
    """Counts of an image, of a line or of a pixel, and where they belong.

    Parameters
    ----------
    image : tuple of (str, int)
        Which image: its run and stream, and its number there.
    index : int or None
        Its place among the announced energies, as far as its number tells.
    where : tuple of slice
        Rows and columns.
    counts : ndarray of the shape of ``where``, float32
    part : int
        Which part of the image.
    is_last : bool
        Whether the scan of an image ends with it.
    readback_ev, monitor : float or None
    """

    image: tuple[str, int]
    index: int | None
    where: tuple[slice, slice]
    counts: NDArray[np.float32]
    part: int = 0
    is_last: bool = True
    readback_ev: float | None = None
    monitor: float | None = None


class Arrival(NamedTuple):
    """What a piece did to its image."""

    came_again: bool
    is_told: bool


class Slot:
    """What has arrived of one image."""

    def __init__(self, shape: tuple[int, int], index: int | None) -> None:
        self.index = index
        self.intensity: NDArray[np.float32] = np.broadcast_to(np.float32(np.nan), shape)
        self.serial = 0
        self.changed = False
        self._arrived: NDArray[np.bool_] = np.zeros(shape, dtype=bool)
        self._n_missing = self._arrived.size
        self._readbacks_ev: dict[int, float] = {}
        self._monitors: dict[int, float] = {}
        self._frame: Frame | None = None

    @property
    def is_whole(self) -> bool:
        """Whether something arrived for every pixel."""
        return self._n_missing == 0

    def put(self, piece: Piece, serial: int) -> Arrival:
        """Take a piece; a frame that was handed out keeps what it had.

        An image that becomes whole is told at once. One that was whole and is scanned again is
        told once, with its last piece.
        """
        was_whole = self.is_whole
        arrived = self._arrived[piece.where]
        n_new = arrived.size - int(np.count_nonzero(arrived))
        if piece.counts.shape == self.intensity.shape:
            self.intensity = piece.counts
        else:
            if self._frame is not None or not self.intensity.flags.writeable:
                self.intensity = self.intensity.copy()
            self.intensity[piece.where] = piece.counts
        self._arrived[piece.where] = True
        self._n_missing -= n_new
        self._frame, self.changed, self.serial = None, True, serial
        if piece.readback_ev is not None:
            self._readbacks_ev[piece.part] = piece.readback_ev
        if piece.monitor is not None:
            self._monitors[piece.part] = piece.monitor
        is_told = self.is_whole and (not was_whole or piece.is_last)
        self.changed = not is_told
        return Arrival(n_new == 0, is_told)

    @property
    def first_readback_ev(self) -> float | None:
        """One of its readbacks: enough to know the image again."""
        return next(iter(self._readbacks_ev.values()), None)

    def measured(self) -> Measured:
        """What is known of its energy."""
        return Measured(_energy_of(self._readbacks_ev), self.index)

    def frame(self, announced_ev: float | None) -> Frame:
        """What has arrived; the same object until something else does."""
        known = self._frame
        if known is None or known.announced_ev != announced_ev:
            readback_ev = _energy_of(self._readbacks_ev)
            energy_ev = announced_ev if readback_ev is None else readback_ev
            assert energy_ev is not None
            monitor = _mean(self._monitors)
            known = Frame(energy_ev, self.intensity, announced_ev, self.is_whole, monitor)
            self._frame = known
        return known


def _energy_of(parts: dict[int, float]) -> float | None:
    """Mean readback of the parts of an image, without those that came from another image."""
    if not parts:
        return None
    middle_ev = float(np.median(list(parts.values())))
    return _mean({n: ev for n, ev in parts.items() if abs(ev - middle_ev) <= _STRAY_EV} or parts)


def _mean(parts: dict[int, float]) -> float | None:
    """The same whatever the order in which the parts came; of equal ones exactly their value."""
    if not parts:
        return None
    values = np.array([parts[part] for part in sorted(parts)])
    return float(values[0] + np.mean(values - values[0]))
