"""An energy measured once more at the end of a scan, through a real RunEngine."""

import numpy as np
import pytest
from bluesky.utils import RunEngineInterrupted
from run_engines import with_rare_checkpoints
from test_plans import pause_during_exposure

from stxm_live import LivePhaseMapper, Recipe, map_run
from stxm_live.core.region import Region
from stxm_live.core.scan import StackScan
from stxm_live.plans import stxm_stack
from stxm_live.sim.instrument import SimulatedMicroscope

CHECK_EV = 518.3
FIELD = Region((-1.6, 1.6), (-1.6, 1.6), nx=30, ny=24, dwell_ms=2.0)


@pytest.fixture
def docs(RE):
    collected = []
    RE.subscribe(lambda name, doc: collected.append((name, doc)))
    return collected


def simulated(**options):
    references = Recipe.load("nvpf").reference_spectra
    rng = np.random.default_rng(4)
    return SimulatedMicroscope.with_particle(references, rng=rng, shape=(80, 80), **options)


def checked(scope, nvpf, mode="image", **options):
    y_axis = {"y_axis": scope.y, "mode": "line"} if mode == "line" else {}
    detector = scope.line if mode == "line" else scope.camera
    energies_ev = options.pop("energies_ev", nvpf.energies_ev)
    return stxm_stack(
        detector, scope.energy, energies_ev, FIELD, check_energy_ev=CHECK_EV, **y_axis, **options
    )


@pytest.mark.parametrize("mode", ["image", "line"])
def test_the_energy_comes_once_more_and_live_maps_are_those_of_a_replay(RE, docs, nvpf, mode):
    with LivePhaseMapper(nvpf) as live:
        RE.subscribe(live)
        (uid,) = RE(checked(simulated(), nvpf, mode))
        maps = live.wait(uid, timeout_s=60)
        status = live.status(uid)
    scan = StackScan.from_start(docs[0][1])
    assert scan.energies_ev == (*nvpf.energies_ev, CHECK_EV)
    n_events = sum(name == "event" for name, _ in docs)
    assert n_events == 14 * (1 if mode == "image" else FIELD.ny)
    assert (status.n_images, status.n_announced) == (14, 14)
    assert maps.status == "complete"
    assert len(maps.energies_ev) == 13
    assert maps.change.energy_ev == pytest.approx(CHECK_EV, abs=1e-2)
    again = map_run(docs, nvpf)
    assert maps.identical(again)
    assert again.change == maps.change


def test_a_repeated_image_that_is_sent_again_after_a_pause_is_one_check(RE, docs, nvpf):
    scope = simulated(frame_time_s=0.05)
    pause_during_exposure(RE, scope.camera, 14)
    with pytest.raises(RunEngineInterrupted):
        RE(with_rare_checkpoints(checked(scope, nvpf), every=2))
    RE.resume()
    numbers = [doc["seq_num"] for name, doc in docs if name == "event"]
    assert numbers == [*range(1, 14), 13, 14]
    assert map_run(docs, nvpf).change is not None


def test_a_check_energy_that_is_not_in_the_list_is_refused_before_anything_moves(RE, docs, nvpf):
    scope = simulated()
    with pytest.raises(ValueError, match=r"check_energy_ev 518.3 eV is not among the energies"):
        RE(checked(scope, nvpf, energies_ev=(505.0, 517.5)))
    assert docs == []


def test_known_i0_is_announced_for_the_repeated_image_too(RE, docs, nvpf):
    i0_counts = [1000.0 + k for k in range(13)]
    RE(checked(simulated(), nvpf, i0_counts=i0_counts))
    scan = StackScan.from_start(docs[0][1])
    assert scan.i0_counts == (*i0_counts, i0_counts[nvpf.energies_ev.index(CHECK_EV)])
