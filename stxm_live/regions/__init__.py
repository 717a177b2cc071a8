"""Where to scan next: regions worth it, what they cost, and the dose a sample has had."""

from stxm_live.regions.dose import Absorber, DoseMap
from stxm_live.regions.request import Pace
from stxm_live.regions.suggest import suggest_regions

__all__ = ["Absorber", "DoseMap", "Pace", "suggest_regions"]
