"""A landscape holds several particles apart from one another, some changing and some changed."""

import numpy as np
import pytest
from scipy import ndimage
from simulated_landscapes import make_landscape

SHAPE = (128, 144)


@pytest.fixture(scope="module")
def landscapes():
    return [make_landscape(SHAPE, rng=np.random.default_rng(seed)) for seed in range(4)]


def test_the_particles_are_those_of_the_numbers_and_do_not_touch(landscapes):
    for landscape in landscapes:
        specimen = landscape.particle.specimen
        np.testing.assert_array_equal(specimen, landscape.particle_index >= 0)
        for k in range(landscape.n_particles):
            own = landscape.particle_index == k
            around = ndimage.binary_dilation(own, iterations=2)
            np.testing.assert_array_equal(around & specimen, own)
        assert landscape.n_particles >= 2


def test_fractions_add_up_on_the_specimen_only(landscapes):
    for landscape in landscapes:
        total = landscape.particle.fractions.sum(axis=0)
        np.testing.assert_allclose(total, landscape.particle.specimen, atol=1e-12)


def majority_shares(landscape):
    """Share of each particle's commonest phase."""
    index = landscape.particle.phase_index
    for k in range(landscape.n_particles):
        yield (
            np.bincount(index[landscape.particle_index == k]).max()
            / (landscape.particle_index == k).sum()
        )


def test_particles_that_have_changed_are_of_one_phase_and_changing_ones_are_not():
    rng = np.random.default_rng(3)
    changed = make_landscape(SHAPE, rng=rng, changing=0.0)
    changing = make_landscape(SHAPE, rng=rng, changing=1.0)
    assert min(majority_shares(changed)) > 0.9
    assert max(majority_shares(changing)) < 0.85


def test_a_seed_makes_the_same_landscape_again():
    one, other = (make_landscape(SHAPE, rng=np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(one.particle.fractions, other.particle.fractions)


def test_a_field_too_small_for_particles_is_refused():
    with pytest.raises(ValueError, match="96 pixels a side"):
        make_landscape((64, 128), rng=np.random.default_rng(0))
