"""Bluesky plans of stxm_live; the folder is the package ``stxm_live.plans``."""

from stxm_live.plans.adaptive import stxm_stack_adaptive
from stxm_live.plans.choose import wait_for_region
from stxm_live.plans.explore import explore
from stxm_live.plans.maps import wait_for_maps
from stxm_live.plans.optimizer import RegionOptimizer
from stxm_live.plans.overview import stxm_overview
from stxm_live.plans.sparse import stxm_sparse_stack
from stxm_live.plans.stack import stxm_stack
from stxm_live.plans.stored import wait_until_stored

__all__ = [
    "RegionOptimizer",
    "explore",
    "stxm_overview",
    "stxm_sparse_stack",
    "stxm_stack",
    "stxm_stack_adaptive",
    "wait_for_maps",
    "wait_for_region",
    "wait_until_stored",
]
