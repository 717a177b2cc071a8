"""Where to scan next: regions worth it, what they cost, and the dose a sample has had."""

from stxm_live.regions.suggest import suggest_regions

__all__ = ["suggest_regions"]
