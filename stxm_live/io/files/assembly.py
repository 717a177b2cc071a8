"""A stack from an array of images, with missing images and lines marked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from stxm_live.core.file_arrays import is_in_file
from stxm_live.core.quantity import Quantity
from stxm_live.core.references import listed_ev
from stxm_live.core.scan import StackScan
from stxm_live.core.stack import Frame, Stack, StackKey, first_and_repeated

LEAST_EV, LARGEST_EV = 20.0, 200_000.0
"""Photon energies of X-ray microscopes."""


class ScanGrid(BaseModel):
    """Grid and settings of the images of a file; positions are pixel centers in um.

    ``quantity`` is None where the file does not say what its numbers are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    x_um: tuple[float, ...]
    y_um: tuple[float, ...]
    dwell_ms: float = 0.0
    region: str = "1"
    n_regions: int = 1
    polarization: str = ""
    quantity: Quantity | None = None


def assembled(
    path: Path,
    images: NDArray[np.floating],
    energies_ev: NDArray[np.floating],
    grid: ScanGrid,
    ring_current_ma: NDArray[np.floating] | None = None,
    notes: Sequence[str] = (),
) -> Stack:
    """Return the stack of an array of images.

    Parameters
    ----------
    path : Path
        File name for messages.
    images : ndarray of shape (n_energies, ny, nx)
        Counts; NaN where not measured. Trailing lines with only zeros and NaN count as not
        measured, because some programs begin with an array of zeros.
    energies_ev : ndarray of shape (n_energies,)
        Announced, in the order of measuring.
    grid : ScanGrid
    ring_current_ma : ndarray of shape (n_energies,), optional
        Monitor of each frame; NaN where unknown.
    notes : sequence of str
        Notes of the reader.

    Raises
    ------
    ValueError
        If the shapes do not fit, if there are fewer than two energies, if they are not photon
        energies, or if nothing was measured; the message names the file.
    """
    shape = (len(energies_ev), len(grid.y_um), len(grid.x_um))
    if images.shape != shape:
        raise ValueError(
            f"{path}: the images have shape {images.shape}, the axes announce {shape}: "
            "(energies, y, x)"
        )
    scan, of_scan = announced_scan(path, energies_ev, grid, ring_current_ma)
    notes = [*notes, *of_scan]
    lines = [measured_lines(image) for image in images]
    frames = []
    notes += incomplete_images(path.name, scan.energies_ev, [each.n for each in lines], shape[1])
    for k, (energy_ev, found) in enumerate(zip(scan.energies_ev, lines, strict=True)):
        if not found.n:
            continue
        monitor = monitor_of(ring_current_ma, k)
        # lines that were lost on the way do not make an image unfinished
        frames.append(Frame(energy_ev, found.intensity, energy_ev, found.reaches_end, monitor))
    finished = len(frames) == shape[0] and all(frame.is_whole for frame in frames)
    if not frames:
        raise ValueError(f"{path}: no image was measured; all are empty")
    key = StackKey((), scan.region, scan.polarization)
    return stack_of_frames(key, scan, frames, notes, finished=finished)


def incomplete_images(
    name: str, energies_ev: Sequence[float], n_lines: Sequence[int], n_announced: int
) -> list[str]:
    """Return a note for each number of lines that images have instead of all of theirs.

    Examples
    --------
    >>> incomplete_images("a.hdf5", [700.0, 701.5, 703.0, 704.0], [2, 0, 2, 3], 3)
    ['a.hdf5: 2 of 3 lines of the images at 700, 703 eV', 'a.hdf5: no image of 701.5 eV']
    """
    notes = []
    for n in dict.fromkeys(n_lines):
        energies = [e for e, found in zip(energies_ev, n_lines, strict=True) if found == n]
        images = "image" if len(energies) == 1 else "images"
        if not n:
            notes.append(f"{name}: no image of {listed_ev(energies)} eV")
        elif n < n_announced:
            lines = f"{n} of {n_announced} lines of the {images}"
            notes.append(f"{name}: {lines} at {listed_ev(energies)} eV")
    return notes


def announced_scan(
    path: Path,
    energies_ev: NDArray[np.floating],
    grid: ScanGrid,
    ring_current_ma: NDArray[np.floating] | None = None,
) -> tuple[StackScan, list[str]]:
    """Return the scan of a list of energies, and notes.

    Adjacent energy ranges often repeat the last energy, and some scans repeat one at the end:
    maps use the first image of an energy, and later ones are compared with it.
    """
    energies = [float(e) for e in energies_ev]
    if not energies:
        raise ValueError(f"{path}: there are no energies")
    if not all(LEAST_EV <= e <= LARGEST_EV for e in energies):
        hint = " in eV; are they keV?" if 0 < min(energies) < LEAST_EV else ""
        raise ValueError(
            f"{path}: the energy axis runs from {energies[0]:g} to {energies[-1]:g}: "
            f"these are not photon energies{hint}"
        )
    notes = [
        f"{path.name}: {energies.count(e)} images of {e:g} eV, the first one is used"
        for e in dict.fromkeys(energies)
        if energies.count(e) > 1
    ]
    try:
        scan = StackScan(
            shape=(len(energies), len(grid.y_um), len(grid.x_um)),
            energies_ev=tuple(energies),
            dwell_ms=max(grid.dwell_ms, 0.0),
            x_extent_um=(grid.x_um[0], grid.x_um[-1]),
            y_extent_um=(grid.y_um[0], grid.y_um[-1]),
            data_field="counts",
            region=grid.region,
            n_regions=grid.n_regions,
            polarization=grid.polarization,
            quantity=grid.quantity,
            i0_field=None if ring_current_ma is None else "ring_current",
        )
    except ValidationError as error:
        raise ValueError(f"{path}: {error}") from error
    return scan, notes


def stack_of_frames(
    key: StackKey, scan: StackScan, frames: list[Frame], notes: list[str], *, finished: bool
) -> Stack:
    """Return the stack of frames in the order of the scan; repeated energies are kept apart."""
    first, repeated = first_and_repeated(frames)
    first.sort(key=lambda frame: frame.energy_ev)
    return Stack(key, scan, tuple(first), finished, tuple(notes), checks=tuple(repeated))


def monitor_of(ring_current_ma: NDArray[np.floating] | None, place: int) -> float | None:
    """Return the monitor of a frame, or None if unknown; some machines always write 0."""
    if ring_current_ma is None or not np.isfinite(ring_current_ma[place]):
        return None
    return float(ring_current_ma[place])


class MeasuredLines(NamedTuple):
    """An image with NaN in lines that were not measured, and the number of the others."""

    intensity: NDArray[np.float32]
    n: int
    reaches_end: bool


def measured_lines(image: NDArray[np.floating]) -> MeasuredLines:
    """Return an image with NaN in its last lines if they hold zeros and NaN only."""
    has_counts = (np.nan_to_num(image) != 0).any(axis=1)
    n_lines = int(np.flatnonzero(has_counts)[-1]) + 1 if has_counts.any() else 0
    # one in a file of ours was made to be read into
    intensity = np.array(image, dtype=np.float32, copy=None if is_in_file(image) else True)
    intensity[n_lines:] = np.nan
    n_missing = int(np.isnan(intensity[:n_lines]).all(axis=1).sum())
    return MeasuredLines(intensity, n_lines - n_missing, n_lines == len(image))
