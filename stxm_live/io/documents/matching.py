"""Assignment of images to the announced energies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_REACH_EV = 0.5
"""An energy further than this from every announced one is an unannounced energy."""

MIN_READBACKS = 3
"""Fewest images that show a constant offset of the readback."""


class Measured(NamedTuple):
    """The readback of an image's energy, and its place in the scan."""

    readback_ev: float | None
    place: int | None


def nearest(energy_ev: float, announced_ev: NDArray[np.float64]) -> float | None:
    """Return the announced energy within half the gap to its neighbors, or None.

    The distance is `MAX_REACH_EV` at most. ``announced_ev`` is ascending, without repetitions.
    """
    found = int(np.argmin(np.abs(announced_ev - energy_ev)))
    reach = reach_ev(announced_ev, found)
    energy = float(announced_ev[found])
    return energy if abs(energy - energy_ev) <= reach else None


def reach_ev(announced_ev: NDArray[np.float64], index: int) -> float:
    """Return half the smaller gap beside an announced energy, `MAX_REACH_EV` at most."""
    gaps = np.diff(announced_ev)[max(index - 1, 0) : index + 1]
    return float(min(MAX_REACH_EV, gaps.min() / 2)) if gaps.size else MAX_REACH_EV


def match_energies(
    images: Sequence[Measured], energies_ev: Sequence[float]
) -> tuple[list[float | None], float]:
    """Return the announced energy of every image, or None for an unannounced one.

    An image belongs to the nearest announced energy. If some are left over, the
    places in the scan may be used instead. This needs the same difference between readback and
    announced energy in all images, to half the smallest gap: the monochromator's calibration is
    then off.

    Parameters
    ----------
    images : sequence of Measured
    energies_ev : sequence of float
        Announced, in the order of the scan.

    Returns
    -------
    announced_ev : list of float or None
    offset_ev : float
        Readback minus announced energy if the places were used, else 0.

    Examples
    --------
    >>> moved = [Measured(515.7, 0), Measured(516.7, 1), Measured(518.7, 2)]
    >>> match_energies(moved, (515, 516, 518))
    ([515.0, 516.0, 518.0], 0.7)
    >>> swapped = [Measured(515.2, 0), Measured(518.1, 1), Measured(516.1, 2)]
    >>> match_energies(swapped, (515, 516, 518))
    ([515.0, 518.0, 516.0], 0.0)
    """
    ascending = np.unique(np.asarray(energies_ev, dtype=np.float64))
    matched = [_of(image, energies_ev, ascending) for image in images]
    if None not in matched:
        return matched, 0.0
    placed = [i for i in images if i.readback_ev is not None and _is_placed(i, energies_ev)]
    if len(placed) < max(MIN_READBACKS, len(images)):
        return matched, 0.0
    by_place = [float(energies_ev[image.place or 0]) for image in placed]
    offsets = np.array([i.readback_ev for i in placed], dtype=np.float64) - by_place
    tolerance = min(MAX_REACH_EV, np.diff(ascending).min() / 2) if len(ascending) > 1 else 0.0
    if np.ptp(offsets) > tolerance or len({image.place for image in placed}) < len(placed):
        return matched, 0.0
    return list(by_place), round(float(np.median(offsets)), 3)


def _of(
    image: Measured, energies_ev: Sequence[float], ascending: NDArray[np.float64]
) -> float | None:
    if image.readback_ev is not None:
        return nearest(image.readback_ev, ascending)
    return float(energies_ev[image.place or 0]) if _is_placed(image, energies_ev) else None


def _is_placed(image: Measured, energies_ev: Sequence[float]) -> bool:
    return image.place is not None and 0 <= image.place < len(energies_ev)
