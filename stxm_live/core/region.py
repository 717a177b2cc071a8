"""`Region`: a rectangle in motor coordinates that could be scanned next, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Region:
    """A raster in motor coordinates, with all that a plan needs and the reason to scan it.

    Parameters
    ----------
    x_extent_um, y_extent_um : (float, float)
        First and last pixel centre in the order scanned; either may descend.
    nx, ny : int
        Pixels along each axis.
    dwell_ms : float
        Exposure of one pixel.
    name : str
        Name of the stack.
    criterion : str
        A criterion of `suggest_regions`, or "drawn" by a person.
    reason : str
        Text: what is in the region, how much of it, and what the scan costs.
    expected_gain : float or None
        Wrong labels that the scan is expected to remove, in pixels of the map it was found in;
        None if it is not estimated.
    dose_mgy : float or None
        Mean dose that the specimen absorbs, in MGy; None without a calibration of the photons.
    minutes : float or None
        Duration of the whole stack.

    Raises
    ------
    ValueError
        If an extent is not finite, an axis has no pixel, or more than one pixel has no length.
    """

    x_extent_um: tuple[float, float]
    y_extent_um: tuple[float, float]
    nx: int
    ny: int
    dwell_ms: float = 1.0
    name: str = "1"
    criterion: str = "drawn"
    reason: str = ""
    expected_gain: float | None = None
    dose_mgy: float | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        for axis, extent_um, n in (
            ("x", self.x_extent_um, self.nx),
            ("y", self.y_extent_um, self.ny),
        ):
            if not np.isfinite(extent_um).all():
                raise ValueError(f"{axis} from {extent_um[0]} to {extent_um[1]} um is not a region")
            if not n >= 1:
                raise ValueError(f"n{axis} is {n}; a region has at least one pixel")
            if n > 1 and extent_um[0] == extent_um[1]:
                raise ValueError(
                    f"the region has no size in {axis}: it begins and ends at {extent_um[0]:g} um"
                )
        if not self.dwell_ms > 0:
            raise ValueError(f"dwell_ms is {self.dwell_ms:g}; it must be positive")

    @property
    def step_um(self) -> tuple[float, float]:
        """Return the distance of pixel centers in x and y, positive; 0 along a single pixel."""
        x, y = (
            abs(last - first) / max(n - 1, 1)
            for (first, last), n in ((self.x_extent_um, self.nx), (self.y_extent_um, self.ny))
        )
        return x, y

    @property
    def positions_um(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the pixel centers: columns (nx,) and rows (ny,)."""
        return np.linspace(*self.x_extent_um, self.nx), np.linspace(*self.y_extent_um, self.ny)

    def plan_arguments(self) -> dict[str, Any]:
        """Return JSON-clean keyword arguments of ``stxm_live.plans.remote.stxm_stack_remote``.

        Examples
        --------
        >>> Region((0, 3), (5, 3), nx=4, ny=3, name="2").plan_arguments()["y_extent_um"]
        (5, 3)
        """
        return {
            "x_extent_um": self.x_extent_um,
            "y_extent_um": self.y_extent_um,
            "nx": self.nx,
            "ny": self.ny,
            "dwell_ms": self.dwell_ms,
            "region": self.name,
        }

    def scan_table(self) -> dict[str, dict[str, float]]:
        """Return START, STOP and NPOINTS of each axis, as microscope programs expect them.

        Examples
        --------
        >>> Region((0, 3), (5, 3), nx=4, ny=3).scan_table()["X"]
        {'START': 0, 'STOP': 3, 'NPOINTS': 4}
        """
        return {
            axis: {"START": extent_um[0], "STOP": extent_um[1], "NPOINTS": n}
            for axis, extent_um, n in (
                ("X", self.x_extent_um, self.nx),
                ("Y", self.y_extent_um, self.ny),
            )
        }


def box_mask(
    box_um: tuple[float, float, float, float],
    extent_um: tuple[float, float, float, float],
    shape: tuple[int, int],
    name: str = "I0 region",
) -> NDArray[np.bool_]:
    """Return the pixels whose center is in a box [x0, x1, y0, y1] in um; any corner order.

    Raises
    ------
    ValueError
        If no pixel is in the box.
    """
    ny, nx = shape
    x0, x1, y0, y1 = extent_um
    (bx0, bx1), (by0, by1) = sorted(box_um[:2]), sorted(box_um[2:])
    x, y = np.linspace(x0, x1, nx), np.linspace(y0, y1, ny)
    mask = ((y >= by0) & (y <= by1))[:, None] & ((x >= bx0) & (x <= bx1))
    if not mask.any():
        raise ValueError(
            f"the {name} x {bx0:g} to {bx1:g}, y {by0:g} to {by1:g} um is outside the image "
            f"(x {x0:g} to {x1:g}, y {y0:g} to {y1:g} um)"
        )
    return mask
