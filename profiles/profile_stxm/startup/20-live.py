"""Plans, catalogue, live maps and their pictures.

(uid,) = RE(
    stxm_stack(
        image, energy, recipe.energies_ev, Region((-2, 2), (-2, 2), nx=100, ny=100),
        shutter=shutter, monitors=[ring_current],
    )
)
maps = live.wait(uid, timeout_s=30)
"""

# ruff: noqa: F401, F821  names for the user at the prompt, and from the files before this one
import atexit
import os
from functools import partial

import bluesky.preprocessors as bpp

from stxm_live import LivePhaseMapper, Recipe, Region, map_run
from stxm_live.io.catalog import RawWriter, list_runs, open_catalog
from stxm_live.plans import stxm_overview, stxm_stack, wait_for_maps, wait_until_stored
from stxm_live.plans.remote import stxm_overview_remote, stxm_stack_remote  # for a queue server
from stxm_live.plotting import LiveFigure

recipe = Recipe.load(os.environ.get("STXM_LIVE_RECIPE") or "nvpf")
catalog = open_catalog(os.environ.get("STXM_LIVE_CATALOG") or None)
writer = RawWriter(catalog)
live = LivePhaseMapper(recipe)
figure = LiveFigure(os.environ.get("STXM_LIVE_PICTURES") or None)
live.add_sink(figure, own_thread=True)

RE.md["scan_id"] = max((run.scan_id or 0 for run in list_runs(catalog, limit=1)), default=0)
RE.subscribe(writer)
RE.subscribe(live)
writer.guard(RE)

# a plan ends when its runs are stored, because the catalogue closes before other exit functions
RE.preprocessors.append(
    partial(bpp.finalize_wrapper, final_plan=partial(wait_until_stored, writer))
)
atexit.register(writer.close)  # a run that no plan waited for stays in its backup file
atexit.register(live.close)  # the last one registered is called first
