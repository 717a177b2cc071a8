"""One image while its parts arrive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.stack import Frame
from stxm_live.io.documents.matching import Measured

_STRAY_EV = 1.0
"""A readback this far from the others of its image belongs to another image: the number of its
event is wrong."""

_LEAST_SHARE = 16
"""Of a large image with fewer than one in this many rows no counts are shown: the frame would take
far more memory than what arrived."""

_SMALL_PX = 2**20
"""Pixels of an image that is not large."""


@dataclass(frozen=True, eq=False, slots=True)
class Piece:
    """Counts of an image, of a line or of a pixel, and where they belong.

    Parameters
    ----------
    image : tuple of (str, int)
        Run and stream of the image, and its number there.
    index : int or None
        Place among the announced energies, if the image number gives it.
    where : tuple of slice
        Rows and columns.
    counts : ndarray of the shape of ``where``, float32
    part : int
        Number of the part within the image.
    is_last : bool
        True if the scan of an image ends with it.
    readback_ev, monitor : float or None
    is_backwards : bool
        True if it is a line that was scanned, and came, in the other direction.
    """

    image: tuple[str, int]
    index: int | None
    where: tuple[slice, slice]
    counts: NDArray[np.float32]
    part: int = 0
    is_last: bool = True
    readback_ev: float | None = None
    monitor: float | None = None
    is_backwards: bool = False


class _Row(NamedTuple):
    """Counts of a row, NaN where none arrived, and where they did; both of shape (nx,)."""

    counts: NDArray[np.float32]
    arrived: NDArray[np.bool_]

    @classmethod
    def of(cls, nx: int) -> _Row:
        """Return a row of nx pixels without counts."""
        return cls(np.full(nx, np.nan, dtype=np.float32), np.zeros(nx, dtype=bool))


class Arrival(NamedTuple):
    """Result of adding a piece to its image."""

    came_again: bool
    is_reported: bool


class Slot:
    """The parts of one image that have arrived.

    Memory is taken for the rows that arrived, not for those that were announced.

    Parameters
    ----------
    shape : tuple of int
    index : int or None
        Place among the announced energies.
    planned : tuple of int, optional
        Rows that are measured; default: all.
    keep : callable, optional
        Returns a whole image as it is kept.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        index: int | None,
        planned: tuple[int, ...] | None = None,
        keep: Callable[[NDArray[np.float32]], NDArray[np.float32]] = np.asarray,
    ) -> None:
        self.index = index
        self._planned = planned
        self._keep = keep
        self.serial = 0
        self.changed = False
        self._shape = shape
        self._rows: dict[int, _Row] = {}
        self._n_missing = (shape[0] if planned is None else len(planned)) * shape[1]
        self._intensity: NDArray[np.float32] | None = None
        self._readbacks_ev: dict[int, float] = {}
        self._monitors: dict[int, float] = {}
        self._frame: Frame | None = None

    @property
    def is_whole(self) -> bool:
        """Return True if every pixel has arrived that was to be measured."""
        return self._intensity is not None

    def put(self, piece: Piece, serial: int) -> Arrival:
        """Take a piece; a frame that was handed out before does not change.

        An image that becomes complete is reported at once. One that was complete and is scanned
        again is reported once, with its last piece.
        """
        was_whole = self.is_whole
        came_again = self._fill(piece)
        self._frame, self.changed, self.serial = None, True, serial
        if piece.readback_ev is not None:
            self._readbacks_ev[piece.part] = piece.readback_ev
        if piece.monitor is not None:
            self._monitors[piece.part] = piece.monitor
        is_reported = self.is_whole and (not was_whole or piece.is_last)
        self.changed = not is_reported
        return Arrival(came_again, is_reported)

    def _fill(self, piece: Piece) -> bool:
        """Put counts where they belong; return True if all of them had come before."""
        if piece.counts.shape == self._shape:
            was_whole = self.is_whole
            self._rows.clear()
            self._intensity = self._keep(piece.counts)
            return was_whole
        if self._intensity is not None:
            if self._frame is not None or not self._intensity.flags.writeable:
                self._intensity = self._keep(self._intensity.copy())
            self._intensity[piece.where] = piece.counts
            return True
        y, columns = piece.where[0].start, piece.where[1]
        row = self._rows.get(y) or self._rows.setdefault(y, _Row.of(self._shape[1]))
        n_new = piece.counts.size - int(np.count_nonzero(row.arrived[columns]))
        row.counts[columns] = piece.counts[0]
        row.arrived[columns] = True
        if self._planned is None or y in self._planned:
            self._n_missing -= n_new
        if not self._n_missing:
            nothing = _Row.of(self._shape[1])
            rows = [self._rows.get(k, nothing).counts for k in range(self._shape[0])]
            self._intensity = self._keep(np.stack(rows))
            self._rows.clear()
        return n_new == 0

    def put_energy(self, energy_ev: float) -> bool:
        """Set the readback of an image that has none; return True if it was set."""
        if self._readbacks_ev:
            return False
        self._readbacks_ev[0] = energy_ev
        self._frame, self.changed = None, True
        return True

    def put_monitors(self, of_parts: Mapping[int, float]) -> None:
        """Set the readings of the monitor with the parts of an image that has none."""
        if not self._monitors:
            self._monitors.update(of_parts)
            self._frame = None

    @property
    def first_readback_ev(self) -> float | None:
        """Return one of its readbacks, which is enough to recognize the image."""
        return next(iter(self._readbacks_ev.values()), None)

    def measured(self) -> Measured:
        """Return the readback of its energy and its place in the scan."""
        return Measured(_energy_of(self._readbacks_ev), self.index)

    def frame(self, announced_ev: float | None) -> Frame:
        """Return what has arrived; the same object until something else does."""
        known = self._frame
        if known is None or known.announced_ev != announced_ev:
            readback_ev = _energy_of(self._readbacks_ev)
            energy_ev = announced_ev if readback_ev is None else readback_ev
            assert energy_ev is not None
            monitor = _mean(self._monitors)
            intensity = self._so_far() if self._intensity is None else self._intensity
            # a run that was imported from a file has NaN in lines that were never scanned
            last = -1 if self._planned is None else self._planned[-1]
            is_whole = self.is_whole and not np.isnan(intensity[last]).all()
            known = Frame(energy_ev, intensity, announced_ev, is_whole, monitor, self._planned)
            self._frame = known
        return known

    def _so_far(self) -> NDArray[np.float32]:
        """Return the counts of an unfinished image, NaN elsewhere."""
        few = len(self._rows) * _LEAST_SHARE < self._shape[0]
        if few and self._shape[0] * self._shape[1] > _SMALL_PX:
            return np.broadcast_to(np.float32(np.nan), self._shape)
        counts = np.full(self._shape, np.nan, dtype=np.float32)
        for y, row in self._rows.items():
            counts[y] = row.counts
        return counts


def _energy_of(parts: dict[int, float]) -> float | None:
    """Return the mean readback of an image's parts, except those of another image."""
    if not parts:
        return None
    middle_ev = float(np.median(list(parts.values())))
    return _mean({n: ev for n, ev in parts.items() if abs(ev - middle_ev) <= _STRAY_EV} or parts)


def _mean(parts: dict[int, float]) -> float | None:
    """Return a mean that does not depend on order, and is exact for equal values."""
    if not parts:
        return None
    values = np.array([parts[part] for part in sorted(parts)])
    return float(values[0] + np.mean(values - values[0]))
