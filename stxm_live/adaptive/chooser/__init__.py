"""Next regions: suggested, chosen by a person, and requested by a plan."""

from stxm_live.adaptive.chooser.background import Suggest
from stxm_live.adaptive.chooser.chooser import RegionChooser
from stxm_live.adaptive.chooser.drawn_boxes import LimitsUm, box_region

__all__ = ["LimitsUm", "RegionChooser", "Suggest", "box_region"]
