"""Plans, catalogue and live maps.

(uid,) = RE(stxm_stack(camera, energy, recipe.energies_ev, field))
maps = live.wait(uid, timeout_s=30)
"""

# ruff: noqa: F401, F821, T201  names for the user and from files before this; a profile may print
import atexit
import os
from functools import partial

import bluesky.preprocessors as bpp

from stxm_live import LivePhaseMapper, map_run
from stxm_live.io.catalog import RawWriter, list_runs, open_catalog
from stxm_live.plans import stxm_stack, wait_for_maps, wait_until_stored
from stxm_live.plotting.live_figure.header import time_left_in_words

catalog = open_catalog(os.environ.get("STXM_LIVE_CATALOG") or None)
writer = RawWriter(catalog)
live = LivePhaseMapper(recipe)

RE.md["scan_id"] = max((run.scan_id or 0 for run in list_runs(catalog, limit=1)), default=0)
RE.subscribe(writer)
RE.subscribe(live)
writer.guard(RE)
live.add_sink(
    on_cube=lambda view: print(
        f"energy {view.progress.n_images} of {view.progress.n_announced} "
        f"({view.energies_ev[view.latest]:g} eV), {time_left_in_words(view.progress)}"
    )
)

# a plan ends when its runs are stored, because the catalogue closes before other exit functions
RE.preprocessors.append(
    partial(bpp.finalize_wrapper, final_plan=partial(wait_until_stored, writer))
)
atexit.register(writer.close)  # a run that no plan waited for stays in its backup file
atexit.register(live.close)  # the last one registered is called first
