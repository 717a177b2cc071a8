"""A first look at a stack without references: components, clusters, band maps."""

from stxm_live.phase_mapping.exploration.channels import channel
from stxm_live.phase_mapping.exploration.clusters import Clusters
from stxm_live.phase_mapping.exploration.components import NonNegative, Principal
from stxm_live.phase_mapping.exploration.dataset import exploration_dataset
from stxm_live.phase_mapping.exploration.naming import named_references, unidentified_component
from stxm_live.phase_mapping.exploration.saving import save_as_recipe
from stxm_live.phase_mapping.exploration.spectra import ExploredSpectra
from stxm_live.phase_mapping.exploration.workflow import Exploration, explore_stack, regrouped

__all__ = [
    "Clusters",
    "Exploration",
    "ExploredSpectra",
    "NonNegative",
    "Principal",
    "channel",
    "exploration_dataset",
    "explore_stack",
    "named_references",
    "regrouped",
    "save_as_recipe",
    "unidentified_component",
]
