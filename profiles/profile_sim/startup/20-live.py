"""Plans, catalogue and live maps.

(uid,) = RE(stxm_stack(camera, energy, recipe.energies_ev, field))
maps = live.wait(uid, timeout_s=30)
"""

# ruff: noqa: F401, F821, T201  names for the user, and from the files before; may print
import atexit
import os
from functools import partial

import bluesky.preprocessors as bpp

from stxm_live import LivePhaseMapper, Recipe, map_run
from stxm_live.io.catalog import RawWriter, last_scan_id, open_catalog, store_maps
from stxm_live.plans import stxm_stack, wait_for_maps, wait_until_stored
from stxm_live.plotting.live_figure.header import time_left_in_words

catalog = open_catalog(os.environ.get("STXM_LIVE_CATALOG") or None)
writer = RawWriter(catalog)
live = LivePhaseMapper(Recipe.load(os.environ.get("STXM_LIVE_RECIPE") or "nvpf"))

RE.subscribe(writer)  # before anything that may fail: what is scanned is stored
RE.subscribe(live)
writer.guard(RE)
RE.md["scan_id"] = last_scan_id(catalog)
live.add_sink(
    on_exploration=print,  # clusters, if STXM_LIVE_RECIPE is first-look
    on_cube=lambda view: print(
        f"energy {view.progress.n_images} of {view.progress.n_announced} "
        f"({view.energies_ev[view.latest]:g} eV), {time_left_in_words(view.progress)}"
    ),
)
live.add_sink(on_maps=partial(store_maps, catalog), own_thread=True)
# a plan ends when its runs are stored, so that catalog[uid] can be read at the prompt
RE.preprocessors.append(
    partial(bpp.finalize_wrapper, final_plan=partial(wait_until_stored, writer))
)
atexit.register(live.close)  # the writer stores what it has received without being asked
