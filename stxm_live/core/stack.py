"""Frames and stacks, the input of the analysis from any source."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.origin import Origin
from stxm_live.core.quantity import Quantity
from stxm_live.core.scan import StackScan


class StackKey(NamedTuple):
    """Identity of a stack: its runs, region and polarization; for a file, the file's name."""

    run_uids: tuple[str, ...]
    region: str = "1"
    polarization: str = ""
    source: str = ""

    def __str__(self) -> str:
        runs = "+".join(uid[:8] for uid in self.run_uids)
        name = self.source or (f"run {runs}" if runs else "stack")
        return " ".join(filter(None, (name, f"region {self.region}", self.polarization)))


@dataclass(frozen=True, eq=False)
class Frame:
    """The intensity image of one energy.

    Parameters
    ----------
    energy_ev : float
        Measured energy of the image: the readback if the events have one, else announced.
    announced_ev : float or None
        The announced energy of this frame; None for an unannounced image.
    intensity : ndarray of shape (ny, nx), float32
        Counts as recorded; NaN where no line or pixel arrived.
    is_whole : bool
        True if every line of the image arrived.
    monitor : float or None
        Mean reading of the scan's I0 monitor while the image was taken.
    rows : tuple of int or None
        Rows that the scan was to measure; None for all.
    """

    energy_ev: float
    intensity: NDArray[np.float32]
    announced_ev: float | None = None
    is_whole: bool = True
    monitor: float | None = None
    rows: tuple[int, ...] | None = None

    @property
    def nominal_ev(self) -> float:
        """Return the announced energy, or the measured one of an unannounced image."""
        return self.energy_ev if self.announced_ev is None else self.announced_ev


@dataclass(frozen=True, eq=False)
class Stack:
    """The accepted frames of one region, in ascending energy order, and their scan.

    Parameters
    ----------
    key : StackKey
    scan : StackScan
        The announced scan.
    frames : tuple of Frame
        At most one per energy, ascending.
    finished : bool
        True if the scan ended with every announced energy.
    notes : tuple of str
        Faults of the scan (dropped or repeated images), for ``PhaseMaps.warnings``.
    ended_early : bool
        True if a scan that may skip energies ended as planned without some of them.
    checks : tuple of Frame
        Complete images of energies that were announced and measured once more, in the order of
        the scan. Maps are made from ``frames`` alone.
    refusal : str
        Contradiction in the run because of which there are no frames and no maps; else empty.
    origin : Origin
        Sample, time and file.
    """

    key: StackKey
    scan: StackScan
    frames: tuple[Frame, ...]
    finished: bool = True
    notes: tuple[str, ...] = field(default=())
    ended_early: bool = False
    checks: tuple[Frame, ...] = ()
    refusal: str = ""
    origin: Origin = field(default=Origin())

    def __repr__(self) -> str:
        n_energies, ny, nx = self.scan.shape
        energies = self.scan.energies_ev
        span = f", {min(energies):g} to {max(energies):g} eV" if energies else ""
        return (
            f"<Stack {self.key}: {len(self.frames)} of {n_energies} images of {ny} x {nx} "
            f"pixels{span}>"
        )

    @classmethod
    def from_arrays(
        cls,
        intensity: NDArray[np.floating],
        energies_ev: Sequence[float],
        *,
        extent_um: tuple[float, float, float, float] | None = None,
        dwell_ms: float = 0.0,
        data_field: str = "counts",
        quantity: Quantity | None = None,
    ) -> Stack:
        """Make a stack from an array of shape (n_energies, ny, nx), for files and tests.

        Without ``extent_um`` (first and last pixel centre in x, then in y) a pixel counts as
        1 um. Of an energy that comes again the first image is mapped, later ones are ``checks``.
        ``quantity`` says what the numbers are, if they are no counts; see `StackScan`.
        """
        data = np.asarray(intensity, dtype=np.float32)
        if data.ndim != 3 or len(data) != len(energies_ev):
            raise ValueError(
                f"intensity has shape {data.shape}, expected ({len(energies_ev)}, ny, nx) "
                f"for {len(energies_ev)} energies"
            )
        n_energies, ny, nx = data.shape
        x0, x1, y0, y1 = extent_um or (0.0, float(nx - 1), 0.0, float(ny - 1))
        given = [
            Frame(float(e), image, float(e)) for e, image in zip(energies_ev, data, strict=True)
        ]
        first, repeated = first_and_repeated(given)
        first.sort(key=lambda frame: frame.energy_ev)
        scan = StackScan(
            shape=(n_energies, ny, nx),
            energies_ev=tuple(frame.energy_ev for frame in (*first, *repeated)),
            dwell_ms=dwell_ms,
            x_extent_um=(x0, x1),
            y_extent_um=(y0, y1),
            data_field=data_field,
            quantity=quantity,
        )
        return cls(StackKey(()), scan, tuple(first), checks=tuple(repeated))

    @property
    def energies_ev(self) -> tuple[float, ...]:
        """Return the measured energies of the frames, ascending."""
        return tuple(frame.energy_ev for frame in self.frames)

    @property
    def missing_ev(self) -> tuple[float, ...]:
        """Return the announced energies without a complete frame, apart from `skipped_ev`."""
        have = {frame.announced_ev for frame in self.frames if frame.is_whole}
        have.update(self.skipped_ev)
        return tuple(e for e in sorted(set(self.scan.energies_ev)) if e not in have)

    @property
    def skipped_ev(self) -> tuple[float, ...]:
        """Return the announced energies that an `ended_early` scan left out."""
        if not self.ended_early:
            return ()
        begun = {frame.announced_ev for frame in self.frames}
        return tuple(e for e in sorted(set(self.scan.energies_ev)) if e not in begun)

    def intensity(self) -> NDArray[np.float32]:
        """Return counts of shape (n_energies, ny, nx), ascending energies."""
        return np.stack([frame.intensity for frame in self.frames])


def first_and_repeated(frames: Iterable[Frame]) -> tuple[list[Frame], list[Frame]]:
    """Return one frame of each energy for the maps, and the repeated ones.

    Parameters
    ----------
    frames : iterable of Frame
        Announced images in the order of the scan.

    Returns
    -------
    first : list of Frame
        The first complete image of each energy; an unfinished one if there is no other.
    repeated : list of Frame
        Complete images of the same energies that were measured later.
    """
    first: dict[float, Frame] = {}
    repeated = []
    for frame in frames:
        known = first.setdefault(frame.nominal_ev, frame)
        if not known.is_whole and frame.is_whole:
            first[frame.nominal_ev] = frame
        elif known is not frame and frame.is_whole:
            repeated.append(frame)
    return list(first.values()), repeated


class _Keyed(Protocol):
    @property
    def key(self) -> StackKey: ...


_K = TypeVar("_K", bound=_Keyed)


def the_one(stacks: Iterable[_K], region: str | None, polarization: str | None) -> _K:
    """Return the stack with this region and polarization; None stands for any.

    Raises
    ------
    ValueError
        If there is none or more than one; the message names the choices.
    """
    found = chosen(stacks, region, polarization)
    if len(found) > 1:
        raise ValueError(
            f"there are {len(found)} stacks; choose one with region and polarization: "
            f"{_in_words(found)}"
        )
    return found[0]


def chosen(stacks: Iterable[_K], region: str | None, polarization: str | None) -> list[_K]:
    """Return the stacks with this region and polarization; None stands for any.

    Raises
    ------
    ValueError
        If there is none; the message names the choices.
    """
    stacks = list(stacks)
    found = [
        stack
        for stack in stacks
        if region in (None, stack.key.region) and polarization in (None, stack.key.polarization)
    ]
    if not found:
        given = {"region": region, "polarization": polarization}
        wanted = " and ".join(f"{name} {one!r}" for name, one in given.items() if one is not None)
        raise ValueError(f"no stack of {wanted}; there is {_in_words(stacks)}")
    return found


def _in_words(stacks: Iterable[_Keyed]) -> str:
    return "; ".join(str(stack.key) for stack in stacks)
