"""A first scan under a real RunEngine, with a recipe that has no references yet."""

import logging

import numpy as np
import pytest

from stxm_live.adaptive.chooser import RegionChooser
from stxm_live.core.recipe import Recipe
from stxm_live.core.region import Region
from stxm_live.live.mapper import LivePhaseMapper
from stxm_live.live.replay import stack_of_run
from stxm_live.phase_mapping.exploration import explore_stack, save_as_recipe
from stxm_live.plans import explore, stxm_stack
from stxm_live.sim.instrument import SimulatedMicroscope

FIELD = Region((-1.2, 1.2), (-1.2, 1.2), nx=41, ny=40)
BESIDE = Region((20.0, 22.4), (20.0, 22.4), nx=41, ny=40)


class Recorder:
    def __init__(self):
        self.cubes, self.maps, self.explorations, self.errors = [], [], [], []
        self.on_cube, self.on_maps = self.cubes.append, self.maps.append
        self.on_exploration = self.explorations.append

    def on_error(self, uid, error):
        self.errors.append(str(error))


@pytest.fixture
def first_look():
    return Recipe.load("first-look").with_changes({"energy_fit": False})


@pytest.fixture
def scope(nvpf):
    return SimulatedMicroscope.with_particle(
        nvpf.reference_spectra, rng=np.random.default_rng(5), shape=(80, 80)
    )


@pytest.fixture
def live(RE, first_look):
    with LivePhaseMapper(first_look) as mapper:
        RE.subscribe(mapper)
        yield mapper


@pytest.fixture
def sink(live):
    recorder = Recorder()
    live.add_sink(recorder)
    return recorder


def scan(engine, scope, energies_ev, region=FIELD):
    (uid,) = engine(stxm_stack(scope.camera, scope.energy, energies_ev, region))
    return uid


def test_a_scan_without_references_is_named_and_maps_the_next_scan(
    RE, scope, live, sink, first_look, nvpf, tmp_path
):
    docs = []
    RE.subscribe(lambda name, doc: docs.append((name, doc)))
    uid = scan(RE, scope, nvpf.energies_ev)
    found = live.explored(uid, timeout_s=120)
    assert sink.explorations == [found] == live.explorations()
    assert (live.status(uid).state, sink.errors, sink.maps) == ("explored", [], [])
    assert len(sink.cubes) == 13
    last = sink.cubes[-1]
    assert (last.phase_names, last.provisional_index) == ((), None)
    assert np.isfinite(last.mean_spectrum).all()
    offline = explore_stack(stack_of_run(docs), first_look)
    np.testing.assert_array_equal(found.clusters.index, offline.clusters.index)
    np.testing.assert_array_equal(found.pca.eigenvalues, offline.pca.eigenvalues)
    with pytest.raises(ValueError, match="no references yet; explored"):
        live.wait(uid, timeout_s=120)

    recipe = save_as_recipe(found, {"0": "charged", "1": "discharged"}, tmp_path / "named")
    live.change_recipe(recipe)
    maps = live.wait(scan(RE, scope, nvpf.energies_ev), timeout_s=120)
    assert maps.phase_names == ("charged", "discharged")
    assert (maps.fractions > 0.05).all()
    with pytest.raises(ValueError, match="mapped with references"):
        live.explored(maps.key.run_uids[0], timeout_s=120)


def test_a_plan_that_chooses_regions_refuses_before_anything_moves(RE, scope, live, nvpf):
    with RegionChooser(live) as chooser, pytest.raises(ValueError, match="no references yet"):
        RE(explore(scope.camera, scope.energy, nvpf.energies_ev, FIELD, chooser=chooser, live=live))
    assert list(live._runs) == []


def test_one_energy_is_no_fault_and_no_clusters(RE, scope, live, sink):
    uid = scan(RE, scope, (517.5,))
    with pytest.raises(ValueError, match="from one energy"):
        live.explored(uid, timeout_s=120)
    assert (live.status(uid).state, sink.errors, sink.explorations) == ("overview", [], [])


def test_an_empty_field_is_said_in_words_and_the_next_scan_is_explored(RE, scope, live, sink, nvpf):
    empty = scan(RE, scope, nvpf.energies_ev[:4], BESIDE)
    with pytest.raises(ValueError, match="nothing to explore"):
        live.explored(empty, timeout_s=120)
    assert live.status(empty).state == "failed"
    assert len(sink.errors) == 1
    assert live.explored(scan(RE, scope, nvpf.energies_ev[:4]), timeout_s=120).pca.n_above_noise


def test_a_sink_on_a_thread_of_its_own_gets_the_exploration(RE, scope, live, nvpf):
    recorder = Recorder()
    live.add_sink(recorder, own_thread=True)
    uid = scan(RE, scope, nvpf.energies_ev[:3])
    found = live.explored(uid, timeout_s=120)
    live.close()
    assert recorder.explorations == [found]
    assert recorder.errors == []


def test_an_error_of_the_exploration_does_not_reach_the_scan(
    RE, scope, live, sink, nvpf, monkeypatch, caplog
):
    def fail(*_, **__):
        raise MemoryError("no room")

    monkeypatch.setattr("stxm_live.live.analysis.explore_stack", fail)
    with caplog.at_level(logging.CRITICAL, "stxm_live"):
        uid = scan(RE, scope, nvpf.energies_ev[:3])
        with pytest.raises(MemoryError, match="no room"):
            live.explored(uid, timeout_s=120)
    assert sink.errors == ["no room"]
