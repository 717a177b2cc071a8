"""The choice of the next region.

RE(explore_here(auto=True))
"""

# ruff: noqa: F401, F821  names for the user at the prompt, and from the files before this one
import atexit
from functools import partial

from stxm_live import Region
from stxm_live.adaptive.chooser import RegionChooser
from stxm_live.plans import explore, wait_for_region

x_um, y_um = field.x_extent_um, field.y_extent_um
overview = Region(x_um, y_um, nx=80, ny=80)
limits_um = ((min(x_um) - 0.5, max(x_um) + 0.5), (min(y_um) - 0.5, max(y_um) + 0.5))
chooser = RegionChooser(live, limits_um=limits_um)
explore_here = partial(
    explore,
    camera,
    energy,
    recipe.energies_ev,
    overview,
    chooser=chooser,
    live=live,
)
atexit.register(chooser.close)
