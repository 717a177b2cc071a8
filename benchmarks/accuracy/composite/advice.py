"""What the verdict advises for the energy axis, and what comes of following it."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.accuracy.composite.scores import accuracy
from benchmarks.accuracy.composite.ways import default
from benchmarks.accuracy.composite.worlds import Scan, truth_on
from stxm_live import PhaseMaps

ADVICE = "energy_offset_ev"
"""The recipe's value that a verdict names when it advises to correct the axis."""

SAMPLING = 0.005
"""A loss of accuracy so small is none."""


@dataclass(frozen=True)
class Advice:
    """Of one map.

    Parameters
    ----------
    found : bool
        Whether a second map with another axis lies beside the first.
    corrected : float
        Accuracy of that map minus the default's; NaN without one.
    given : bool
        Whether the verdict advises to map again with another axis.
    applied : float
        Accuracy after doing so minus the default's; NaN if it was not advised or cannot be done.
    possible : bool
        Whether it can be done; True where nothing was advised.
    """

    found: bool
    corrected: float
    given: bool
    applied: float
    possible: bool

    @property
    def is_worse(self) -> bool:
        """Whether whoever follows the advice has a worse map, or none."""
        return not self.possible or self.applied < -SAMPLING


def followed(scan: Scan, maps: PhaseMaps) -> Advice:
    """Follow the advice as it is written, two digits of it, where there is one."""
    truth = truth_on(scan, maps.shifts_px)
    before = accuracy(default(maps).index, truth)
    corrected = applied = float("nan")
    if maps.corrected_index is not None:
        corrected = accuracy(maps.corrected_index, truth) - before
    given, possible = ADVICE in str(maps.quality), True
    if given and maps.energy_offset_ev is not None and maps.energy_width_ev is not None:
        changes = {
            "energy_offset_ev": round(maps.energy_offset_ev, 2),
            "energy_width_ev": round(maps.energy_width_ev, 2),
            "energy_fit": False,
        }
        try:
            applied = accuracy(default(maps.redo(changes)).index, truth) - before
        except ValueError:
            possible = False
    return Advice(maps.corrected_index is not None, corrected, given, applied, possible)
