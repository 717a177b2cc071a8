"""Fewer photons: how sure the labels are while a scan runs, and which energies it may skip."""

from stxm_live.advisor.advice import Advice, advise, minimum_set
from stxm_live.advisor.advisor import EnergyAdvisor
from stxm_live.advisor.order import next_energy, still_left

__all__ = ["Advice", "EnergyAdvisor", "advise", "minimum_set", "next_energy", "still_left"]
