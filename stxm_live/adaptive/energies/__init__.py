"""Scans with fewer photons: certainty of the labels during a scan, and energies to skip."""

from stxm_live.adaptive.energies.advice import Advice, advise, minimum_set
from stxm_live.adaptive.energies.advisor import EnergyAdvisor
from stxm_live.adaptive.energies.order import next_energy, still_left

__all__ = ["Advice", "EnergyAdvisor", "advise", "minimum_set", "next_energy", "still_left"]
