import numpy as np
import pytest

from stxm_live.core.references import ReferenceSpectra
from stxm_live.core.stack import Stack
from stxm_live.sim.microscope import Beam, Drift, Microscope
from stxm_live.sim.phantom import Particle, make_particle, od_cube
from stxm_live.sim.specimens import ParticleSpecimen, RecordedSpecimen

PIXEL_UM = 0.05
SHAPE = (40, 56)
QUIET = Beam(slope=0, spectrum=0, ring_decay_per_image=0, photon_noise=False)
REFERENCES = ReferenceSpectra(
    ("a", "b"), np.array([500.0, 510.0, 520.0]), np.array([[0.1, 0.4, 0.2], [0.1, 0.2, 0.4]])
)


@pytest.fixture
def specimen():
    particle = make_particle(SHAPE, phase_weights=(0.5, 0.5), rng=np.random.default_rng(4))
    return ParticleSpecimen(particle, REFERENCES, pixel_size_um=PIXEL_UM, center_um=(2.0, -1.0))


def grid(specimen):
    x0, x1, y0, y1 = specimen.extent_um
    ny, nx = specimen.shape
    return np.linspace(x0, x1, nx), np.linspace(y0, y1, ny)


def microscope(specimen, beam=QUIET, drift=None, seed=0):
    return Microscope(specimen, beam=beam, drift=drift, rng=np.random.default_rng(seed))


def test_without_noise_and_drift_the_image_is_lambert_beer(specimen):
    x, y = grid(specimen)
    image = microscope(specimen).counts(510.0, x, y)
    od = od_cube(specimen.particle, REFERENCES, [510.0])[0]
    np.testing.assert_allclose(image, 2000 * np.exp(-od), rtol=1e-12)
    assert image.shape == SHAPE


def test_the_field_is_centred_where_it_was_put(specimen):
    x0, x1, y0, y1 = specimen.extent_um
    assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx((2.0, -1.0))
    assert (x1 - x0) / (SHAPE[1] - 1) == pytest.approx(PIXEL_UM)
    assert (y1 - y0) / (SHAPE[0] - 1) == pytest.approx(PIXEL_UM)


def test_descending_extents_give_flipped_images(specimen):
    x, y = grid(specimen)
    upright = microscope(specimen).counts(510.0, x, y)
    np.testing.assert_array_equal(microscope(specimen).counts(510.0, x[::-1], y), upright[:, ::-1])
    np.testing.assert_array_equal(microscope(specimen).counts(510.0, x, y[::-1]), upright[::-1])


def test_a_smaller_region_shows_a_part_and_the_support_goes_on_outside(specimen):
    x, y = grid(specimen)
    whole = microscope(specimen).counts(510.0, x, y)
    part = microscope(specimen).counts(510.0, x[10:20], y[5:30])
    np.testing.assert_allclose(part, whole[5:30, 10:20], rtol=1e-12)
    beyond = microscope(specimen).counts(510.0, x + 100.0, y)
    np.testing.assert_array_equal(beyond, np.full(SHAPE, 2000.0))


def four_pixels():
    """Thicknesses 0, 100, 200, 300 nm of phase a, pixels of 1 um, reaching to the border."""
    thickness = np.array([[0.0, 100.0], [200.0, 300.0]])
    fractions = np.stack([np.ones((2, 2)), np.zeros((2, 2))])
    return ParticleSpecimen(Particle(thickness, fractions), REFERENCES, pixel_size_um=1.0)


def test_between_pixels_the_optical_density_is_interpolated():
    middle = four_pixels().intensity(510.0, np.array([0.0]), np.array([0.0]))
    np.testing.assert_allclose(-np.log(middle), [[1.5 * 0.4]])


def test_a_particle_cut_by_its_field_does_not_go_on_beside_it():
    row = four_pixels().intensity(510.0, np.array([-0.5, 0.5, 1.5]), np.array([0.5]))
    np.testing.assert_allclose(-np.log(row), [[2 * 0.4, 3 * 0.4, 0.0]], atol=1e-12)


def test_planted_drift_moves_the_specimen_up_the_axes(specimen):
    x, y = grid(specimen)
    drifting = microscope(specimen, drift=Drift(trend_um=(2 * PIXEL_UM, -3 * PIXEL_UM)))
    images = []
    for _ in range(3):
        drifting.begin_image()
        images.append(drifting.counts(510.0, x, y))
    np.testing.assert_allclose(images[1][2:, :-3], images[0][:-2, 3:], rtol=1e-9)
    np.testing.assert_allclose(images[2][4:, :-6], images[0][:-4, 6:], rtol=1e-9)
    assert not np.allclose(images[1], images[0])
    np.testing.assert_allclose(
        drifting.drift_um, np.outer([0, 1, 2], [2 * PIXEL_UM, -3 * PIXEL_UM])
    )


def test_the_random_walk_has_the_wanted_step_and_starts_at_zero(specimen):
    walking = microscope(specimen, drift=Drift(walk_um=0.05))
    for _ in range(2001):
        walking.begin_image()
    steps = np.diff(walking.drift_um, axis=0)
    assert steps.std() == pytest.approx(0.05, rel=0.05)
    assert abs(steps.mean()) < 0.004
    assert not walking.drift_um[0].any()
    walking.begin_stack()
    assert walking.drift_um.shape == (0, 2)


def test_empty_support_counts_match_i0_within_poisson_error(specimen):
    x, y = grid(specimen)
    noisy = microscope(specimen, beam=Beam(photons_per_pixel=900))
    noisy.begin_image()
    expected = noisy.i0(510.0, x, y)
    empty = ~specimen.particle.specimen
    pull = ((noisy.counts(510.0, x, y) - expected) / np.sqrt(expected))[empty]
    n = empty.sum()
    assert abs(pull.mean()) < 4 / np.sqrt(n)
    assert pull.var() == pytest.approx(1, abs=5 * np.sqrt(2 / n))


def test_the_illumination_changes_by_the_slope_across_the_field(specimen):
    x, y = grid(specimen)
    i0 = microscope(specimen, beam=Beam(slope=0.05)).i0(510.0, x, y)
    corners = i0[-1, -1] / i0.mean() - i0[0, 0] / i0.mean()
    assert corners == pytest.approx(0.05 * (0.8 + 0.6), rel=1e-6)


def test_the_ring_current_falls_by_eight_per_cent_over_thirteen_images(specimen):
    x, y = grid(specimen)
    decaying = microscope(specimen, beam=Beam(spectrum=0))
    for _ in range(14):
        decaying.begin_image()
    assert decaying.ring_current_ma == pytest.approx(500 * 0.92, rel=0.001)
    assert decaying.i0(510.0, x, y).mean() == pytest.approx(2000 * 0.92, rel=0.001)


def test_i0_has_a_spectrum_of_its_own():
    beam = Beam(spectrum=0.1)
    i0 = np.array([beam.i0(e) for e in (500.0, 520.0, 534.0, 560.0)])
    assert i0[2] < i0[1] < i0[3]
    assert np.all(np.abs(i0 / 2000 - 1) <= 0.1)


def test_dark_counts_add_to_the_light(specimen):
    x, y = grid(specimen)
    dark = Beam(0.0, dark_counts=7.0, photon_noise=False)
    np.testing.assert_array_equal(microscope(specimen, beam=dark).counts(510.0, x, y), 7.0)


def test_an_energy_error_shows_the_specimen_at_another_energy(specimen):
    x, y = grid(specimen)
    off = Beam(slope=0, spectrum=0, ring_decay_per_image=0, photon_noise=False, energy_error_ev=0.5)
    np.testing.assert_array_equal(
        microscope(specimen, beam=off).counts(510.0, x, y),
        microscope(specimen).counts(510.5, x, y),
    )


def test_the_true_phase_at_a_position_is_that_of_the_nearest_pixel(specimen):
    x, y = grid(specimen)
    truth = specimen.particle.phase_index
    np.testing.assert_array_equal(specimen.phase_index(x, y), truth)
    np.testing.assert_array_equal(specimen.phase_index(x[::-1], y + 0.4 * PIXEL_UM), truth[:, ::-1])
    moved = specimen.phase_index(x - 2 * PIXEL_UM, y)
    np.testing.assert_array_equal(moved[:, 2:], truth[:, :-2])
    assert (moved[:, :2] == -1).all()


def test_photon_noise_does_not_change_the_drift(specimen):
    x, y = grid(specimen)
    paths = []
    for beam in (Beam(), QUIET):
        one = microscope(specimen, beam=beam, drift=Drift(walk_um=0.1), seed=9)
        for _ in range(4):
            one.begin_image()
            one.counts(510.0, x, y)
        paths.append(one.drift_um)
    np.testing.assert_array_equal(*paths)


def test_a_particle_of_other_phases_than_the_references_is_refused(specimen):
    one_phase = Particle(np.ones((4, 4)), np.ones((1, 4, 4)))
    with pytest.raises(ValueError, match="1 phases, the references have 2"):
        ParticleSpecimen(one_phase, REFERENCES)


@pytest.fixture
def recorded():
    counts = np.random.default_rng(1).gamma(2.0, 300.0, (3, 5, 8)).astype(np.float32)
    counts[1, 2, 3] = np.nan
    stack = Stack.from_arrays(counts, [705.0, 708.3, 710.0], extent_um=(3.0, -1.1, 10.0, 12.4))
    return RecordedSpecimen(stack), counts


def test_a_recorded_stack_comes_back_bit_for_bit(recorded):
    specimen, counts = recorded
    x, y = grid(specimen)
    for k, energy in enumerate((705.0, 708.3001, 709.96)):
        image = microscope(specimen, beam=None).counts(energy, x, y)
        np.testing.assert_array_equal(image.astype(np.float32), counts[k])


def test_a_region_of_a_recorded_stack_comes_back_bit_for_bit_and_flipped(recorded):
    specimen, counts = recorded
    x, y = grid(specimen)
    image = microscope(specimen, beam=None).counts(705.0, x[5:1:-1], y[1:4])
    np.testing.assert_array_equal(image.astype(np.float32), counts[0, 1:4, 5:1:-1])


def test_between_recorded_energies_and_pixels_the_counts_are_interpolated(recorded):
    specimen, counts = recorded
    x, y = grid(specimen)
    between = specimen.intensity(709.15, x, y)
    np.testing.assert_allclose(between, (counts[1] + counts[2]) / 2, rtol=1e-6)
    between = specimen.intensity(705.0, (x[:-1] + x[1:]) / 2, y)
    np.testing.assert_allclose(between, (counts[0][:, :-1] + counts[0][:, 1:]) / 2, rtol=1e-6)


def test_beyond_a_recorded_stack_there_is_nothing_to_show(recorded):
    specimen, _ = recorded
    x, y = grid(specimen)
    with pytest.raises(ValueError, match=r"covers 705 to 710 eV, the scan asks for 711 eV"):
        specimen.intensity(711.0, x, y)
    with pytest.raises(ValueError, match=r"covers y = 10 to 12\.4 um"):
        specimen.intensity(705.0, x, y + 1)
    with pytest.raises(ValueError, match=r"covers x = 3 to -1\.1 um"):
        specimen.intensity(705.0, x + 1, y)
