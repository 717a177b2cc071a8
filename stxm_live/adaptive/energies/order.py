"""Order in which energies are measured or skipped."""

from __future__ import annotations

from collections.abc import Sequence


def still_left(left: Sequence[float], measured_ev: float, *, any_order: bool) -> list[float]:
    """Return the energies that can be measured after one: all others, or later ones only.

    Examples
    --------
    >>> still_left([505.0, 515.6, 517.5], 515.6, any_order=False)
    [517.5]
    """
    place = list(left).index(measured_ev)
    return [*(left[:place] if any_order else ()), *left[place + 1 :]]


def next_energy(
    left: Sequence[float], wanted: Sequence[float], required: Sequence[float], *, any_order: bool
) -> float | None:
    """Return the energy to measure next, or None if the scan may end.

    If any order is allowed, required energies come first, then the others in the wanted order.

    Examples
    --------
    >>> next_energy([515.6, 517.5, 519.2], [519.2, 517.5], [], any_order=False)
    517.5
    """
    order = (*required, *wanted) if any_order else tuple(left)
    return next((e for e in order if e in left and (e in wanted or e in required)), None)
