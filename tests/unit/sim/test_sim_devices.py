import time

import numpy as np
import pytest
from bluesky.plans import count
from bluesky.protocols import Movable, Preparable, Readable, Triggerable
from run_engines import a_run_engine

from stxm_live.core.recipe import Recipe
from stxm_live.core.scan import StackScan
from stxm_live.core.stack import Stack
from stxm_live.sim.devices import SimulatedAxis
from stxm_live.sim.instrument import SimulatedMicroscope, raster
from stxm_live.sim.microscope import Beam
from stxm_live.sim.specimens import ParticleSpecimen

SHAPE = (24, 36)


def simulated(seed=0, **options):
    return SimulatedMicroscope.with_particle(
        Recipe.load("nvpf").reference_spectra,
        rng=np.random.default_rng(seed),
        shape=SHAPE,
        **options,
    )


def region(ny=10, nx=14, x=(-0.3, 0.3), y=(-0.2, 0.2)):
    return StackScan(
        shape=(1, ny, nx), energies_ev=(517.5,), x_extent_um=x, y_extent_um=y, data_field="camera"
    )


def settled(status):
    status.wait(timeout=60)
    return status


def test_the_devices_speak_blueskys_protocols():
    scope = simulated()
    for axis in (scope.energy, scope.x, scope.y):
        assert isinstance(axis, Movable)
        assert isinstance(axis, Readable)
    for detector in (scope.camera, scope.line, scope.ring_current):
        assert isinstance(detector, Readable)
        assert isinstance(detector, Triggerable)
        assert isinstance(detector, Preparable)


def test_an_axis_reads_back_its_setpoint_and_error_with_units():
    axis = SimulatedAxis(name="energy", units="eV", readback_error=lambda e: 0.01)
    settled(axis.set(517.5))
    assert axis.position == pytest.approx(517.51)
    readings = axis.read()
    assert readings["energy"]["value"] == pytest.approx(517.51)
    assert readings["energy_setpoint"]["value"] == 517.5
    assert {key["units"] for key in axis.describe().values()} == {"eV"}
    assert axis.hints == {"fields": ["energy"]}


def test_an_axis_that_needs_time_arrives_later():
    axis = SimulatedAxis(name="x", units="um", settle_time_s=0.1)
    status = axis.set(3.0)
    assert not status.done
    assert axis.position == 0.0
    settled(status)
    assert axis.position == 3.0


def test_the_monochromator_is_off_by_less_than_a_mev_and_always_the_same():
    scope = simulated()
    visits = []
    for energy in (517.5, 530.3, 517.5):
        settled(scope.energy.set(energy))
        visits.append(scope.energy.position)
    assert visits[0] == visits[2]
    assert 0 < abs(visits[0] - 517.5) < 1e-3


@pytest.mark.parametrize("name", ["camera", "line", "ring_current"])
def test_what_a_detector_describes_is_what_it_reads(name):
    detector = getattr(simulated(), name)
    settled(detector.prepare(region()))
    described = detector.describe()
    settled(detector.trigger())
    readings = detector.read()
    assert readings.keys() == described.keys()
    for key, data_key in described.items():
        value = np.asarray(readings[key]["value"])
        assert list(value.shape) == data_key["shape"]
        assert value.dtype == np.dtype(data_key["dtype_numpy"])
    assert detector.hints == {"fields": []}


def test_the_image_depends_on_the_energy_and_the_region_that_are_set():
    scope = simulated(beam=Beam(slope=0, spectrum=0, ring_decay_per_image=0, photon_noise=False))
    images = {}
    for energy in (505.0, 517.5):
        settled(scope.energy.set(energy))
        for half in (0.3, 0.1):
            settled(scope.camera.prepare(region(x=(-half, half))))
            settled(scope.camera.trigger())
            images[energy, half] = scope.camera.read()["camera"]["value"]
    assert images[517.5, 0.3].mean() < images[505.0, 0.3].mean()
    assert not np.array_equal(images[517.5, 0.3], images[517.5, 0.1])
    x, y = raster(region(x=(-0.1, 0.1)))
    expected = 2000 * scope.specimen.intensity(505.0, x, y)
    np.testing.assert_allclose(images[505.0, 0.1], expected, atol=1)


def test_a_line_shows_the_row_at_the_y_stage():
    scope = simulated(beam=Beam(slope=0, spectrum=0, ring_decay_per_image=0, photon_noise=False))
    settled(scope.energy.set(517.5))
    settled(scope.camera.prepare(region()))
    settled(scope.camera.trigger())
    image = scope.camera.read()["camera"]["value"]
    x, y = raster(region())
    settled(scope.line.prepare(region()))
    settled(scope.y.set(y[7]))
    settled(scope.line.trigger())
    np.testing.assert_array_equal(scope.line.read()["line"]["value"], image[7])
    np.testing.assert_array_equal(scope.line.read()["sample_x"]["value"], x)


def test_every_trigger_gives_a_fresh_array_unless_the_device_is_a_careless_one():
    for careless in (False, True):
        particle = simulated().specimen
        scope = SimulatedMicroscope(
            particle, beam=Beam(), rng=np.random.default_rng(0), reuse_buffer=careless
        )
        settled(scope.camera.trigger())
        first = scope.camera.read()["camera"]["value"]
        settled(scope.camera.trigger())
        second = scope.camera.read()["camera"]["value"]
        assert (first is second) is careless
        assert np.array_equal(first, second) is careless


def test_a_counter_saturates_at_the_end_of_its_range():
    scope = simulated(beam=Beam(photons_per_pixel=1e6))
    settled(scope.camera.trigger())
    image = scope.camera.read()["camera"]["value"]
    assert image.dtype == np.uint16
    assert image.max() == 65535


def test_an_image_takes_its_time_and_a_line_its_share():
    scope = simulated(frame_time_s=0.1)
    began = time.monotonic()
    settled(scope.camera.trigger())
    assert time.monotonic() - began >= 0.1
    scope = simulated(frame_time_s=5.0)
    assert not scope.camera.trigger().done
    settled(scope.line.trigger())


def test_without_a_region_the_camera_shows_the_whole_specimen():
    scope = simulated()
    docs = []
    with a_run_engine() as run_engine:
        run_engine(count([scope.camera], num=2), lambda name, doc: docs.append((name, doc)))
    images = [doc["data"]["camera"] for name, doc in docs if name == "event"]
    assert [image.shape for image in images] == [SHAPE, SHAPE]


def test_setting_a_region_centres_the_specimen_and_drift_begins_anew():
    scope = simulated()
    for _ in range(2):
        settled(scope.camera.prepare(region()))
        for _ in range(3):
            settled(scope.camera.trigger())
        drift = scope.microscope.drift_um
        assert drift.shape == (3, 2)
        assert not drift[0].any()
        assert drift[1:].any()


def test_a_recorded_stack_is_shown_without_noise_and_in_its_own_numbers():
    counts = np.random.default_rng(2).uniform(0, 5e5, (2, 6, 9)).astype(np.float32)
    stack = Stack.from_arrays(counts, [705.0, 710.0], extent_um=(0, 8, 10, 5))
    scope = SimulatedMicroscope.with_recorded(stack)
    assert not isinstance(scope.specimen, ParticleSpecimen)
    for k, energy in enumerate((705.0, 710.0)):
        settled(scope.energy.set(energy))
        settled(scope.camera.trigger())
        image = scope.camera.read()["camera"]["value"]
        assert image.dtype == np.float32
        np.testing.assert_array_equal(image, counts[k])
