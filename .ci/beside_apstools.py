"""A scan beside apstools, which wants databroker 1: live maps, and the same from the header."""

import logging

import apstools
import databroker
import numpy as np
from bluesky import RunEngine

from stxm_live import LivePhaseMapper, Recipe, map_run
from stxm_live.io.catalog import open_catalog
from stxm_live.plans import stxm_stack
from stxm_live.sim.instrument import SimulatedMicroscope

logging.basicConfig(level=logging.WARNING)

recipe = Recipe.load("nvpf")
microscope = SimulatedMicroscope.with_particle(
    recipe.reference_spectra, rng=np.random.default_rng(0), frame_time_s=0.0
)
RE, db = RunEngine(), databroker.Broker.named("temp")
with LivePhaseMapper(recipe) as live:
    RE.subscribe(db.insert)
    RE.subscribe(live)
    plan = stxm_stack(microscope.camera, microscope.energy, recipe.energies_ev, microscope.field())
    (uid,) = RE(plan)
    maps = live.wait(uid, timeout_s=300)
again = map_run(db[uid], recipe)
np.testing.assert_array_equal(again.resolved_index, maps.resolved_index)
np.testing.assert_array_equal(again.probability, maps.probability)
try:
    open_catalog("catalog")
except ImportError as error:
    assert "stxm-live[catalog]" in str(error), error  # noqa: PT017
else:
    raise AssertionError("a catalogue without Tiled")
print(f"apstools {apstools.__version__}, databroker {databroker.__version__}: {maps}")
