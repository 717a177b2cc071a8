"""Plans, catalogue, live maps and their pictures.

(uid,) = RE(
    stxm_stack(
        image, energy, recipe.energies_ev, Region((-2, 2), (-2, 2), nx=100, ny=100),
        shutter=shutter, monitors=[ring_current],
    )
)
maps = live.wait(uid, timeout_s=30)
"""

# ruff: noqa: F401, F821  names for the user, and from the files before; may print
import atexit
import gc
import os
from functools import partial

import bluesky.preprocessors as bpp

from stxm_live import LivePhaseMapper, Recipe, Region, map_run
from stxm_live.io.catalog import RawWriter, last_scan_id, open_catalog
from stxm_live.plans import stxm_overview, stxm_stack, wait_for_maps, wait_until_stored
from stxm_live.plans.remote import stxm_overview_remote, stxm_stack_remote  # for a queue server
from stxm_live.plotting import LiveFigure

recipe = Recipe.load(os.environ.get("STXM_LIVE_RECIPE") or "nvpf")  # first-look: no references
catalog = open_catalog(os.environ.get("STXM_LIVE_CATALOG") or None)
writer = RawWriter(catalog)
live = LivePhaseMapper(recipe)
figure = LiveFigure(os.environ.get("STXM_LIVE_PICTURES") or None)
live.add_sink(figure, own_thread=True)
live.add_sink(on_exploration=print)  # clusters, if the recipe has no references

RE.subscribe(writer)  # before anything that may fail: what is scanned is stored
RE.subscribe(live)
writer.guard(RE)
RE.md["scan_id"] = last_scan_id(catalog)
# a plan ends when its runs are stored, so that catalog[uid] can be read at the prompt
RE.preprocessors.append(
    partial(bpp.finalize_wrapper, final_plan=partial(wait_until_stored, writer))
)
atexit.register(live.close)  # the writer stores what it has received without being asked
gc.collect()
gc.freeze()  # half a million objects of packages: to look through them holds a scan for .4 s
