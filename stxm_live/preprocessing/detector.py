"""Steps from counts to optical density that mark every unusable pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Unusable:
    """Number of unusable pixels of an image, by cause."""

    missing: int = 0
    not_positive: int = 0
    saturated: int = 0

    @property
    def total(self) -> int:
        """Return the number of all unusable pixels."""
        return self.missing + self.not_positive + self.saturated

    def __str__(self) -> str:
        causes = (
            (self.missing, "missing"),
            (self.not_positive, "zero or negative"),
            (self.saturated, "saturated"),
        )
        return ", ".join(f"{n} {cause}" for n, cause in causes if n)


def usable_intensity(
    counts: NDArray[np.floating], saturation_counts: float | None = None
) -> tuple[NDArray[np.float32], Unusable]:
    """Return counts with NaN where no optical density exists, and the number by cause.

    Parameters
    ----------
    counts : ndarray of shape (ny, nx)
    saturation_counts : float, optional
        Counts at or above this value are not reliable.

    Returns
    -------
    intensity : ndarray of shape (ny, nx), float32
        NaN where counts are missing (not finite), zero or negative, or saturated. If all are
        usable, these are the counts themselves, not a copy.
    unusable : Unusable
    """
    intensity = np.asarray(counts, dtype=np.float32)
    limit = np.inf if saturation_counts is None else saturation_counts
    if intensity.size and intensity.min() > 0 and intensity.max() < limit:  # NaN fails both
        return intensity, Unusable()
    missing = ~np.isfinite(intensity)
    if missing.all():  # an image that was announced and hardly begun takes no memory
        return np.broadcast_to(np.float32(np.nan), intensity.shape), Unusable(intensity.size)
    not_positive = ~missing & (intensity <= 0)
    saturated = ~missing & (intensity >= limit)
    unusable = missing | not_positive | saturated
    if unusable.any():
        intensity = np.where(unusable, np.float32(np.nan), intensity)
    return intensity, Unusable(int(missing.sum()), int(not_positive.sum()), int(saturated.sum()))


def corrected_counts(
    counts: NDArray[np.floating],
    *,
    dark_counts: float = 0.0,
    dead_time_ns: float | None = None,
    dwell_ms: float = 0.0,
) -> NDArray[np.float32]:
    """Return the counts of an ideal counter, without dark counts.

    Parameters
    ----------
    counts : ndarray of shape (ny, nx)
    dark_counts : float
        Counts per pixel without beam.
    dead_time_ns : float, optional
        Time after a count in which no other one is counted (non-paralyzable: true rate
        n / (1 - n t) for a measured rate n).
    dwell_ms : float
        Exposure of a pixel, needed for the dead time.

    Returns
    -------
    ndarray of shape (ny, nx), float32
        Corrected counts; NaN where the counter was dead all the time.

    Raises
    ------
    ValueError
        If a dead time is given and the dwell is unknown.

    Examples
    --------
    >>> corrected_counts(np.array([[5000.0]]), dead_time_ns=20, dwell_ms=1.0).round(1)
    array([[5555.6]], dtype=float32)
    """
    corrected = np.asarray(counts, dtype=np.float32)
    if dead_time_ns is not None:
        if dwell_ms <= 0:
            raise ValueError(
                "the recipe corrects for dead time, which needs the scan's dwell_ms; it says 0"
            )
        alive = 1 - corrected * np.float32(1e-6 * dead_time_ns / dwell_ms)
        corrected = np.divide(corrected, alive, out=np.full_like(alive, np.nan), where=alive > 0)
    return corrected - np.float32(dark_counts) if dark_counts else corrected
