"""Next regions to scan, their cost, and the dose that a sample has had."""

from stxm_live.adaptive.regions.dose import Absorber, DoseMap
from stxm_live.adaptive.regions.request import Overhead
from stxm_live.adaptive.regions.suggest import suggest_regions

__all__ = ["Absorber", "DoseMap", "Overhead", "suggest_regions"]
