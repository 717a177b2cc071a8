"""Bluesky's own plans without a block under a RunEngine: energies are stepped, images read."""

import json
import logging
from pathlib import Path

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import numpy as np
import pytest
from cycler import cycler
from ophyd import Component, Device, Signal
from ophyd.sim import NullStatus, SynAxis, SynSignalWithRegistry, det, motor
from particles import NX, NY, particle_counts, particle_scan

from stxm_live import LivePhaseMapper, map_run
from stxm_live.io.documents import NoStackError
from stxm_live.live.replay import stack_of_run

COUNTS, ENERGIES, _ = particle_counts()
GOLDEN = Path(__file__).parents[2] / "golden"


class Energy(SynAxis):
    """A monochromator that gives a unit, or none."""

    def __init__(self, name="energy", unit=None, value=ENERGIES[0]):
        super().__init__(name=name, value=value)
        self.unit = unit

    def describe(self):
        more = {} if self.unit is None else {"units": self.unit}
        return {key: d | more for key, d in super().describe().items()}


class Camera(Device):
    """A detector whose image is in the event, as an areaDetector's image plug-in gives it."""

    image = Component(Signal, value=np.zeros((NY, NX)), kind="normal")
    exposure = Component(Signal, value=0.1, kind="config")

    def __init__(self, energy, per_ev=1.0):
        super().__init__(name="cam")
        self.energy, self.per_ev = energy, per_ev

    def trigger(self):
        at = self.energy.position * self.per_ev
        self.image.put(COUNTS[int(np.argmin(abs(np.array(ENERGIES) - at)))])
        return NullStatus()


def documents_of(RE, plan):
    docs = []
    RE(plan, lambda name, doc: docs.append((name, doc)))
    return docs


def counted(camera, energy, energies):
    @bpp.stage_decorator([camera])
    @bpp.run_decorator(md={})
    def inner():
        for value in energies:
            yield from bps.mv(energy, value)
            yield from bps.trigger_and_read([camera, energy])

    return inner()


DOWN = list(ENERGIES[::-1])

PLANS = {
    "list_scan": lambda cam, e: bp.list_scan([cam], e, DOWN),
    "list_grid_scan": lambda cam, e: bp.list_grid_scan([cam], e, DOWN),
    "rel_list_scan": lambda cam, e: bp.rel_list_scan([cam], e, [x - ENERGIES[0] for x in DOWN]),
    "scan_nd": lambda cam, e: bp.scan_nd([cam], cycler(e, DOWN)),
    "a loop": lambda cam, e: counted(cam, e, DOWN),
    "with another motor": lambda cam, e: bp.list_scan(
        [cam], e, DOWN, SynAxis(name="zone_plate_z"), list(range(len(DOWN)))
    ),
}


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_a_plan_that_steps_an_energy_and_reads_an_image_is_a_stack(RE, plan):
    energy = Energy()
    stack = stack_of_run(documents_of(RE, plan(Camera(energy), energy)))
    np.testing.assert_array_equal(stack.intensity(), COUNTS)
    assert stack.energies_ev == pytest.approx(ENERGIES)
    assert stack.finished
    assert any("a pixel counts as 1 um" in note for note in stack.notes)


@pytest.mark.parametrize("plan", [bp.scan, bp.grid_scan, bp.rel_scan], ids=lambda p: p.__name__)
def test_energies_that_a_plan_spreads_evenly_are_read(RE, plan):
    energy, offset = Energy(), ENERGIES[0] if plan is bp.rel_scan else 0.0
    docs = documents_of(RE, plan([Camera(energy)], energy, 505.0 - offset, 535.0 - offset, 7))
    assert stack_of_run(docs).energies_ev == pytest.approx(np.linspace(505, 535, 7))


def test_an_adaptive_scan_is_read_by_its_readbacks(RE):
    energy = Energy()
    level = Camera(energy)
    level.image.kind = "normal"
    docs = documents_of(
        RE, bp.adaptive_scan([level, det], "det", energy, 505, 530, 1.0, 5.0, 0.1, False)
    )
    stack = stack_of_run(docs)
    assert len(stack.frames) == sum(name == "event" for name, _ in docs) > 3
    assert stack.finished


@pytest.mark.parametrize(("name", "unit", "per_ev"), [("pgm", "eV", 1.0), ("dcm", "keV", 1000.0)])
def test_a_motor_whose_unit_says_energy_needs_no_name(RE, name, unit, per_ev):
    energy = Energy(name, unit)
    docs = documents_of(
        RE, bp.list_scan([Camera(energy, per_ev)], energy, [e / per_ev for e in DOWN])
    )
    stack = stack_of_run(docs)
    np.testing.assert_array_equal(stack.intensity(), COUNTS)
    assert stack.energies_ev == pytest.approx(ENERGIES)


def test_ophyd_s_simulated_area_detector_is_mapped_live_by_three_lines(RE, nvpf, tmp_path):
    energy = Energy()

    def image():
        return COUNTS[int(np.argmin(abs(np.array(ENERGIES) - energy.position)))]

    img = SynSignalWithRegistry(func=image, name="img", labels={"detectors"}, save_path=tmp_path)
    cubes = []
    with LivePhaseMapper(nvpf, roots=[tmp_path]) as live:
        live.add_sink(on_cube=lambda cube: cubes.append(int(cube.measured.sum())))
        RE.subscribe(live)
        (uid,) = RE(bp.list_scan([img], energy, DOWN))
        maps = live.wait(uid, timeout_s=60)
    assert maps.status == "complete"
    assert cubes[-1] == 13
    assert maps.energies_ev == ENERGIES


def test_a_loop_whose_energies_nobody_announced_is_mapped_like_an_announced_stack(RE, nvpf):
    energy = Energy()
    docs = documents_of(RE, counted(Camera(energy), energy, DOWN))
    recipe = nvpf.with_changes({"fields.pixel_size_um": 0.03})
    measured = []
    with LivePhaseMapper(recipe) as live:
        live.add_sink(on_cube=lambda cube: measured.append(int(cube.measured.sum())))
        for name, doc in docs:
            live(name, doc)
        maps = live.wait(docs[0][1]["uid"], timeout_s=60)
    assert measured[-1] == 13
    assert maps.status == "complete"
    assert maps.identical(map_run(docs, recipe))
    assert maps.extent_um[:2] == (0.0, pytest.approx(0.03 * (NX - 1)))


def test_ophyd_async_s_detector_needs_no_description(tmp_path):
    import h5py

    frames = np.arange(3 * 240 * 320, dtype="u1").reshape(3, 240, 320)
    with h5py.File(tmp_path / "stack.h5", "w") as file:
        file["/entry/data/data"] = frames
    text = (GOLDEN / "ophyd_async_0.21.3_list_scan.jsonl").read_text()
    docs = [json.loads(line) for line in text.replace("FOLDER", str(tmp_path)[1:]).splitlines()]
    for _, doc in docs:
        if "uri" in doc:
            doc["uri"] = f"file://localhost{tmp_path}/stack.h5"
    stack = stack_of_run([tuple(doc) for doc in docs], roots=[tmp_path])
    np.testing.assert_array_equal(stack.intensity(), frames)
    assert stack.energies_ev == (515.0, 516.0, 518.0)
    assert any("the unit of 'energy' is 'mm'; eV is taken" in note for note in stack.notes)


@pytest.mark.parametrize("scan", [None, particle_scan(data_field="cam_image")], ids=["", "scan="])
def test_alignment_scans_and_counts_are_left_alone(RE, nvpf, caplog, scan):
    energy = Energy()
    camera, errors = Camera(energy), []
    with LivePhaseMapper(nvpf, scan=scan) as live, caplog.at_level(logging.WARNING):
        live.add_sink(on_error=lambda uid, error: errors.append(error))
        RE.subscribe(live)
        others = [bp.scan([det], motor, -1, 1, 5), bp.count([det]), bp.count([camera], num=2)]
        others += [bp.scan([camera], motor, -1, 1, 5), bp.scan([det], energy, 505, 515, 3)]
        uids = [RE(plan)[0] for plan in others]
        (uid,) = RE(bp.list_scan([camera], energy, DOWN))
        assert live.wait(uid, timeout_s=60).status == "complete"
        assert [live.status(u).state for u in uids] == ["ignored"] * 5
    assert errors == []
    assert "not mapped" not in caplog.text


def test_a_run_that_looks_like_a_stack_says_once_what_to_add(RE, nvpf, caplog):
    energy = Energy("undulator")
    with LivePhaseMapper(nvpf) as live, caplog.at_level(logging.WARNING):
        RE.subscribe(live)
        for _ in range(2):
            (uid,) = RE(bp.list_scan([Camera(energy)], energy, DOWN))
        with pytest.raises(NoStackError, match=r'\[fields\] energy = "undulator"'):
            live.wait(uid, timeout_s=60)
    assert caplog.text.count("not mapped") == 1
    docs = documents_of(RE, bp.list_scan([Camera(energy)], energy, DOWN))
    named = nvpf.with_changes({"fields.energy": "undulator"})
    assert stack_of_run(docs, fields=named.fields).energies_ev == ENERGIES


def test_images_at_several_positions_for_each_energy_are_no_stack(RE):
    energy = Energy()
    steps = (energy, 505, 515, 3, motor, 0, 1, 2)
    with pytest.raises(NoStackError, match="at several positions of motor for each energy"):
        stack_of_run(documents_of(RE, bp.grid_scan([Camera(energy)], *steps)))


def test_a_relative_grid_of_pixels_is_placed_by_its_first_event(RE):
    from ophyd.sim import SynSignal

    energy, y, x = Energy("pgm", "keV", 5.465), SynAxis(name="sy", value=3.0), SynAxis(name="sx")
    apd = SynSignal(func=lambda: round(1000 * energy.position) + x.position, name="apd")
    steps = (energy, 0, 0.002, 3, y, -1, 1, 3, x, 0, 1, 2)
    stack = stack_of_run(documents_of(RE, bp.rel_grid_scan([apd], *steps)))
    assert stack.energies_ev == pytest.approx((5465, 5466, 5467))
    assert stack.scan.y_extent_um == (2.0, 4.0)
    np.testing.assert_array_equal(stack.intensity()[:, 0, 1], [5466, 5467, 5468])


@pytest.mark.parametrize("described", [[NX, NY], [NY * NX]])
def test_the_shape_is_that_of_the_image_and_not_of_its_description(RE, described):
    energy = Energy()
    docs = documents_of(RE, bp.list_scan([Camera(energy)], energy, DOWN))
    docs[1][1]["data_keys"]["cam_image"]["shape"] = described
    np.testing.assert_array_equal(stack_of_run(docs).intensity(), COUNTS)


def test_a_picture_in_colors_is_no_image_of_a_stack(RE):
    energy = Energy()
    camera = Camera(energy)
    docs = documents_of(RE, bp.list_scan([camera], energy, DOWN[:3]))
    docs[1][1]["data_keys"]["cam_image"]["shape"] = [NY, NX, 3]
    for name, doc in docs:
        if name == "event":
            doc["data"]["cam_image"] = np.zeros((NY, NX, 3))
    with pytest.raises(NoStackError):
        stack_of_run(docs)
