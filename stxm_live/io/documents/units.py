"""Units that descriptors give to photon energies and to positions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_EV = {"ev": 1.0, "kev": 1e3, "electronvolt": 1.0, "kiloelectronvolt": 1e3}

_UM = {
    **dict.fromkeys(("um", "micron", "microns", "micrometer", "micrometre"), 1.0),
    **dict.fromkeys(("micrometers", "micrometres"), 1.0),
    **dict.fromkeys(("nm", "nanometer", "nanometre"), 1e-3),
    **dict.fromkeys(("mm", "millimeter", "millimetre"), 1e3),
    **dict.fromkeys(("m", "meter", "metre"), 1e6),
}


def unit_of(data_key: Mapping[str, Any]) -> str:
    """Return the unit of a data key as its device gives it, or an empty text."""
    unit = data_key.get("units")
    return str(unit).strip() if unit is not None else ""


def unit_in_ev(unit: str) -> float | None:
    """Return an energy unit in eV, or None if it is none.

    Examples
    --------
    >>> [unit_in_ev(unit) for unit in ("eV", "keV", "meV", "MeV", "electron volts", "mm")]
    [1.0, 1000.0, 0.001, 1000000.0, 1.0, None]
    """
    prefixed = {"meV": 1e-3, "MeV": 1e6}
    word = unit.lower().replace(" ", "").replace("-", "").replace("_", "").rstrip("s")
    return prefixed.get(unit, _EV.get(word))


def unit_in_um(unit: str) -> float | None:
    """Return a unit of length in um, or None if it is none.

    Examples
    --------
    >>> [unit_in_um(unit) for unit in ("um", "micron", "nm", "mm", "deg")]
    [1.0, 1.0, 0.001, 1000.0, None]
    """
    return _UM.get(unit.lower().replace("\u00b5", "u").replace("\u03bc", "u"))
