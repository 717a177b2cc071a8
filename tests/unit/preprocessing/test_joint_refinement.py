from functools import cache

import numpy as np
import pytest

from stxm_live.core.recipe import Recipe
from stxm_live.core.stack import Stack
from stxm_live.preprocessing.alignment.joint_refinement import refined_shifts
from stxm_live.preprocessing.workflow import align_stack
from stxm_live.sim.phantom import STATES_OF_CHARGE, make_particle, od_cube

NY, NX = 112, 128
FINE = 4
"""Fine pixels a pixel: a drift of quarter pixels needs no interpolation."""


@cache
def fine_transmission(seed=5, state="Na2VPF"):
    recipe = Recipe.load("nvpf")
    particle = make_particle(
        (FINE * NY, FINE * NX),
        phase_weights=STATES_OF_CHARGE[state],
        rng=np.random.default_rng(seed),
    )
    return np.exp(-od_cube(particle, recipe.reference_spectra, recipe.energies_ev))


def counted(drift_px, photons=1000, seed=0):
    """Counts (13, NY, NX) of a specimen displaced by quarters of pixels (y, x)."""
    return _counted(tuple(map(tuple, drift_px)), photons, seed).copy()


@cache
def _counted(drift_px, photons, seed):
    moved = [
        np.roll(image, tuple(round(FINE * v) for v in step), axis=(0, 1))
        for image, step in zip(fine_transmission(), drift_px, strict=True)
    ]
    coarse = np.reshape(moved, (13, NY, FINE, NX, FINE)).mean(axis=(2, 4))
    rng = np.random.default_rng(seed)
    i0 = photons * rng.uniform(0.8, 1.2, 13)
    return rng.poisson(i0[:, None, None] * coarse).astype(np.float32)


def walk(seed=1):
    steps = np.random.default_rng(seed).normal(0, 0.8, (13, 2))
    return np.round(FINE * steps.cumsum(axis=0)) / FINE


def start_of(drift, seed=2, scatter=0.12):
    """What a first registration leaves: the drift taken back, but for errors of its own."""
    return -drift + np.random.default_rng(seed).normal(0, scatter, drift.shape)


def errors(shifts, drift, of=slice(None)):
    """Distances after removing the offset common to the images."""
    left = (shifts + drift)[of]
    return np.hypot(*(left - left.mean(axis=0)).T)


def rms(values):
    return np.sqrt(np.mean(np.square(values)))


@pytest.mark.parametrize(("photons", "reached_px"), [(300, 0.09), (10_000, 0.05)])
def test_what_a_first_registration_left_is_mostly_taken_back(photons, reached_px):
    drift = walk()
    start = start_of(drift)
    found = refined_shifts(counted(drift, photons), start)
    assert rms(errors(start, drift)) > 0.1
    assert rms(errors(found.shifts_px, drift)) < reached_px
    assert errors(found.shifts_px, drift).max() < 3 * reached_px
    assert found.problems == {}
    np.testing.assert_allclose(found.shifts_px.mean(axis=0), start.mean(axis=0), atol=0.001)


def test_the_standard_deviations_are_those_of_the_errors():
    left, std = [], []
    for seed in range(3):
        drift = walk(seed)
        found = refined_shifts(counted(drift, seed=seed), start_of(drift, seed))
        error = found.shifts_px + drift
        left.append(error - error.mean(axis=0))
        std.append(found.std_px)
    assert 0.6 < rms(np.divide(left, std)) < 1.6


def test_domains_that_change_contrast_are_not_mistaken_for_drift():
    still = np.zeros((13, 2))
    found = refined_shifts(counted(still, 3000), still)
    assert rms(errors(found.shifts_px, still)) < 0.04
    lengths = np.hypot(*(found.shifts_px / found.std_px).T)
    assert np.median(lengths) < 2


def test_twice_the_same_is_bit_for_bit_the_same_and_the_images_stay_as_they_were():
    drift = walk()
    counts = counted(drift)
    before = counts.copy()
    one, other = (refined_shifts(counts, start_of(drift)) for _ in range(2))
    np.testing.assert_array_equal(one.shifts_px, other.shifts_px)
    np.testing.assert_array_equal(one.std_px, other.std_px)
    np.testing.assert_array_equal(counts, before)


def test_the_unit_of_the_counts_does_not_matter():
    drift = walk()
    counts = counted(drift)
    one, other = (refined_shifts(factor * counts, start_of(drift)) for factor in (1, 1e-9))
    np.testing.assert_allclose(one.shifts_px, other.shifts_px, atol=0.002)


def blank(counts):
    return np.full_like(counts, 700.0)


def nothing(counts):
    return np.full_like(counts, np.nan)


def only_noise(counts):
    return np.random.default_rng(0).poisson(700, counts.shape).astype(np.float32)


@pytest.mark.parametrize("spoil", [blank, nothing, only_noise])
def test_an_image_that_shows_nothing_keeps_its_shift_is_named_and_spoils_no_other(spoil):
    drift = walk()
    counts, start = counted(drift), start_of(drift)
    counts[4] = spoil(counts[4])
    found = refined_shifts(counts, start)
    assert list(found.problems) == [4]
    np.testing.assert_array_equal(found.shifts_px[4], start[4])
    assert np.isnan(found.std_px[4]).all()
    others = np.arange(13) != 4
    assert rms(errors(found.shifts_px, drift, others)) < 0.06


def dumped(counts):
    counts[40:] = np.nan
    return counts


def dimmed(counts):
    counts[60:] *= 0.5
    return counts


def saturated(counts):
    return np.minimum(counts, 500)


def dead_lines(counts):
    counts[50:52] = np.nan
    counts[:, 70] = np.nan
    return counts


@pytest.mark.parametrize("spoil", [dumped, dimmed, saturated, dead_lines])
def test_an_image_spoilt_in_part_spoils_no_other(spoil):
    drift = walk()
    counts, start = counted(drift), start_of(drift)
    counts[4] = spoil(counts[4])
    found = refined_shifts(counts, start)
    others = np.arange(13) != 4
    assert rms(errors(found.shifts_px, drift, others)) < 0.06
    assert errors(found.shifts_px, drift).max() < 0.4


def test_dead_lines_of_the_detector_do_not_hold_the_images_fast():
    """They stay where they are while the specimen moves."""
    drift = walk()
    counts = counted(drift)
    counts[:, 50] = np.nan
    counts[:, :, 61] = np.nan
    found = refined_shifts(counts, start_of(drift))
    assert rms(errors(found.shifts_px, drift)) < 0.07


def test_a_smooth_drift_helps_where_photons_are_few():
    drift = np.outer(np.arange(13), [0.5, -0.25])
    left = {True: [], False: []}
    for seed in range(3):
        start, counts = start_of(drift, seed), counted(drift, 100, seed)
        for on, found in left.items():
            found.append(errors(refined_shifts(counts, start, smooth_drift=on).shifts_px, drift))
    assert rms(left[True]) < 0.9 * rms(left[False])


def test_a_jump_in_a_drift_that_is_said_to_be_smooth_is_kept():
    drift = np.outer(np.arange(13), [0.5, -0.25])
    drift[7:] += [9, 0]
    found = refined_shifts(counted(drift), start_of(drift), smooth_drift=True)
    assert rms(errors(found.shifts_px, drift)) < 0.06


def test_only_the_region_is_compared():
    """Beside the particle something else moves in another way."""
    drift = walk()
    counts = counted(drift, 3000)
    rng = np.random.default_rng(4)
    counts[:, :, 100:] = 3000 * rng.uniform(0.2, 1, (NY, NX - 100))
    region = np.zeros((NY, NX), dtype=bool)
    region[:, :90] = True
    found = refined_shifts(counts, start_of(drift), region=region)
    assert rms(errors(found.shifts_px, drift)) < 0.08


@pytest.mark.parametrize("n", [1, 4])
def test_few_images_stay_where_they_are(n):
    drift = walk()
    start = start_of(drift)[:n]
    found = refined_shifts(counted(drift)[:n], start)
    np.testing.assert_array_equal(found.shifts_px, start)
    assert np.isnan(found.std_px).all()


def test_an_image_that_left_the_field_is_named_and_spoils_no_other():
    drift = walk()
    start = start_of(drift)
    start[3] += [0, 2 * NX]
    found = refined_shifts(counted(drift), start)
    assert found.problems == {3: "has too little field in common with the others"}
    np.testing.assert_array_equal(found.shifts_px[3], start[3])
    assert rms(errors(found.shifts_px, drift, np.arange(13) != 3)) < 0.06


def test_images_that_share_no_field_stay_where_they_are_and_are_named():
    drift = walk()
    start = start_of(drift) + np.outer(np.arange(13) - 6, [0, NX])
    found = refined_shifts(counted(drift), start)
    np.testing.assert_array_equal(found.shifts_px, start)
    assert len(found.problems) == 13


def test_a_shift_that_was_far_off_is_not_believed_nor_are_the_others_spoilt():
    drift = walk()
    start = start_of(drift)
    start[7] += [6, -5]
    found = refined_shifts(counted(drift), start)
    others = np.arange(13) != 7
    assert rms(errors(found.shifts_px, drift, others)) < 0.06
    np.testing.assert_array_equal(found.shifts_px[7], start[7])
    assert list(found.problems) == [7]


def particle_in(n_px, seed, weights=STATES_OF_CHARGE["Na2VPF"], rare_share=0.0):
    """A particle on the fine raster; as much of the last phase fills its lowest corner."""
    rng = np.random.default_rng(seed)
    particle = make_particle((FINE * n_px, FINE * n_px), phase_weights=weights, rng=rng)
    y, x = np.nonzero(particle.specimen)
    corner = np.argsort(-(y + x), kind="stable")[: round(rare_share * len(y))]
    particle.fractions[:, y[corner], x[corner]] = np.eye(5)[4][:, None]
    return particle


def stack_of(particle, drift_px, photons, seed):
    """Counted at a drift of quarters of pixels."""
    recipe = Recipe.load("nvpf")
    fine = np.exp(-od_cube(particle, recipe.reference_spectra, recipe.energies_ev))
    n_px = fine.shape[1] // FINE
    moved = [
        np.roll(image, tuple(round(FINE * v) for v in step), axis=(0, 1))
        for image, step in zip(fine, drift_px, strict=True)
    ]
    coarse = np.reshape(moved, (13, n_px, FINE, n_px, FINE)).mean(axis=(2, 4))
    counts = np.random.default_rng(seed).poisson(photons * coarse)
    return Stack.from_arrays(counts.astype(np.float32), recipe.energies_ev)


@pytest.mark.slow
def test_at_sixty_photons_the_refined_shifts_are_not_worse_than_the_live_ones(nvpf):
    n_px = 64
    live, refined, std = [], [], []
    for seed in range(3):
        drift = walk(100 + seed)
        aligned = align_stack(
            stack_of(particle_in(n_px, seed), drift, 60, seed), nvpf, refining=True
        )
        live.append(rms(errors(aligned.shifts_before_px, drift)))
        refined.append(rms(errors(aligned.shifts_px, drift)))
        std.append(rms(aligned.shift_quality))
    assert np.mean(refined) < 0.9 * np.mean(live)
    assert np.all(np.less(refined, 1.1 * np.array(live)))
    assert 0.6 < np.mean(refined) / np.mean(std) < 1.7


@pytest.mark.slow
def test_a_rare_phase_in_one_corner_pulls_no_image(nvpf):
    """Two per cent of the particle that brighten and darken in their own way."""
    photons, common = 30_000, (0.05, 0.3, 0.55, 0.1, 0.0)
    with_it, without = [], []
    drift = walk(200)
    for share, left in ((0.02, with_it), (0.0, without)):
        stack = stack_of(particle_in(96, 0, common, share), drift, photons, 0)
        aligned = align_stack(stack, nvpf, refining=True)
        left.append(errors(aligned.shifts_px, drift))
    assert rms(with_it) < 0.04
    assert np.max(with_it) < 0.12
    assert rms(with_it) < rms(without) + 0.015


def test_lost_lines_in_every_image_leave_field_enough_to_refine():
    """Of a lost line three are unusable, in other places of each image: no row is in all."""
    drift = walk()
    images, start = [image.copy() for image in counted(drift)], start_of(drift)
    for k, image in enumerate(images):
        for first in range(2 * k, len(image), 26):
            image[first : first + 3] = np.nan
    found = refined_shifts(images, start)
    assert not found.problems
    assert rms(errors(found.shifts_px, drift)) < 0.6 * rms(errors(start, drift))
