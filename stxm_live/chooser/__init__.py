"""Where to scan next: suggested, chosen by a person, and asked for by a plan."""

from stxm_live.chooser.boxes import LimitsUm, box_region
from stxm_live.chooser.chooser import RegionChooser
from stxm_live.chooser.suggesting import Suggest

__all__ = ["LimitsUm", "RegionChooser", "Suggest", "box_region"]
