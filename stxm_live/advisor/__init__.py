"""Fewer photons: how sure the labels are while a scan runs, and which energies it may skip."""

from stxm_live.advisor.advice import Advice, minimum_set
from stxm_live.advisor.advisor import EnergyAdvisor

__all__ = ["Advice", "EnergyAdvisor", "minimum_set"]
