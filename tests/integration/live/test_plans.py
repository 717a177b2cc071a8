import time
from dataclasses import replace

import event_model
import numpy as np
import pytest
from bluesky.utils import RunEngineInterrupted
from run_engines import a_run_engine, pause_soon, with_rare_checkpoints

from stxm_live.core.recipe import Recipe
from stxm_live.core.region import Region
from stxm_live.core.scan import StackScan
from stxm_live.core.stack import Stack
from stxm_live.plans import stxm_stack, wait_for_maps
from stxm_live.sim.instrument import SimulatedMicroscope, raster
from stxm_live.sim.microscope import Beam, Drift

ENERGIES_EV = (505.0, 517.5, 530.3, 524.0)
NY, NX = 6, 9
FIELD = Region((-0.4, 0.4), (0.3, -0.3), nx=NX, ny=NY, dwell_ms=2.0)
QUIET = Beam(slope=0, spectrum=0, ring_decay_per_image=0, photon_noise=False)


@pytest.fixture(params=[False, True])
def run_engine(request):
    with a_run_engine(call_returns_result=request.param) as engine:
        yield engine


@pytest.fixture
def docs(run_engine):
    collected = []
    run_engine.subscribe(lambda name, doc: collected.append((name, doc)))
    return collected


def simulated(seed=0, **options):
    references = Recipe.load("nvpf").reference_spectra
    rng = np.random.default_rng(seed)
    return SimulatedMicroscope.with_particle(references, rng=rng, shape=(40, 50), **options)


def stack_of(scope, mode="image", energies_ev=ENERGIES_EV, region=FIELD, **options):
    if mode == "image":
        return stxm_stack(scope.camera, scope.energy, energies_ev, region, **options)
    return stxm_stack(
        scope.line, scope.energy, energies_ev, region, y_axis=scope.y, mode="line", **options
    )


def events(docs):
    return [doc for name, doc in docs if name == "event"]


def one(docs, wanted):
    (doc,) = (doc for name, doc in docs if name == wanted)
    return doc


def cube(docs):
    field = one(docs, "start")["stxm"]["data_field"]
    values = [event["data"][field] for event in events(docs)]
    return np.reshape(values, (-1, NY, NX))


@pytest.mark.parametrize("mode", ["image", "line"])
def test_the_documents_fit_the_schemas_and_announce_what_comes(run_engine, docs, mode):
    scope = simulated()
    named = replace(FIELD, name="7")
    run_engine(
        stack_of(scope, mode, region=named, monitors=[scope.ring_current], i0_field="ring_current")
    )
    for name, doc in docs:
        plain = event_model.sanitize_doc(doc)
        event_model.schema_validators[event_model.DocumentNames[name]].validate(plain)
    scan = StackScan.from_start(one(docs, "start"))
    assert scan == StackScan(
        shape=(4, NY, NX),
        energies_ev=ENERGIES_EV,
        dwell_ms=2.0,
        x_extent_um=(-0.4, 0.4),
        y_extent_um=(0.3, -0.3),
        data_field="camera" if mode == "image" else "line",
        i0_field="ring_current",
        region="7",
    )
    n_events = len(ENERGIES_EV) * (1 if mode == "image" else NY)
    assert [event["seq_num"] for event in events(docs)] == list(range(1, n_events + 1))
    stop = one(docs, "stop")
    assert stop["exit_status"] == "success"
    assert stop["num_events"] == {"primary": n_events}
    keys = one(docs, "descriptor")["data_keys"]
    assert {scan.energy_motor, scan.data_field, scan.i0_field} <= keys.keys()
    assert keys[scan.data_field]["shape"] == ([NY, NX] if mode == "image" else [NX])
    assert scan.data_field not in one(docs, "descriptor")["hints"][scan.data_field]["fields"]


def test_one_image_per_energy_in_the_order_given(run_engine, docs):
    run_engine(stack_of(simulated()))
    setpoints = [event["data"]["energy_setpoint"] for event in events(docs)]
    readbacks = [event["data"]["energy"] for event in events(docs)]
    assert setpoints == list(ENERGIES_EV)
    np.testing.assert_allclose(readbacks, ENERGIES_EV, atol=1e-3)


def test_the_images_are_what_the_microscope_has_in_view(run_engine, docs):
    scope = simulated(beam=QUIET, drift=Drift(trend_um=(0.02, -0.03)))
    run_engine(stack_of(scope))
    x, y = raster(StackScan.from_start(one(docs, "start")))
    for event, (dy, dx) in zip(events(docs), scope.microscope.drift_um, strict=True):
        light = scope.specimen.intensity(event["data"]["energy"], x - dx, y - dy)
        np.testing.assert_allclose(event["data"]["camera"], 2000 * light, atol=0.51)


def test_lines_follow_the_als_contract(run_engine, docs):
    run_engine(stack_of(simulated(), "line"))
    scan = StackScan.from_start(one(docs, "start"))
    x, y = raster(scan)
    for event in events(docs):
        i_energy, i_line = divmod(event["seq_num"] - 1, NY)
        data = event["data"]
        assert data[scan.y_motor] == pytest.approx(y[i_line])
        assert data[scan.energy_motor] == pytest.approx(ENERGIES_EV[i_energy], abs=1e-3)
        np.testing.assert_allclose(data[scan.x_motor], x)
        assert data["line"].shape == (NX,)


def test_line_by_line_and_image_by_image_record_the_same_counts(run_engine, docs):
    run_engine(stack_of(simulated(seed=3)))
    images = cube(docs)
    docs.clear()
    run_engine(stack_of(simulated(seed=3), "line"))
    np.testing.assert_array_equal(cube(docs), images)


@pytest.mark.parametrize("mode", ["image", "line"])
def test_a_recorded_stack_is_recorded_again_bit_for_bit(run_engine, docs, mode):
    counts = np.random.default_rng(1).gamma(2.0, 300.0, (4, NY, NX)).astype(np.float32)
    stack = Stack.from_arrays(counts, [700.0, 705.0, 708.5, 712.1], extent_um=(4.0, -1.7, 3.0, 5.2))
    scope = SimulatedMicroscope.with_recorded(stack)
    order = [2, 0, 3, 1]
    energies = [stack.energies_ev[k] for k in order]
    field = replace(FIELD, x_extent_um=(4.0, -1.7), y_extent_um=(3.0, 5.2))
    run_engine(stack_of(scope, mode, energies, field))
    np.testing.assert_array_equal(cube(docs), counts[order])


def test_the_plan_returns_the_uid_of_its_run(run_engine, docs):
    returned = []

    def outer():
        returned.append((yield from stack_of(simulated())))

    run_engine(outer())
    assert returned == [one(docs, "start")["uid"]]


def test_metadata_of_the_user_is_added_and_cannot_break_the_contract(run_engine, docs):
    run_engine(stack_of(simulated(), md={"sample": "NVPF", "plan_name": "mine", "stxm": "no"}))
    start = one(docs, "start")
    assert (start["sample"], start["plan_name"]) == ("NVPF", "mine")
    assert StackScan.from_start(start).energies_ev == ENERGIES_EV


def pause_during_exposure(run_engine, detector, number):
    """Ask for a pause while the detector exposes for the given time."""
    expose, calls = detector._expose, []

    def exposing(scan):
        calls.append(scan)
        if len(calls) == number:
            pause_soon(run_engine)
        return expose(scan)

    detector._expose = exposing


@pytest.mark.parametrize(("mode", "exposure"), [("image", 3), ("line", 2 * NY + 4)])
def test_a_scan_paused_in_an_exposure_repeats_it_and_leaves_no_gap(
    run_engine, docs, mode, exposure
):
    scope = simulated(beam=QUIET, drift=Drift(), frame_time_s=0.1)
    pause_during_exposure(
        run_engine, getattr(scope, "camera" if mode == "image" else "line"), exposure
    )
    with pytest.raises(RunEngineInterrupted):
        run_engine(stack_of(scope, mode))
    assert len(events(docs)) == exposure - 1
    run_engine.resume()
    undisturbed = simulated(beam=QUIET, drift=Drift())
    numbers = [event["seq_num"] for event in events(docs)]
    assert numbers == list(range(1, len(numbers) + 1))
    images = cube(docs)
    docs.clear()
    run_engine(stack_of(undisturbed, mode))
    np.testing.assert_array_equal(images, cube(docs))


def pause_after(run_engine, seq_num):
    """Ask for a pause while subscribers get the event of this number."""

    def subscriber(name, doc):
        if name == "event" and doc["seq_num"] == seq_num and not asked:
            asked.append(doc)
            pause_soon(run_engine)

    asked = []
    run_engine.subscribe(subscriber)


def test_an_image_that_is_in_is_not_taken_again_after_a_pause(run_engine, docs):
    pause_after(run_engine, 2)
    with pytest.raises(RunEngineInterrupted):
        run_engine(stack_of(simulated()))
    run_engine.resume()
    assert [event["seq_num"] for event in events(docs)] == [1, 2, 3, 4]


def test_a_pause_that_rewinds_sends_the_images_since_the_checkpoint_again(run_engine, docs):
    pause_after(run_engine, 3)
    with pytest.raises(RunEngineInterrupted):
        run_engine(with_rare_checkpoints(stack_of(simulated()), every=2))
    run_engine.resume()
    assert [event["seq_num"] for event in events(docs)] == [1, 2, 3, 3, 4]
    third, again = events(docs)[2:4]
    assert again["data"]["energy"] == third["data"]["energy"]
    assert not np.array_equal(again["data"]["camera"], third["data"]["camera"])
    assert one(docs, "stop")["num_events"] == {"primary": 4}


def test_an_aborted_scan_is_a_valid_run_of_what_was_recorded(run_engine, docs):
    scope = simulated(frame_time_s=0.05)
    pause_during_exposure(run_engine, scope.camera, 3)
    with pytest.raises(RunEngineInterrupted):
        run_engine(stack_of(scope))
    run_engine.abort()
    assert len(events(docs)) == 2
    stop = one(docs, "stop")
    assert stop["exit_status"] == "abort"
    assert stop["num_events"] == {"primary": 2}
    assert StackScan.from_start(one(docs, "start")).shape == (4, NY, NX)


def test_contradicting_arguments_are_refused_before_anything_moves(run_engine, docs):
    scope = simulated()
    where_it_was = scope.energy.position
    for options, message in (
        ({"mode": "line"}, "pass y_axis="),
        ({"energies_ev": (505.0, 505.0)}, "lists one energy twice"),
        ({"energies_ev": ()}, "at least 1"),
    ):
        options = {"energies_ev": ENERGIES_EV, "region": FIELD, **options}
        with pytest.raises(ValueError, match=message):
            run_engine(stxm_stack(scope.camera, scope.energy, **options))
    assert docs == []
    assert scope.energy.position == where_it_was


def test_a_detector_without_an_array_is_refused_by_name(run_engine):
    scope = simulated()
    with pytest.raises(ValueError, match=r"detector ring_current has 0 array keys \(none\)"):
        run_engine(stxm_stack(scope.ring_current, scope.energy, ENERGIES_EV, FIELD))


class MapsAfter:
    """A live mapper that needs some time, or forever."""

    def __init__(self, seconds):
        self.ready_at = time.monotonic() + seconds

    @property
    def is_done(self):
        return time.monotonic() > self.ready_at

    def status(self, uid):
        return self

    def wait(self, uid, *, timeout_s):
        return f"maps of {uid}"


def test_a_plan_waits_for_the_maps(run_engine):
    returned = []

    def outer():
        returned.append((yield from wait_for_maps(MapsAfter(0.2), "abc", timeout_s=5)))

    run_engine(outer())
    assert returned == ["maps of abc"]


def test_a_plan_does_not_wait_forever(run_engine):
    with pytest.raises(TimeoutError, match=r"run abcdefgh: no maps after 0\.1 s"):
        run_engine(wait_for_maps(MapsAfter(1e9), "abcdefghij", timeout_s=0.1))
