"""From counts to optical density, with every unusable pixel kept apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Unusable:
    """How many pixels of an image could not be used, by cause."""

    missing: int = 0
    not_positive: int = 0
    saturated: int = 0

    @property
    def total(self) -> int:
        """All of them."""
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
    """Counts with NaN wherever no optical density can be had, and how many by cause.

    Parameters
    ----------
    counts : ndarray of shape (ny, nx)
    saturation_counts : float, optional
        Counts from this one on are not to be trusted.

    Returns
    -------
    intensity : ndarray of shape (ny, nx), float32
        NaN where counts are missing (not finite), zero or negative, or saturated; the counts
        themselves, not a copy, where all are usable.
    unusable : Unusable
    """
    intensity = np.asarray(counts, dtype=np.float32)
    limit = np.inf if saturation_counts is None else saturation_counts
    if intensity.size and intensity.min() > 0 and intensity.max() < limit:  # NaN fails both
        return intensity, Unusable()
    missing = ~np.isfinite(intensity)
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
    """What an ideal counter would have counted, without the dark ones.

    Parameters
    ----------
    counts : ndarray of shape (ny, nx)
    dark_counts : float
        Per pixel, without beam.
    dead_time_ns : float, optional
        Time after a count in which the counter sees no other one (non-paralysable: true rate
        n / (1 - n t) for a measured rate n).
    dwell_ms : float
        Exposure of a pixel, needed for the dead time.

    Returns
    -------
    ndarray of shape (ny, nx), float32
        NaN where the counter was dead all the time.

    Raises
    ------
    ValueError
        If a dead time is given and the dwell is not known.

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


def optical_density(
    intensity: NDArray[np.floating], i0: NDArray[np.floating] | float
) -> NDArray[np.float32]:
    """OD = ln(I0 / I), positive where the specimen absorbs.

    The paper's equation 3 has the sign of the exponent reversed; this is Beer-Lambert.

    Parameters
    ----------
    intensity : ndarray of shape (..., ny, nx)
        Counts; NaN where unusable (see `usable_intensity`).
    i0 : ndarray that broadcasts against intensity, or float
        Incident intensity in the same units.

    Returns
    -------
    ndarray of the shape of intensity, float32
        Dimensionless; NaN where intensity is NaN.

    Examples
    --------
    >>> optical_density(np.array([[100.0, 36.788]]), 100.0).round(3)
    array([[0., 1.]], dtype=float32)
    """
    log_i0 = np.log(np.asarray(i0, dtype=np.float64)).astype(np.float32)
    return np.asarray(log_i0 - np.log(intensity.astype(np.float32, copy=False)))


def mean_over(intensity: NDArray[np.floating], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean counts of the masked pixels for every image, NaN pixels left out.

    Parameters
    ----------
    intensity : ndarray of shape (n_energies, ny, nx)
    mask : ndarray of bool, shape (ny, nx)

    Returns
    -------
    ndarray of shape (n_energies,)

    Raises
    ------
    ValueError
        If an image has no usable pixel under the mask.

    Notes
    -----
    Counts are averaged, not optical densities: the mean of ln I0 is biased by counting noise.
    """
    chosen = intensity[:, mask]
    known = np.isfinite(chosen)
    counted = known.sum(axis=1)
    if chosen.shape[1] == 0 or np.any(counted == 0):
        raise ValueError("no usable pixel in the region that I0 is taken from")
    return np.asarray(chosen.sum(axis=1, dtype=np.float64, where=known) / counted)


def box_mask(
    box_um: tuple[float, float, float, float],
    extent_um: tuple[float, float, float, float],
    shape: tuple[int, int],
    name: str = "I0 region",
) -> NDArray[np.bool_]:
    """Pixels whose centre lies in a box [x0, x1, y0, y1] in um; corners in any order.

    Raises
    ------
    ValueError
        If no pixel does.
    """
    ny, nx = shape
    x0, x1, y0, y1 = extent_um
    (bx0, bx1), (by0, by1) = sorted(box_um[:2]), sorted(box_um[2:])
    x, y = np.linspace(x0, x1, nx), np.linspace(y0, y1, ny)
    mask = ((y >= by0) & (y <= by1))[:, None] & ((x >= bx0) & (x <= bx1))
    if not mask.any():
        raise ValueError(
            f"the {name} x {bx0:g} to {bx1:g}, y {by0:g} to {by1:g} um lies outside the image "
            f"(x {x0:g} to {x1:g}, y {y0:g} to {y1:g} um)"
        )
    return mask
