import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from particles import NX, NY, particle_counts
from scipy import ndimage

from stxm_live.preprocessing.specimen import edge_jump, find_specimen


def counted_mean_log(photons=3000, seed=5):
    """Mean of -ln I over energies, and the true specimen."""
    counts, _, particle = particle_counts(photons=photons, seed=seed)
    return -np.log(counts).mean(axis=0, dtype=np.float64), particle.specimen


def disc(radius=18, shape=(60, 72), noise=0.02, od=0.8, seed=0):
    y, x = np.indices(shape) - np.reshape(shape, (2, 1, 1)) // 2
    inside = np.hypot(y, x) < radius
    return od * inside + np.random.default_rng(seed).normal(0, noise, shape), inside


def depth(mask):
    """Distance from the edge of a mask, positive inside and outside."""
    return ndimage.distance_transform_edt(mask) + ndimage.distance_transform_edt(~mask)


@pytest.mark.parametrize("photons", [300, 1000, 3000, 30_000])
@pytest.mark.parametrize("seed", [5, 6])
def test_a_particle_is_found_but_for_its_outermost_pixels(photons, seed):
    mean_log, truth = counted_mean_log(photons, seed)
    found = find_specimen(mean_log)
    assert found.specimen.shape == found.empty.shape == (NY, NX)
    wrong = found.specimen != truth
    assert not (wrong & (depth(truth) > 2.5)).any()
    assert wrong.mean() < 0.06


@pytest.mark.parametrize("photons", [300, 3000])
def test_the_empty_support_keeps_away_from_the_particle_and_is_plenty(photons):
    mean_log, truth = counted_mean_log(photons)
    empty = find_specimen(mean_log).empty
    assert not (empty & truth).any()
    assert ndimage.distance_transform_edt(~truth)[empty].min() >= 2
    assert empty.mean() > 0.5 * (~truth).mean()


def test_the_thin_rim_of_a_particle_is_specimen():
    image, core = disc(radius=18, noise=0.02)
    y, x = np.indices(image.shape) - np.reshape(image.shape, (2, 1, 1)) // 2
    rim = (np.hypot(y, x) < 24) & ~core
    found = find_specimen(np.where(rim, image + 0.15, image)).specimen
    assert found[rim].mean() > 0.95
    assert found[core].all()


@settings(max_examples=25)
@given(constant=st.floats(-20, 20))
def test_a_constant_such_as_an_external_i0_changes_nothing(constant):
    mean_log, _ = counted_mean_log()
    before, after = find_specimen(mean_log), find_specimen(mean_log + constant)
    # float32 may tip a pixel that sits on the threshold
    assert (before.specimen != after.specimen).sum() <= 2
    assert (before.empty != after.empty).sum() <= 30


def test_turning_the_field_turns_the_specimen():
    mean_log, _ = counted_mean_log()
    found = find_specimen(mean_log).specimen
    turned = find_specimen(mean_log[::-1, ::-1]).specimen
    assert (found != turned[::-1, ::-1]).sum() <= 2


def test_specks_are_no_specimen_and_no_empty_support():
    image, inside = disc()
    for column in (5, 25, 45):
        image[4, column] += 3.0  # a dead pixel
        image[7:9, column + 9 : column + 11] += 0.25  # dust
    found = find_specimen(image)
    assert not found.specimen[:12].any()
    assert not found.empty[image > 2].any()
    assert found.specimen[inside].mean() > 0.99


def test_a_second_small_particle_is_specimen_too():
    image, _ = disc(radius=12)
    image[4:8, 4:9] += 1.0
    assert find_specimen(image).specimen[4:8, 4:9].all()


def test_unknown_pixels_are_neither_specimen_nor_empty():
    image, inside = disc()
    unknown = np.zeros_like(inside)
    unknown[25:30, 30:40] = unknown[:3] = True
    found = find_specimen(np.where(unknown, np.nan, image))
    assert not (found.specimen & unknown).any()
    assert not (found.empty & unknown).any()
    assert found.specimen[inside & ~unknown].mean() > 0.99


def test_an_empty_field_has_no_specimen():
    image = np.random.default_rng(0).normal(-7, 0.02, (60, 72))
    found = find_specimen(image)
    assert not found.specimen.any()
    assert found.empty.mean() > 0.9


def test_a_quiet_slope_of_the_illumination_is_no_specimen():
    image, inside = disc(noise=0.01)
    image += np.linspace(0, 0.04, image.shape[1])
    found = find_specimen(image).specimen
    assert (found != inside).mean() < 0.03


@pytest.mark.parametrize("seed", range(3))
def test_a_particle_that_fills_the_field_is_an_error_with_advice(seed):
    mean_log, truth = counted_mean_log(3000, 5 + seed)
    rows, columns = np.where(ndimage.distance_transform_edt(truth) > 4)
    middle = slice(rows.min() + 6, rows.max() - 6), slice(columns.min() + 6, columns.max() - 6)
    filled = np.where(truth, mean_log, np.nan)[middle]
    with pytest.raises(ValueError, match="nothing in the field looks empty") as e:
        find_specimen(filled)
    assert 'source = "region", region = [x0, x1, y0, y1] in um' in str(e.value)
    assert 'source = "spectrum"' in str(e.value)


def test_a_field_without_any_usable_pixel_is_an_error():
    with pytest.raises(ValueError, match="no pixel has a usable value at every energy"):
        find_specimen(np.full((5, 6), np.nan))


def test_what_shows_in_the_jump_across_the_edge_only_is_found_at_the_same_noise():
    image, inside = disc(od=0.3, noise=0.03)
    empty, _ = disc(od=0.0, noise=0.03, seed=1)
    by_mean = find_specimen(image).specimen
    by_jump = find_specimen(empty, image).specimen
    assert (by_mean != inside).mean() < 0.01
    assert (by_jump != inside).mean() < 0.01
    assert not find_specimen(empty, empty).specimen.any()


def test_the_edge_jump_of_a_mean_reference_is_its_mean_od_and_of_a_constant_nothing(nvpf):
    references = nvpf.reference_spectra.at(nvpf.energies_ev)
    mean = references.mean(axis=0)
    i0 = np.linspace(3, 2, 13)
    amount = np.array([[0.0, 1.0, 2.5]])
    log = np.log(i0)[:, None, None] - mean[:, None, None] * amount - [[0.0, 0.7, -0.2]]
    jump = edge_jump(log, references)
    np.testing.assert_allclose(jump - jump[0, 0], amount * mean.mean(), atol=1e-9)


def test_references_that_are_flat_at_these_energies_have_no_edge():
    jump = edge_jump(np.array([[[1.0, np.nan]], [[2.0, 3.0]]]), np.array([[0.3, 0.3]]))
    np.testing.assert_array_equal(jump, [[0.0, np.nan]])


def test_references_of_which_one_rises_and_another_falls_have_no_common_edge(nvpf):
    at_two = nvpf.reference_spectra.at((516.6, 521.5))
    assert np.sign(np.diff(at_two).ravel()).tolist() == [-1, -1, 1, 1, 1]
    image = np.random.default_rng(0).normal(size=(2, 3, 4))
    np.testing.assert_array_equal(edge_jump(image, at_two), np.zeros((3, 4)))


def test_bright_fringes_around_the_particle_do_not_raise_the_support():
    image, inside = disc(radius=15, noise=0.02, shape=(80, 90))
    from_edge = ndimage.distance_transform_edt(~inside)
    fringe = (from_edge > 0) & (from_edge < 3)
    found = find_specimen(np.where(fringe, image - 0.18, image))
    assert abs(image[found.empty].mean()) < 0.002
    assert not found.empty[fringe].any()


def test_a_hole_is_filled_if_it_is_no_larger_than_a_speck():
    image, _ = disc(radius=20)
    image[28, 30] = image[35, 40] = -1.5  # hot pixels
    image[24:30, 42:48] -= 0.8
    found = find_specimen(image).specimen
    assert found[28, 30]
    assert found[35, 40]
    assert not found[25:29, 43:47].any()
