"""Adaptive scans from the catalogue."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from stxm_live import LivePhaseMapper, map_run
from stxm_live.adaptive.energies import EnergyAdvisor
from stxm_live.io.catalog import RawWriter
from stxm_live.plans import stxm_stack_adaptive
from stxm_live.sim.instrument import SimulatedMicroscope

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("mode", ["image", "line"])
def test_a_scan_that_stopped_early_is_replayed_from_the_catalogue_as_it_was_live(
    broker, nvpf, RE, mode
):
    scope = SimulatedMicroscope.with_particle(
        nvpf.reference_spectra, rng=np.random.default_rng(5), shape=(60, 64)
    )
    detector = scope.camera if mode == "image" else scope.line
    writer = RawWriter(broker)
    with LivePhaseMapper(nvpf) as live:
        plan = partial(
            stxm_stack_adaptive, advisor=EnergyAdvisor(live), advice_timeout_s=60, mode=mode
        )
        RE.subscribe(live)
        RE.subscribe(writer)
        (uid,) = RE(
            plan(
                detector,
                scope.energy,
                nvpf.energies_ev,
                replace(scope.field(), nx=32, ny=24 if mode == "image" else 16),
                y_axis=scope.y if mode == "line" else None,
                any_order=mode == "line",
            )
        )
        maps = live.wait(uid, timeout_s=60)
    writer.close()
    assert maps.status == "stopped-early"
    assert maps.identical(map_run(broker[uid], nvpf))
