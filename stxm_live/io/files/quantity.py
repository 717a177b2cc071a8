"""The quantity of the images of a file: by its unit, the detector's name, the numbers, or asked."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from stxm_live.core.quantity import QUANTITIES, Quantity, recognized
from stxm_live.core.stack import Stack

_UNITS: dict[Quantity, str] = {
    "counts": r"counts?|cts?|photons?|events?|adu",
    "rate": r"rate|[kmg]?(hz|cps|cts?/s|counts?/s(ec(ond)?)?|photons/s|1/s|s\^?-1)"
    r"|[fpnum]?(a|v)|(nano|pico|micro|milli)?amp(ere)?s?|(milli|micro)?volts?",
    "transmission": r"transmission|transmittance|i/i0",
    "od": r"od|optical[ _-]?dens(ity|ities)|absorbance|absorption|-?ln\(i/i0\)|ln\(i0/i\)",
    "yield": r".*\byield|tey|pey|tfy|pfy",
}

_YIELD = re.compile(
    r"(?<![a-z])(tey|pey|tfy|pfy|xrf|sdd|fluo\w*"
    r"|(total|partial|electron)[ _]?(electron[ _]?)?yield)(?![a-z])",
    re.IGNORECASE,
)
"""Names of detectors that record a yield."""


def quantity_of(unit: str, detector: str = "") -> Quantity | None:
    """Return the quantity that a unit or a detector's name states; None if neither does.

    Examples
    --------
    >>> quantity_of("Hz"), quantity_of("optical density"), quantity_of("", "TEY"), quantity_of("")
    ('rate', 'od', 'yield', None)
    """
    if _YIELD.search(detector):
        return "yield"
    word = unit.strip().strip("[]()").lower().replace("µ", "u").replace("μ", "u")
    return next((q for q, pattern in _UNITS.items() if re.fullmatch(pattern, word)), None)


def with_quantity(path: Path, stack: Stack, asked: str | None = None) -> Stack:
    """Return a stack with the quantity of its numbers: asked for, said by the file, or recognized.

    Raises
    ------
    ValueError
        If the numbers may be several quantities and nothing says which, or are negative although
        they are counts.
    """
    if asked is not None and asked not in QUANTITIES:
        raise ValueError(f"quantity {asked!r}: expected one of {', '.join(QUANTITIES)}")
    said: Quantity | None = next((q for q in QUANTITIES if q == asked), stack.scan.quantity)
    if said is not None and (asked or said != "counts"):
        return _of_quantity(stack, said)
    found, words = recognized([frame.intensity for frame in stack.frames])
    if said == "counts" and found is None and "negative" not in words:
        found = "counts"  # such as the mean of several images
    if found is None:
        raise ValueError(
            f"{path}: {words}: these are not the counts of a detector, and nothing says what they "
            f"are; say it with --quantity ({', '.join(QUANTITIES[1:])}), or quantity = in a "
            "mapping file"
        )
    if found != "counts":
        note = f"{path.name}: {words}: taken as optical densities (--quantity says otherwise)"
        stack = replace(stack, notes=(*stack.notes, note))
    return _of_quantity(stack, found)


def _of_quantity(stack: Stack, quantity: Quantity) -> Stack:
    """Return the stack with a quantity; counts are what is meant where nothing is said."""
    changes = {"quantity": None if quantity == "counts" else quantity}
    return replace(stack, scan=stack.scan.model_copy(update=changes))
