"""Units of energy, length and time, in all spellings of the field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PREFIXES = {"": 1.0, "k": 1e3, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12}
_WORDS = {"": 1.0, "kilo": 1e3, "centi": 1e-2, "milli": 1e-3, "micro": 1e-6, "nano": 1e-9}


def _units(symbols: str, words: str, per_unit: float, **others: float) -> dict[str, float]:
    """Return factors of all spellings of a unit with its prefixes."""
    found = {p + s: f * per_unit for s in symbols.split() for p, f in _PREFIXES.items()}
    found |= {p + w: f * per_unit for w in words.split() for p, f in _WORDS.items()}
    return found | others


LENGTHS_UM = _units(
    "m", "meter metre", 1e6, micron=1.0, mic=1.0, mum=1.0, angstrom=1e-4, å=1e-4, cm=1e4
)
_ENERGIES_EV = _units("ev", "electronvolt electron-volt electron_volt", 1.0)
_ENERGIES_EV.pop("mev")  # lower case does not show if milli or mega
_TIMES_MS = _units("s sec", "second", 1e3, min=6e4, minute=6e4)


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
    with_case = {"meV": 1e-3, "MeV": 1e6}
    return with_case.get(unit.strip(), _ENERGIES_EV.get(normal(unit).replace(" ", "")))


def unit_in_um(unit: str) -> float | None:
    """Return a unit of length in um, or None if it is none.

    Examples
    --------
    >>> [unit_in_um(unit) for unit in ("um", "micron", "nm", "mm", "deg")]
    [1.0, 1.0, 0.001, 1000.0, None]
    """
    return LENGTHS_UM.get(normal(unit))


def unit_in_ms(unit: str) -> float | None:
    """Return a unit of time in ms, or None if it is none."""
    return _TIMES_MS.get(normal(unit))
