"""Units in files, in all spellings of the field, and what is done where there is none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_PREFIXES = {"": 1.0, "k": 1e3, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12}
_WORDS = {"": 1.0, "kilo": 1e3, "centi": 1e-2, "milli": 1e-3, "micro": 1e-6, "nano": 1e-9}


def _units(symbols: str, words: str, per_unit: float, **others: float) -> dict[str, float]:
    """Return factors of all spellings of a unit with its prefixes."""
    found = {p + s: f * per_unit for s in symbols.split() for p, f in _PREFIXES.items()}
    found |= {p + w: f * per_unit for w in words.split() for p, f in _WORDS.items()}
    return found | others


_LENGTHS_UM = _units(
    "m", "meter metre", 1e6, micron=1.0, mic=1.0, mum=1.0, angstrom=1e-4, å=1e-4, cm=1e4
)
_ENERGIES_EV = _units("ev", "electronvolt electron-volt electron_volt", 1.0)
_ENERGIES_EV.pop("mev")  # lower case does not show if milli or mega
_TIMES_MS = _units("s sec", "second", 1e3, min=6e4, minute=6e4)

_LEAST_PIXEL_UM, _LARGEST_PIXEL_UM = 0.002, 10.0
"""Sizes of pixels by which a missing unit is chosen."""

_IMPOSSIBLE_UM = 0.001, 20.0
"""Pixels smaller or larger than these are not those of an X-ray microscope."""

_UNEQUAL = 100.0
"""Ratio of the pixel sizes in x and y beyond which one of the units is wrong."""


def normal(unit: str) -> str:
    """Return a unit in one spelling: without case, plural, brackets, and with "u" for micro.

    A µ in UTF-8 that was read as latin-1 is mended, and so is the one of old DOS programs.

    Examples
    --------
    >>> [normal(unit) for unit in ("µm", "μm", "Î¼m", "Âµm", "[um]", "Microns", "eV ")]
    ['um', 'um', 'um', 'um', 'um', 'micron', 'ev']
    """
    for _ in range(2):
        try:
            unit = unit.encode("latin-1").decode("utf-8")
        except UnicodeError:
            break
    word = unit.strip().strip("[]().").strip().lower()
    for micro in ("µ", "μ", "æ"):
        word = word.replace(micro, "u")
    return word[:-1] if len(word) > 3 and word.endswith("s") else word


def energy_factor(unit: str, values: NDArray[np.floating]) -> tuple[float | None, str]:
    """Return the factor to eV and, where no unit says it, what was taken.

    The factor is None for a unit that is none of an energy.
    """
    if normal(unit):
        return _ENERGIES_EV.get(normal(unit)), ""
    known = values[np.isfinite(values)]
    typical = float(np.median(known)) if known.size else float("nan")
    return (1e3, "keV") if 0.03 < typical < 20 else (1.0, "eV")


def length_factor(unit: str, values: NDArray[np.floating]) -> tuple[float | None, str]:
    """Return the factor to um and, where no unit says it, what was taken.

    Without a unit it is um, unless only mm, m or nm make pixels of a possible size.
    """
    if normal(unit):
        return _LENGTHS_UM.get(normal(unit)), ""
    step = pixel_size(values)
    for name in ("um", "mm", "m", "nm"):
        size_um = step * _LENGTHS_UM[name]
        if _LEAST_PIXEL_UM <= size_um <= _LARGEST_PIXEL_UM:
            return _LENGTHS_UM[name], f"{name} (pixels of {size_in_words(size_um)})"
    return 1.0, f"um (pixels of {size_in_words(step)})" if step > 0 else "um"


def time_factor(unit: str) -> float | None:
    """Return the factor to ms; None for a unit that is none of a time, or none at all."""
    return _TIMES_MS.get(normal(unit))


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
