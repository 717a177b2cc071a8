"""Live maps against those replayed from the catalogue, also after a pause."""

from dataclasses import replace

import numpy as np
import pytest
from bluesky.utils import RunEngineInterrupted
from catalog_fixtures import EnergyImageDevice, stack_plan
from particles import documents, particle_counts, particle_scan
from run_engines import with_rare_checkpoints

from stxm_live import LivePhaseMapper, map_run
from stxm_live.io.catalog import RawWriter, store_documents
from stxm_live.live.replay import stack_of_run
from stxm_live.plans import stxm_stack, wait_for_maps
from stxm_live.sim.instrument import SimulatedMicroscope

pytestmark = pytest.mark.slow


@pytest.fixture
def recorded(broker, nvpf, RE):
    """A RunEngine with writer and mapper subscribed; afterwards both are closed."""
    writer, live = RawWriter(broker), LivePhaseMapper(nvpf)
    RE.subscribe(writer)
    RE.subscribe(live)
    yield RE, writer, live
    live.close()
    writer.close()


def test_a_scan_paused_and_rewound_maps_live_as_it_replays(recorded, broker, nvpf):
    run_engine, writer, live = recorded
    counts, energies_ev, _ = particle_counts()
    starts, numbers = [], []
    run_engine.subscribe(lambda _, doc: starts.append(doc["uid"]), "start")
    run_engine.subscribe(lambda _, doc: numbers.append(doc["seq_num"]), "event")
    paused = []

    def pause_once(k):
        import bluesky.plan_stubs as bps

        if k == 7 and not paused:
            paused.append(k)
            yield from bps.pause()

    plan = stack_plan(
        EnergyImageDevice(counts, energies_ev), particle_scan(), before_image=pause_once
    )
    with pytest.raises(RunEngineInterrupted):
        run_engine(with_rare_checkpoints(plan, every=5))
    run_engine.resume()
    assert len(numbers) > len(set(numbers)) == 13  # some images were sent twice
    (uid,) = starts
    maps = live.wait(uid, timeout_s=60)
    writer.wait(uid, timeout_s=60)
    assert maps.status == "complete"
    assert any("came again" in warning for warning in maps.warnings)
    assert maps.identical(map_run(broker[uid], nvpf))


@pytest.mark.parametrize("mode", ["image", "line"])
def test_the_simulated_microscope_maps_live_as_it_replays(recorded, broker, nvpf, mode):
    run_engine, writer, live = recorded
    microscope = SimulatedMicroscope.with_particle(
        nvpf.reference_spectra, rng=np.random.default_rng(8), shape=(48, 40)
    )
    results = []

    def plan():
        detector = microscope.camera if mode == "image" else microscope.line
        uid = yield from stxm_stack(
            detector,
            microscope.energy,
            nvpf.energies_ev[::2],
            replace(microscope.field(), ny=16),
            y_axis=microscope.y,
            mode=mode,
        )
        results.append((uid, (yield from wait_for_maps(live, uid, timeout_s=60))))

    run_engine(plan())
    ((uid, maps),) = results
    writer.wait(uid, timeout_s=60)
    assert maps.status == "complete"
    assert maps.identical(map_run(broker[uid], nvpf))


def test_an_image_sent_again_in_other_dtypes_counts_as_sent_last_live_and_replayed(broker, nvpf):
    counts, energies_ev, _ = particle_counts()
    again = [(counts[5] * 0.5).astype(np.float64), counts[5] * np.float32(0.8)]
    images = [*zip(energies_ev, counts, strict=True), *((energies_ev[5], image) for image in again)]
    events = [(None, {"energy": energy_ev, "counts": image}) for energy_ev, image in images]
    run = list(documents(events, particle_scan()))
    live = LivePhaseMapper(nvpf)
    for name, doc in run:
        live(name, doc)
    maps = live.wait(run[0][1]["uid"], timeout_s=60)
    live.close()

    replayed = broker[store_documents(broker, run)]

    np.testing.assert_array_equal(stack_of_run(replayed).intensity()[5], again[-1])
    again = map_run(replayed, nvpf)
    assert maps.identical(again)
    assert maps.warnings == again.warnings
