import numpy as np
import pytest
from scipy import ndimage

from stxm_live.core.recipe import Recipe
from stxm_live.core.references import ReferenceSpectra
from stxm_live.sim.phantom import STATES_OF_CHARGE, Particle, make_particle, od_cube

SHAPE = (96, 128)


def particle(seed=0, shape=SHAPE, weights=STATES_OF_CHARGE["Na2VPF"]):
    return make_particle(shape, phase_weights=weights, rng=np.random.default_rng(seed))


def test_fractions_sum_to_one_inside_and_vanish_outside():
    p = particle()
    total = p.fractions.sum(axis=0)
    np.testing.assert_allclose(total[p.specimen], 1, rtol=1e-12)
    assert not total[~p.specimen].any()
    assert p.fractions.shape == (5, *SHAPE)


@pytest.mark.parametrize("seed", range(12))
def test_every_particle_leaves_an_empty_border_and_fills_about_half_of_the_field(seed):
    p = particle(seed, shape=(64, 80))
    assert 0.3 < p.specimen.mean() < 0.65
    border = np.ones(p.specimen.shape, dtype=bool)
    border[2:-2, 2:-2] = False
    assert not (p.specimen & border).any()


def test_the_thickness_is_that_of_a_particle_with_thin_edges():
    p = particle()
    inside = p.thickness_nm[p.specimen]
    assert inside.min() >= 60
    assert 550 <= inside.max() <= 800
    depth = ndimage.distance_transform_edt(p.specimen)
    rim = p.thickness_nm[(depth > 0) & (depth < 2)]
    core = p.thickness_nm[depth > 12]
    assert np.median(rim) < 0.4 * np.median(core)


@pytest.mark.parametrize("majority", STATES_OF_CHARGE)
def test_phase_shares_are_near_the_wanted_ones(majority):
    weights = STATES_OF_CHARGE[majority]
    p = particle(3, shape=(160, 160), weights=weights)
    shares = [np.mean(p.phase_index[p.specimen] == k) for k in range(5)]
    assert list(STATES_OF_CHARGE)[int(np.argmax(shares))] == majority
    np.testing.assert_allclose(shares, weights, atol=0.08)


def test_the_shares_of_each_state_of_charge_add_up():
    assert list(STATES_OF_CHARGE) == list(Recipe.load("nvpf").reference_spectra.phase_names)
    for weights in STATES_OF_CHARGE.values():
        assert sum(weights) == pytest.approx(1)


def test_neighboring_domains_are_mostly_neighbors_in_sodium_content():
    labels = particle(1, shape=(160, 160)).phase_index.astype(int)
    steps = np.concatenate(
        [
            np.abs(np.diff(labels, axis=axis))[
                (np.delete(labels, 0, axis) >= 0) & (np.delete(labels, -1, axis) >= 0)
            ]
            for axis in (0, 1)
        ]
    )
    assert np.mean(steps[steps > 0] == 1) > 0.8


def test_nearly_all_mixed_pixels_lie_within_three_pixels_of_a_domain_wall():
    p = particle(2)
    index = p.phase_index
    wall = np.zeros(SHAPE, dtype=bool)
    for axis in (0, 1):
        unlike = np.diff(index, axis=axis) != 0
        pad = [(0, 1), (0, 0)] if axis == 0 else [(0, 0), (0, 1)]
        wall |= np.pad(unlike, pad) | np.pad(unlike, [q[::-1] for q in pad])
    assert p.mixed.any()
    distance = ndimage.distance_transform_edt(~wall)[p.mixed]
    assert np.mean(distance <= 3) > 0.98  # the rest: specks too small to be anyone's majority
    assert set(np.unique(p.fractions[:, p.specimen & ~p.mixed])) == {0.0, 1.0}


def test_outside_the_specimen_there_is_no_phase():
    p = particle()
    assert p.phase_index.dtype == np.int8
    assert (p.phase_index[~p.specimen] == -1).all()
    assert p.phase_index[p.specimen].min() >= 0


def test_the_same_seed_gives_the_same_particle_and_another_seed_another():
    a, b, c = particle(5), particle(5), particle(6)
    np.testing.assert_array_equal(a.fractions, b.fractions)
    np.testing.assert_array_equal(a.thickness_nm, b.thickness_nm)
    assert not np.array_equal(a.thickness_nm, c.thickness_nm)


def test_two_phases_of_which_one_has_no_share_give_a_pure_particle():
    p = particle(0, shape=(32, 32), weights=(1.0,))
    assert not p.mixed.any()
    assert set(np.unique(p.phase_index)) == {-1, 0}


def test_optical_density_is_thickness_times_the_mixture_of_references():
    references = ReferenceSpectra(
        ("a", "b"), np.array([500.0, 510.0]), np.array([[0.1, 0.3], [0.2, 0.1]])
    )
    thickness = np.array([[0.0, 200.0, 400.0]])
    fractions = np.array([[[0.0, 1.0, 0.25]], [[0.0, 0.0, 0.75]]])
    od = od_cube(Particle(thickness, fractions), references, [500.0, 505.0])
    np.testing.assert_allclose(od[:, 0, 0], 0)
    np.testing.assert_allclose(od[:, 0, 1], [0.2, 0.4])
    np.testing.assert_allclose(
        od[:, 0, 2], 4 * np.array([0.25 * 0.1 + 0.75 * 0.2, 0.25 * 0.2 + 0.75 * 0.15])
    )


@pytest.mark.parametrize("weights", [(0.5, -0.1), (0.0, 0.0), ()])
def test_impossible_shares_are_refused(weights):
    with pytest.raises(ValueError, match="phase_weights"):
        particle(weights=weights)


def test_a_field_too_small_for_a_particle_is_refused():
    with pytest.raises(ValueError, match="16 pixels"):
        particle(shape=(8, 64))
