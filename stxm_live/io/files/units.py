"""Units in files, what is taken where there is none, and sizes that cannot be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stxm_live.io.units import LENGTHS_UM, normal, unit_in_ev, unit_in_um

_LEAST_PIXEL_UM, _LARGEST_PIXEL_UM = 0.002, 10.0
"""Sizes of pixels by which a missing unit is chosen."""

_IMPOSSIBLE_UM = 0.001, 20.0
"""Pixels smaller or larger than these are not those of an X-ray microscope."""

_UNEQUAL = 100.0
"""Ratio of the pixel sizes in x and y beyond which one of the units is wrong."""


def energy_factor(unit: str, values: NDArray[np.floating]) -> tuple[float | None, str]:
    """Return the factor to eV and, where no unit says it, what was taken.

    The factor is None for a unit that is none of an energy.
    """
    if normal(unit):
        return unit_in_ev(unit), ""
    known = values[np.isfinite(values)]
    typical = float(np.median(known)) if known.size else float("nan")
    return (1e3, "keV") if 0.03 < typical < 20 else (1.0, "eV")


def length_factor(unit: str, values: NDArray[np.floating]) -> tuple[float | None, str]:
    """Return the factor to um and, where no unit says it, what was taken.

    Without a unit it is um, unless only mm, m or nm make pixels of a possible size.
    """
    if normal(unit):
        return unit_in_um(unit), ""
    step = pixel_size(values)
    for name in ("um", "mm", "m", "nm"):
        size_um = step * LENGTHS_UM[name]
        if _LEAST_PIXEL_UM <= size_um <= _LARGEST_PIXEL_UM:
            return LENGTHS_UM[name], f"{name} (pixels of {size_in_words(size_um)})"
    return 1.0, f"um (pixels of {size_in_words(step)})" if step > 0 else "um"


def pixel_size(positions: NDArray[np.floating]) -> float:
    """Return the median step of some positions; 0 for fewer than two."""
    steps = np.abs(np.diff(positions[np.isfinite(positions)]))
    return float(np.median(steps)) if steps.size else 0.0


def impossible_pixels(x_um: NDArray[np.floating], y_um: NDArray[np.floating]) -> str:
    """Return a note on pixels of a size that no X-ray microscope has; empty if there are none."""
    sizes = [s for s in map(pixel_size, (x_um, y_um)) if s > 0]
    odd = [s for s in sizes if not _IMPOSSIBLE_UM[0] <= s <= _IMPOSSIBLE_UM[1]]
    if not odd and len(sizes) == 2 and max(sizes) > _UNEQUAL * min(sizes):
        x, y = map(size_in_words, sizes)
        return f"pixels of {x} in x and {y} in y: the unit of one axis must be wrong"
    if not odd:
        return ""
    return (
        f"pixels of {size_in_words(odd[0])} are not those of an X-ray microscope: the unit of the "
        "positions must be wrong, and lengths and areas with it"
    )


def size_in_words(size_um: float) -> str:
    """Return a length with a fitting unit.

    Examples
    --------
    >>> size_in_words(0.05), size_in_words(1.5), size_in_words(2500.0)
    ('50 nm', '1.5 um', '2.5 mm')
    """
    if size_um < 1:
        return f"{1e3 * size_um:.3g} nm"
    return f"{size_um:.3g} um" if size_um < 1e3 else f"{1e-3 * size_um:.3g} mm"


KNOWN = {
    "length": "m, mm, um (micron), nm, angstrom",
    "energy": "eV, keV",
}
"""Units for the messages."""
