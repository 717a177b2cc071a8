import inspect

import numpy as np
import pytest
from bluesky.utils import RunEngineInterrupted
from ophyd import Signal
from run_engines import a_run_engine, pause_soon

from stxm_live import LivePhaseMapper, Recipe, Region, StackScan, map_run
from stxm_live.adaptive.energies import Advice, EnergyAdvisor
from stxm_live.plans import stxm_stack, stxm_stack_adaptive
from stxm_live.sim.devices import SimulatedAxis
from stxm_live.sim.instrument import SimulatedMicroscope
from stxm_live.sim.microscope import Beam, Drift
from stxm_live.sim.truth import true_index

ENERGIES_EV = (505.0, 515.6, 517.5, 519.2, 530.3)
FIELD = Region((-0.4, 0.4), (0.3, -0.3), nx=9, ny=6)


class SaysAtOnce:
    """Stands in for an advisor: wants the same energies after every image."""

    def __init__(self, wanted=(), minimum=(), problem="", late=False):
        self.wanted, self.problem, self.late = wanted, problem, late
        self._minimum, self._uid, self._latest_ev = minimum, "", None
        self.asked = 0

    def __call__(self, name, doc):
        if name == "start":
            self._uid = doc["uid"]
        elif name == "event":
            self._latest_ev = min(ENERGIES_EV, key=lambda e: abs(e - doc["data"]["energy"]))

    def minimum(self, energies_ev):
        return self._minimum

    def takes_part(self, energy_ev, energies_ev):
        return True

    def latest(self):
        self.asked += 1
        latest_ev = 0.0 if self.late else self._latest_ev
        return Advice(self._uid, latest_ev, self.wanted, error=self.problem)


@pytest.fixture(scope="module")
def run_engine():
    with a_run_engine() as engine:
        yield engine


@pytest.fixture(scope="module")
def references():
    return Recipe.load("nvpf").reference_spectra


@pytest.fixture
def scope(references):
    return SimulatedMicroscope.with_particle(
        references, rng=np.random.default_rng(0), shape=(40, 50)
    )


def recorded(run_engine, scope, advisor, mode="image", **options):
    """Documents of a run, and energies in the order in which they were measured."""
    docs = []
    tokens = [run_engine.subscribe(advisor), run_engine.subscribe(lambda *d: docs.append(d))]
    detector, y_axis = (scope.camera, None) if mode == "image" else (scope.line, scope.y)
    options |= {"advisor": advisor, "y_axis": y_axis, "mode": mode}
    try:
        run_engine(stxm_stack_adaptive(detector, scope.energy, ENERGIES_EV, FIELD, **options))
    finally:
        for token in tokens:
            run_engine.unsubscribe(token)
    return docs


def measured_ev(docs):
    setpoints = [doc["data"]["energy_setpoint"] for name, doc in docs if name == "event"]
    return tuple(dict.fromkeys(setpoints))


def test_it_takes_everything_that_the_ordinary_plan_takes():
    ordinary = dict(inspect.signature(stxm_stack).parameters)
    ours = inspect.signature(stxm_stack_adaptive).parameters
    del ordinary["check_energy_ev"]  # a scan that may skip energies repeats none
    assert {name: ours.get(name) for name in ordinary} == ordinary
    assert set(ours) - set(ordinary) == {"advisor", "any_order", "advice_timeout_s"}


@pytest.mark.parametrize("mode", ["image", "line"])
def test_energies_nobody_wants_are_skipped_and_the_order_stays(run_engine, scope, mode):
    docs = recorded(run_engine, scope, SaysAtOnce(wanted=(530.3, 517.5)), mode)
    assert measured_ev(docs) == (505.0, 517.5, 530.3)
    assert StackScan.from_start(docs[0][1]).skipping == "in-order"
    assert docs[-1][1]["exit_status"] == "success"
    n_lines = 1 if mode == "image" else FIELD.ny
    assert docs[-1][1]["num_events"] == {"primary": 3 * n_lines}


def test_in_any_order_the_minimum_set_comes_first_and_then_what_helps_most(run_engine, scope):
    advisor = SaysAtOnce(wanted=(530.3, 517.5, 515.6), minimum=(505.0, 519.2))
    docs = recorded(run_engine, scope, advisor, any_order=True)
    assert measured_ev(docs) == (505.0, 519.2, 530.3, 517.5, 515.6)
    assert StackScan.from_start(docs[0][1]).skipping == "any-order"


def test_the_minimum_set_is_measured_though_nothing_is_wanted(run_engine, scope):
    docs = recorded(run_engine, scope, SaysAtOnce(minimum=(505.0, 515.6, 530.3)))
    assert measured_ev(docs) == (505.0, 515.6, 530.3)


def test_without_advice_in_time_all_energies_are_measured_and_it_is_asked_once(
    run_engine, scope, caplog
):
    advisor = SaysAtOnce(late=True)
    docs = recorded(run_engine, scope, advisor, advice_timeout_s=0.1)
    assert measured_ev(docs) == ENERGIES_EV
    assert [r.message for r in caplog.records if "no advice" in r.message] == [
        f"run {docs[0][1]['uid'][:8]}: no advice on the image at 505 eV after 0.1 s; all energies "
        "left are measured (is the mapper subscribed, and fast enough?)"
    ]


def test_an_analysis_that_failed_is_not_waited_for(run_engine, scope, caplog):
    docs = recorded(
        run_engine, scope, SaysAtOnce(problem="no specimen in the field"), advice_timeout_s=600
    )
    assert measured_ev(docs) == ENERGIES_EV
    assert "after 600 s" not in caplog.text
    assert "no specimen in the field; all energies left are measured" in caplog.text


def test_advice_on_another_run_is_not_followed(run_engine, scope):
    advisor = SaysAtOnce()
    advisor.latest = lambda: Advice("another run", 505.0)
    docs = recorded(run_engine, scope, advisor, advice_timeout_s=0.1)
    assert measured_ev(docs) == ENERGIES_EV


def test_all_announced_energies_are_within_limits_before_anything_moves(run_engine, scope):
    scope.energy = SimulatedAxis(name="energy", units="eV", value=600.0, limits=(500.0, 520.0))
    with pytest.raises(ValueError, match=r"530\.3"):
        recorded(run_engine, scope, SaysAtOnce())
    assert scope.energy.position == 600.0


def test_the_shutter_is_closed_while_the_plan_waits_for_advice(run_engine, scope):
    shutter, moves = Signal(name="shutter", value="close"), []

    class Slow(SaysAtOnce):
        def latest(self):
            moves.append(shutter.get())
            return super().latest() if len(moves) % 3 == 0 else None

    recorded(run_engine, scope, Slow(wanted=(517.5, 530.3)), shutter=shutter)
    assert moves == ["open", "close", "close"] * 2
    assert shutter.get() == "close"


def test_a_pause_while_the_plan_waits_repeats_no_image(references):
    scope = SimulatedMicroscope.with_particle(
        references, rng=np.random.default_rng(0), shape=(40, 50)
    )
    with a_run_engine() as engine:
        advisor, docs = SaysAtOnce(wanted=(530.3,)), []
        engine.subscribe(advisor)
        engine.subscribe(lambda *d: docs.append(d))
        heard = advisor.latest

        asked = []

        def not_yet():
            asked.append(1)
            if len(asked) == 3:  # the plan waits
                advisor.latest = heard
                pause_soon(engine)

        advisor.latest = not_yet
        with pytest.raises(RunEngineInterrupted):
            engine(
                stxm_stack_adaptive(
                    scope.camera,
                    scope.energy,
                    ENERGIES_EV,
                    FIELD,
                    advisor=advisor,
                    advice_timeout_s=120,
                )
            )
        engine.resume()
    assert [doc["seq_num"] for name, doc in docs if name == "event"] == [1, 2]
    assert measured_ev(docs) == (505.0, 530.3)


@pytest.mark.parametrize(("mode", "exposure"), [("image", 2), ("line", FIELD.ny + 3)])
def test_a_pause_in_an_exposure_repeats_it_and_the_advice_is_followed(references, mode, exposure):
    scope = SimulatedMicroscope.with_particle(
        references, rng=np.random.default_rng(0), shape=(40, 50)
    )
    detector = scope.camera if mode == "image" else scope.line
    expose, calls = detector._expose, []
    with a_run_engine() as engine:

        def exposing(scan):
            calls.append(scan)
            if len(calls) == exposure:
                pause_soon(engine)
            return expose(scan)

        detector._expose = exposing
        y_axis = None if mode == "image" else scope.y
        advisor, docs = SaysAtOnce(wanted=(517.5, 530.3)), []
        engine.subscribe(advisor)
        engine.subscribe(lambda *d: docs.append(d))
        plan = stxm_stack_adaptive(
            detector, scope.energy, ENERGIES_EV, FIELD, advisor=advisor, y_axis=y_axis, mode=mode
        )
        with pytest.raises(RunEngineInterrupted):
            engine(plan)
        engine.resume()
    numbers = [doc["seq_num"] for name, doc in docs if name == "event"]
    n_events = 3 * (1 if mode == "image" else FIELD.ny)
    assert sorted(set(numbers)) == list(range(1, n_events + 1))
    assert measured_ev(docs) == (505.0, 517.5, 530.3)
    assert docs[-1][1]["exit_status"] == "success"


def test_a_scan_aborted_while_it_waits_says_so_and_closes_the_shutter(references):
    scope = SimulatedMicroscope.with_particle(
        references, rng=np.random.default_rng(0), shape=(40, 50)
    )
    with a_run_engine() as engine:
        advisor, docs = SaysAtOnce(), []
        shutter = Signal(name="shutter", value="open")
        engine.subscribe(lambda *d: docs.append(d))
        asked = []

        def never():
            asked.append(1)
            if len(asked) == 3:
                pause_soon(engine)

        advisor.latest = never
        with pytest.raises(RunEngineInterrupted):
            engine(
                stxm_stack_adaptive(
                    scope.camera,
                    scope.energy,
                    ENERGIES_EV,
                    FIELD,
                    advisor=advisor,
                    advice_timeout_s=120,
                    shutter=shutter,
                )
            )
        shutter.put("open")
        engine.abort()
    assert docs[-1][1]["exit_status"] == "abort"
    assert shutter.get() == "close"


@pytest.fixture(scope="module")
def adaptive(references):
    """A scan with a real advisor: documents, live maps and true phases."""
    recipe = Recipe.load("nvpf").with_changes({"model": None, "energy_fit": False})
    scope = SimulatedMicroscope.with_particle(
        references,
        rng=np.random.default_rng(5),
        shape=(72, 80),
        beam=Beam(photons_per_pixel=2000),
        drift=Drift(walk_um=0.01),
    )
    docs = []
    with a_run_engine() as engine, LivePhaseMapper(recipe) as live:
        advisor = EnergyAdvisor(live)
        engine.subscribe(live)
        engine.subscribe(lambda *d: docs.append(d))
        engine(
            stxm_stack_adaptive(
                scope.camera,
                scope.energy,
                recipe.energies_ev,
                scope.field(),
                advisor=advisor,
                advice_timeout_s=60,
            )
        )
        maps = live.wait(docs[0][1]["uid"], timeout_s=60)
    return recipe, docs, maps, true_index(scope, maps, measured_ev(docs)), advisor


def test_a_real_scan_ends_early_with_maps_that_are_right(adaptive):
    recipe, docs, maps, truth, _ = adaptive
    n_measured = len(measured_ev(docs))
    assert recipe.adaptive.fewest <= n_measured < len(recipe.energies_ev)
    assert maps.status == "stopped-early"
    counted = (maps.phase_index >= 0) & (truth >= 0)
    right = (maps.final_index == truth)[counted].mean()
    assert right > 0.85
    assert maps.wrong_probability[counted].mean() == pytest.approx(1 - right, abs=0.05)


def test_the_real_scan_measured_the_minimum_set(adaptive):
    recipe, docs, _, _, advisor = adaptive
    assert set(advisor.minimum(recipe.energies_ev)) <= set(measured_ev(docs))


def test_live_and_replayed_maps_of_the_real_scan_are_the_same(adaptive):
    recipe, docs, maps, _, _ = adaptive
    assert maps.identical(map_run(docs, recipe))


def test_the_last_advice_is_that_nothing_more_is_worth_it(adaptive):
    advice = adaptive[-1].latest()
    assert advice.wanted_ev == ()
    assert advice.most_certainty - advice.certainty <= adaptive[0].adaptive.min_gain
    assert "all energies left" in str(advice)
