"""Explorations under a real RunEngine: a plan asks, a person or a rule answers."""

import threading
import time
from functools import partial

import numpy as np
import pytest
from bluesky.utils import RunEngineInterrupted
from run_engines import a_run_engine, pause_soon

from stxm_live.adaptive.chooser import RegionChooser
from stxm_live.adaptive.energies import EnergyAdvisor
from stxm_live.core.region import Region
from stxm_live.core.scan import StackScan
from stxm_live.live.mapper import LivePhaseMapper
from stxm_live.plans import RegionOptimizer, explore, stxm_stack, stxm_stack_adaptive, waiting
from stxm_live.preprocessing.i0 import BORROWED
from stxm_live.sim.instrument import SimulatedMicroscope

OVERVIEW = Region((-1.2, 1.2), (-1.2, 1.2), nx=25, ny=24, name="all")
THIRDS = tuple(
    Region((x, x + 0.6), (-0.3, 0.3), nx=21, ny=20, dwell_ms=2.0, criterion="doubt", reason="why")
    for x in (-0.9, -0.3, 0.3)
)


def thirds(maps, scanned):
    """Suggest the three regions that are not scanned yet."""
    taken = {region.x_extent_um for region in scanned}
    return [region for region in THIRDS if region.x_extent_um not in taken]


class Shutter:
    """Remembers what it was set to."""

    name = "shutter"
    parent = None

    def __init__(self):
        self.settings = []

    def set(self, value):
        from ophyd.status import Status

        self.settings.append(value)
        status = Status()
        status.set_finished()
        return status


class Session:
    """A RunEngine, a microscope, a mapper and a chooser, as in a beamline's session."""

    def __init__(self, engine, recipe, suggest):
        self.engine = engine
        self.docs = []
        self.scope = SimulatedMicroscope.with_particle(
            recipe.reference_spectra, rng=np.random.default_rng(5), shape=(80, 80)
        )
        self.energies_ev = recipe.energies_ev
        self.shutter = Shutter()
        self.live = LivePhaseMapper(recipe)
        self.chooser = RegionChooser(self.live, suggest=suggest)
        engine.subscribe(lambda name, doc: self.docs.append((name, doc)))
        engine.subscribe(self.live)

    def plan(self, **options):
        return explore(
            self.scope.camera,
            self.scope.energy,
            options.pop("energies_ev", self.energies_ev),
            options.pop("overview", OVERVIEW),
            **{
                "chooser": self.chooser,
                "live": self.live,
                "shutter": self.shutter,
                **options,
            },
        )

    @property
    def starts(self):
        return [doc for name, doc in self.docs if name == "start"]

    @property
    def stops(self):
        return [doc for name, doc in self.docs if name == "stop"]

    def at_exposure(self, number, act):
        """Do something while the camera exposes for the given time, counted from 1."""
        expose, exposed = self.scope.camera._expose, []

        def exposing(scan):
            exposed.append(scan)
            if len(exposed) == number:
                act()
            return expose(scan)

        self.scope.camera._expose = exposing

    def pause(self):
        pause_soon(self.engine)

    def when_asked(self, act):
        """Act on another thread, as a person does, once the plan asks."""

        def person():
            until(lambda: self.chooser.question)
            act(self.chooser)

        thread = threading.Thread(target=person)
        thread.start()
        return thread


def until(is_so, timeout_s=120.0):
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def session(nvpf):
    quick = {"alignment.refine": False, "energy_fit": False}
    with a_run_engine() as engine:
        session = Session(engine, nvpf.with_changes(quick), thirds)
        yield session
        session.chooser.close()
        session.live.close()


def test_three_zooms_follow_the_best_suggestions_by_themselves(session):
    where_it_was = session.scope.energy.position
    session.engine(session.plan(auto=True))
    scans = [StackScan.from_start(start) for start in session.starts]
    assert [scan.region for scan in scans] == ["overview", "zoom 1", "zoom 2", "zoom 3"]
    assert [scan.x_extent_um for scan in scans[1:]] == [r.x_extent_um for r in THIRDS]
    assert {scan.dwell_ms for scan in scans[1:]} == {2.0}
    assert {scan.image_shape for scan in scans[1:]} == {(20, 21)}
    overview = session.starts[0]["uid"]
    assert [scan.parent for scan in scans] == [None, overview, overview, overview]
    assert len({scan.group_uid for scan in scans}) == 1
    assert scans[0].group_uid
    assert session.shutter.settings == ["open", "close"] * 4
    assert session.scope.energy.position == pytest.approx(where_it_was)
    assert session.starts[1]["chosen"] == {
        "by": "suggestion",
        "criterion": "doubt",
        "reason": "why",
    }


def test_a_zoom_that_specimen_fills_has_the_i0_of_the_overview_for_its_dwell(session):
    seen = {}
    session.live.add_sink(on_maps=lambda maps: seen.update({maps.key.region: maps}))
    session.engine(session.plan(auto=True, n_zooms=1))
    scan = StackScan.from_start(session.starts[-1])
    np.testing.assert_allclose(scan.i0_counts, 2 * seen["overview"].i0, rtol=1e-5)
    assert BORROWED in seen["zoom 1"].warnings


def test_a_zoom_without_maps_is_named_and_the_exploration_goes_on(session, caplog):
    expose = session.scope.camera._expose
    session.at_exposure(
        len(session.energies_ev) + 1,
        lambda: setattr(session.scope.camera, "_expose", lambda scan: blank(expose(scan))),
    )
    session.engine(session.plan(auto=True, n_zooms=2))
    assert len(session.starts) == 3
    assert "zoom 1, run" in caplog.text
    assert "its images are kept, the exploration goes on" in caplog.text


def blank(values):
    return {key: np.zeros_like(value) for key, value in values.items()}


def test_a_person_chooses_from_another_thread(session):
    def draw(chooser):
        chooser.choose_box((0.5, -0.1), (-0.4, 0.6), step_um=0.05, dwell_ms=3.0)

    person = session.when_asked(draw)
    session.engine(session.plan(n_zooms=1))
    person.join()
    zoom = StackScan.from_start(session.starts[-1])
    assert (zoom.x_extent_um, zoom.y_extent_um) == ((-0.1, 0.5), (-0.4, 0.6))
    assert (zoom.image_shape, zoom.dwell_ms) == ((21, 13), 3.0)
    assert session.starts[-1]["chosen"]["by"] == "person"
    assert session.chooser.latest() is None


def test_a_choice_made_during_a_scan_is_kept_for_the_next_question(session):
    session.at_exposure(len(session.energies_ev) + 2, lambda: session.chooser.take(3))
    session.engine(session.plan(n_zooms=2, default=1, choice_timeout_s=0.1))
    scans = [StackScan.from_start(start) for start in session.starts]
    assert [scan.x_extent_um for scan in scans[1:]] == [
        THIRDS[0].x_extent_um,
        THIRDS[2].x_extent_um,
    ]
    assert [start["chosen"]["by"] for start in session.starts[1:]] == ["suggestion", "person"]


def test_a_choice_goes_before_the_suggestions_of_an_exploration_by_itself(session):
    session.at_exposure(len(session.energies_ev) + 1, lambda: session.chooser.take(3))
    session.engine(session.plan(n_zooms=2, auto=True))
    scans = [StackScan.from_start(start) for start in session.starts]
    assert scans[2].x_extent_um == THIRDS[2].x_extent_um


def test_without_a_choice_in_time_the_exploration_ends_and_says_so(session, caplog):
    returned = []

    def outer():
        returned.append((yield from session.plan(choice_timeout_s=0.2)))

    session.engine(outer())
    assert returned == [(session.starts[0]["uid"],)]
    assert "ends after 0 of 3 zooms: no region was chosen within 0.2 s" in caplog.text


def test_the_time_of_a_pause_does_not_count():
    """Time is counted in the sleeps that the RunEngine did."""
    messages = list(waiting.until(lambda: False, 1.0))
    slept_s = [message.args[0] for message in messages if message.command == "sleep"]
    assert sum(slept_s) == pytest.approx(1.0)
    assert [m.command for m in messages] == ["checkpoint", "sleep"] * len(slept_s)


def test_a_pause_in_a_wait_repeats_nothing(session):
    n_sleeps = []

    def pause_late(message):
        if session.chooser.question and message.command == "sleep":
            n_sleeps.append(1)
            if len(n_sleeps) == 3:
                pause_soon(session.engine)

    session.engine.msg_hook = pause_late
    with pytest.raises(RunEngineInterrupted):
        session.engine(session.plan(n_zooms=1, choice_timeout_s=120))
    n_docs = len(session.docs)
    assert session.chooser.question == "zoom 1 of 1"
    session.chooser.take(2)
    commands = []
    session.engine.msg_hook = lambda message: commands.append(message.command)
    session.engine.resume()
    assert commands[: commands.index("open_run")].count("sleep") <= 1
    assert StackScan.from_start(session.starts[-1]).x_extent_um == THIRDS[1].x_extent_um
    n_energies = len(session.energies_ev)
    assert len(session.docs) - n_docs == n_energies + 3
    assert [doc["num_events"]["primary"] for doc in session.stops] == [n_energies, n_energies]


def test_a_pause_in_a_zoom_resumes_it(session):
    session.at_exposure(len(session.energies_ev) + 3, session.pause)
    with pytest.raises(RunEngineInterrupted):
        session.engine(session.plan(n_zooms=1, auto=True))
    session.engine.resume()
    assert [doc["exit_status"] for doc in session.stops] == ["success", "success"]


@pytest.mark.parametrize("moment", ["the wait", "a zoom"])
def test_an_abort_closes_the_shutter_and_puts_the_energy_back(session, moment):
    where_it_was = session.scope.energy.position
    if moment == "the wait":
        session.when_asked(lambda chooser: session.engine.request_pause())
        choice_timeout_s = 120
    else:
        session.at_exposure(len(session.energies_ev) + 2, session.pause)
        choice_timeout_s = 0.1
    with pytest.raises(RunEngineInterrupted):
        session.engine(session.plan(n_zooms=1, default=1, choice_timeout_s=choice_timeout_s))
    session.engine.abort()
    assert session.shutter.settings[-1] == "close"
    assert session.scope.energy.position == pytest.approx(where_it_was)
    assert session.chooser.question == ""
    assert session.engine.state == "idle"


def test_a_choice_out_of_reach_is_refused_and_the_question_stays(session):
    def check_region(scan):
        if scan.x_extent_um[0] < -1.5:
            raise ValueError(f"fine x cannot go to {scan.x_extent_um[0]:g} um (limit -1.5 um)")

    session.scope.camera.check_region = check_region
    refused = []

    def person():
        until(lambda: session.chooser.question)
        session.chooser.choose_box((-2.0, 0.0), (0.0, 0.5))
        until(lambda: session.chooser.refused)
        refused.append(session.chooser.refused)
        session.chooser.take(1)

    thread = threading.Thread(target=person)
    thread.start()
    session.engine(session.plan(n_zooms=1))
    thread.join()
    assert refused == ["fine x cannot go to -2 um (limit -1.5 um)"]
    assert len(session.starts) == 2
    assert session.chooser.refused == ""


def test_an_overview_beyond_the_limits_is_refused_before_anything_moves(session):
    session.scope.energy.limits = (500.0, 520.0)
    with pytest.raises(ValueError, match="outside 500 to 520 eV"):
        session.engine(session.plan())
    assert session.docs == []
    assert session.shutter.settings == []


def test_an_overview_without_a_specimen_ends_the_exploration_with_all_in_order(session):
    where_it_was = session.scope.energy.position
    empty = Region((20.0, 22.0), (20.0, 22.0), nx=25, ny=24)
    with pytest.raises(ValueError, match="specimen"):
        session.engine(session.plan(overview=empty))
    assert session.shutter.settings == ["open", "close"]
    assert session.scope.energy.position == pytest.approx(where_it_was)
    assert len(session.starts) == 1


def test_maps_that_do_not_come_end_the_exploration_with_all_in_order(session):
    session.live.close()
    where_it_was = session.scope.energy.position
    with pytest.raises((TimeoutError, KeyError), match=r"no maps|map_run"):
        session.engine(session.plan(maps_timeout_s=0.3))
    assert session.shutter.settings == ["open", "close"]
    assert session.scope.energy.position == pytest.approx(where_it_was)


def test_when_nothing_is_left_to_suggest_it_ends_and_says_so(session, caplog):
    session.engine(session.plan(auto=True, n_zooms=4))
    assert len(session.starts) == 4
    assert "ends after 3 of 4 zooms" in caplog.text
    assert "no region is left that would be worth a scan" in caplog.text


def test_an_exploration_goes_on_from_the_maps_of_its_overview(session):
    (overview,) = session.engine(session.plan(n_zooms=0))
    maps = session.live.wait(overview, timeout_s=120)
    until(lambda: session.chooser.is_ready)
    session.chooser.take(2)
    (zoom,) = session.engine(session.plan(maps=maps, n_zooms=1))
    scan = StackScan.from_start(session.starts[-1])
    assert [start["uid"] for start in session.starts] == [overview, zoom]
    assert scan.x_extent_um == THIRDS[1].x_extent_um
    assert scan.parent == overview
    assert scan.i0_counts


def test_a_choice_for_an_earlier_sample_is_not_scanned_in_the_next_exploration(session):
    session.engine(session.plan(n_zooms=0))
    until(lambda: session.chooser.is_ready)
    session.chooser.take(2)
    with RegionChooser(session.live, suggest=lambda maps, scanned: THIRDS) as late:
        assert late.stack == session.chooser.stack
        # while the next sample is scanned, long before its maps
        session.at_exposure(8, lambda: until(lambda: not session.chooser.suggestions))
        session.engine(session.plan(n_zooms=1, choice_timeout_s=0.2))
    assert len(session.starts) == 2
    assert "was dropped: run" in session.chooser.refused


def test_an_exploration_may_skip_energies_that_tell_little(session):
    seen = {}
    session.live.add_sink(on_maps=lambda maps: seen.update({maps.key.region: maps}))
    advisor = EnergyAdvisor(session.live)
    adaptive = partial(stxm_stack_adaptive, advisor=advisor, advice_timeout_s=120)
    session.engine(session.plan(auto=True, n_zooms=1, stack_plan=adaptive))
    assert [maps.status for maps in seen.values()] == ["stopped-early", "stopped-early"]
    assert StackScan.from_start(session.starts[1]).parent == session.starts[0]["uid"]


def test_bluesky_adaptive_takes_the_regions_as_its_points(session):
    adaptive = pytest.importorskip("bluesky_adaptive", reason="needs bluesky-adaptive 1.x")
    from bluesky_adaptive.protocols import OptimizationProblem, Optimizer

    def record(region):
        scope = session.scope
        return stxm_stack(scope.camera, scope.energy, session.energies_ev, region)

    (uid,) = session.engine(record(OVERVIEW))
    maps = session.live.wait(uid, timeout_s=120)
    until(lambda: session.chooser.is_ready)
    session.docs.clear()
    session.chooser.take(2)
    zooms = RegionOptimizer(session.chooser, session.live, record)
    assert isinstance(zooms, Optimizer)
    problem = OptimizationProblem(zooms, [], [], zooms.evaluate, zooms.acquire)
    with session.chooser.exploring(maps):
        session.engine(adaptive.optimize(problem, iterations=2))
    scans = [StackScan.from_start(start) for start in session.starts if "stxm" in start]
    chosen = [THIRDS[1], THIRDS[0]]  # the person's first, then the best suggestion
    assert [scan.x_extent_um for scan in scans] == [region.x_extent_um for region in chosen]
    assert [outcome["_id"] for outcome in zooms.outcomes] == [0, 1]
    table = [doc["data"] for name, doc in session.docs if name == "event" and "x_um" in doc["data"]]
    assert [row["x_um"] for row in table] == pytest.approx([0.0, -0.6])
    assert {doc["exit_status"] for doc in session.stops} == {"success"}


def test_an_optimizer_without_suggestions_says_why(session):
    zooms = RegionOptimizer(session.chooser, session.live, lambda region: iter(()))
    with pytest.raises(ValueError, match="there are no maps to choose on yet"):
        zooms.suggest(1)
