"""Labels of columns that hold two phases: the label names the larger part."""

from __future__ import annotations

import numpy as np

from stxm_live.core.phase_maps import Quality
from stxm_live.phase_mapping.assignment import Resolution
from stxm_live.phase_mapping.facts import Facts

MIXED_LIMITED = 0.5
"""Share of the specimen that holds two phases from which labels are limited."""


def share_of_mixed(resolution: Resolution | None) -> float:
    """Return the share of the identified pixels that hold two phases; 0 without any."""
    if resolution is None:
        return 0.0
    known = resolution.mixed[~resolution.unidentified]
    return float(np.mean(known)) if known.size else 0.0


def mixed_columns(facts: Facts) -> Quality | None:
    """Limit maps of which most columns hold two phases.

    Neighbors decide which of the two is the larger part. They are as uncertain, and share the
    errors of references that decide it, so that probabilities promise too much.
    """
    if facts.mixed_share < MIXED_LIMITED:
        return None
    return Quality(
        "limited",
        f"{100 * facts.mixed_share:.0f} % of the columns hold two phases; a label names the larger "
        "part",
        "which part is the larger one is less certain than the probabilities say",
        "Look at the amounts of the phases instead of the labels.",
    )
