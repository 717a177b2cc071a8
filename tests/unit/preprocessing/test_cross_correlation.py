from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.fft import fftn
from skimage.registration import phase_cross_correlation

from stxm_live.core.recipe import Recipe
from stxm_live.core.threads import in_threads
from stxm_live.preprocessing.alignment.cross_correlation import (
    UPSAMPLING,
    EdgeImage,
    _peak,
    check_shifts,
    match,
    negligible_dropped,
)
from stxm_live.preprocessing.alignment.spline_shift import shifted
from stxm_live.sim.phantom import STATES_OF_CHARGE, make_particle, od_cube

NY, NX = 72, 96
FINE = 4
"""Fine pixels a pixel: a drift of quarter pixels needs no interpolation."""


def best_anchor(images):
    return int(np.argmax([image.contrast for image in images]))


def find_shift(image, anchor):
    """The shift that is applied."""
    return negligible_dropped(match(image, anchor).shift_px)


def find_shifts(images, energies_ev, max_shift_px=None):
    """As `align` does: all onto the image of the most contrast."""
    anchor = images[best_anchor(images)]
    shifts = np.array([find_shift(image, anchor) for image in images])
    check_shifts(shifts, energies_ev, max_shift_px)
    return shifts


@cache
def fine_transmission(seed):
    """On the fine raster: domains that brighten and darken from energy to energy."""
    recipe = Recipe.load("nvpf")
    particle = make_particle(
        (FINE * NY, FINE * NX),
        phase_weights=STATES_OF_CHARGE["Na2VPF"],
        rng=np.random.default_rng(seed),
    )
    return np.exp(-od_cube(particle, recipe.reference_spectra, recipe.energies_ev))


@pytest.fixture
def transmission():
    return fine_transmission(5)


def counted(transmission, drift_px, photons=1000, seed=0):
    """Counts (n_energies, NY, NX) of a specimen displaced by quarters of pixels (y, x)."""
    moved = [
        np.roll(image, tuple(int(v) for v in FINE * step), axis=(0, 1))
        for image, step in zip(transmission, drift_px, strict=True)
    ]
    coarse = np.reshape(moved, (len(moved), NY, FINE, NX, FINE)).mean(axis=(2, 4))
    rng = np.random.default_rng(seed)
    i0 = photons * rng.uniform(0.8, 1.2, len(moved))
    return rng.poisson(i0[:, None, None] * coarse).astype(np.float32)


def smooth(seed=0, shape=(40, 52)):
    rng = np.random.default_rng(seed)
    return ndimage.gaussian_filter(rng.normal(size=shape), 2).astype(np.float32)


@pytest.mark.parametrize("particle", [4, 5, 6])
def test_a_planted_drift_is_found_well_within_a_pixel_at_a_thousand_photons(particle, nvpf):
    walk = np.random.default_rng(particle).normal(0, 0.8, (13, 2)).cumsum(axis=0)
    drift = np.round(FINE * walk) / FINE
    images = [EdgeImage.of(image) for image in counted(fine_transmission(particle), drift)]
    shifts = find_shifts(images, nvpf.energies_ev)
    # all are laid on the anchor, wherever that was
    error = shifts + drift - drift[best_anchor(images)]
    assert np.sqrt(np.mean(error**2)) < 0.15
    assert np.abs(error).max() < 0.5


def test_a_drift_of_a_fifth_of_the_field_is_found(transmission, nvpf):
    drift = np.zeros((13, 2))
    drift[9] = [-15, 20]
    images = [EdgeImage.of(image) for image in counted(transmission, drift)]
    np.testing.assert_allclose(find_shifts(images, nvpf.energies_ev), -drift, atol=0.3)


def test_rows_and_columns_are_not_confused():
    image = np.exp(smooth())
    moved = np.roll(image, (3, -7), axis=(0, 1))
    found = find_shift(EdgeImage.of(moved), EdgeImage.of(image))
    np.testing.assert_allclose(found, (-3, 7), atol=0.3)


@settings(max_examples=20)
@given(factor=st.floats(0.01, 100))
def test_a_brighter_beam_is_the_same_picture(factor):
    image = 100 * np.exp(smooth())
    np.testing.assert_allclose(
        EdgeImage.of(factor * image).pattern, EdgeImage.of(image).pattern, atol=1e-5
    )


def test_an_inverted_picture_is_found_where_it_is():
    """As a domain that is dark at one energy and bright at another."""
    image = smooth()
    found = find_shift(
        EdgeImage.of(np.exp(-np.roll(image, 2, axis=1))), EdgeImage.of(np.exp(image))
    )
    np.testing.assert_allclose(found, (0, -2), atol=0.3)


def test_a_noisy_scan_that_does_not_drift_is_left_alone_or_nearly(transmission, nvpf):
    images = counted(transmission, np.zeros((13, 2)))
    shifts = find_shifts([EdgeImage.of(image) for image in images], nvpf.energies_ev)
    lengths = np.hypot(*shifts.T)
    assert np.all((lengths == 0) | (lengths >= 0.1))
    assert np.sqrt(np.mean(shifts**2)) < 0.15


@pytest.mark.parametrize("blank", [np.full((NY, NX), 100.0), np.full((NY, NX), np.nan)])
def test_a_blank_image_is_neither_shifted_nor_laid_upon(transmission, nvpf, blank):
    drift = np.zeros((13, 2))
    drift[:, 0] = np.arange(13)
    counts = counted(transmission, drift)
    counts[3] = blank
    images = [EdgeImage.of(image) for image in counts]
    shifts = find_shifts(images, nvpf.energies_ev)
    anchor = best_anchor(images)
    assert anchor != 3
    assert shifts[3].tolist() == [0, 0]
    others = np.arange(13) != 3
    np.testing.assert_allclose(shifts[others, 0], anchor - np.arange(13)[others], atol=0.5)


def test_the_anchor_is_the_image_of_most_contrast_not_the_pale_pre_edge_one(transmission):
    images = [EdgeImage.of(image) for image in counted(transmission, np.zeros((13, 2)), 1e5)]
    assert int(np.argmin([image.contrast for image in images])) == 0
    assert best_anchor(images) == int(np.argmax([image.pattern.std() for image in images])) > 0


def test_dead_pixels_do_not_pull_the_shift(transmission):
    drift = np.zeros((13, 2))
    drift[6] = [2.25, -1.5]
    counts = counted(transmission, drift)
    dead = np.random.default_rng(0).random((NY, NX)) < 0.002
    counts[:, dead] = [[0.0]] * 6 + [[np.nan]] * 7
    images = [EdgeImage.of(image) for image in counts[[5, 6]]]
    assert np.isfinite(images[0].pattern).all()
    np.testing.assert_allclose(find_shift(images[1], images[0]), -drift[6], atol=0.3)


def test_a_shift_beyond_the_limit_fails_naming_the_image_and_what_to_do(transmission, nvpf):
    drift = np.zeros((13, 2))
    drift[9] = [0, 12]
    images = [EdgeImage.of(image) for image in counted(transmission, drift)]
    energy_ev = nvpf.energies_ev[9]
    with pytest.raises(ValueError, match=rf"{energy_ev:g} eV is shifted by 1[12]\.\d px") as e:
        find_shifts(images, nvpf.energies_ev, max_shift_px=5)
    assert "max_shift_px = 5" in str(e.value)
    assert "[alignment]" in str(e.value)
    assert find_shifts(images, nvpf.energies_ev, max_shift_px=15).shape == (13, 2)


offset = st.floats(-9, 9).map(lambda v: round(v, 3))


@settings(max_examples=40)
@given(seed=st.integers(0, 99), shift_px=st.tuples(offset, offset))
def test_a_shift_is_the_cubic_spline_of_scipy_and_nan_beside_it(seed, shift_px):
    image = smooth(seed)
    moved = shifted(image, shift_px)
    expected = ndimage.shift(image.astype(float), shift_px, order=3, mode="mirror")
    rows, columns = np.indices(image.shape, dtype=float)
    source_y, source_x = rows - shift_px[0], columns - shift_px[1]
    # a source on the last row may lie a rounding error outside
    inside = (source_y >= 1e-6) & (source_y <= image.shape[0] - 1 - 1e-6)
    inside &= (source_x >= 1e-6) & (source_x <= image.shape[1] - 1 - 1e-6)
    outside = (source_y < -1e-6) | (source_y > image.shape[0] - 1 + 1e-6)
    outside |= (source_x < -1e-6) | (source_x > image.shape[1] - 1 + 1e-6)
    np.testing.assert_allclose(moved[inside], expected[inside], atol=2e-5)
    assert np.isnan(moved[outside]).all()


@settings(max_examples=40)
@given(seed=st.integers(0, 99), shift_px=st.tuples(offset, offset))
def test_a_shift_there_and_back_again_gives_the_picture_back(seed, shift_px):
    image = ndimage.gaussian_filter(smooth(seed), 2)
    image = image / image.std()
    back = shifted(shifted(image, shift_px), (-shift_px[0], -shift_px[1]))
    assert np.isfinite(back[10:-10, 10:-10]).all()
    common = ndimage.binary_erosion(np.isfinite(back), iterations=4)
    np.testing.assert_allclose(back[common], image[common], atol=0.02)


def test_a_shift_by_whole_pixels_moves_the_values_themselves():
    image = smooth()
    moved = shifted(image, (3.0, -5.0))
    np.testing.assert_allclose(moved[3:, :-5], image[:-3, 5:], atol=1e-6)
    assert np.isnan(moved[:3]).all()
    assert np.isnan(moved[:, -5:]).all()


def test_without_a_shift_the_picture_stays_bit_for_bit():
    image = smooth()
    image[4, 5] = np.nan
    np.testing.assert_array_equal(shifted(image, (0.0, 0.0)), image)


@pytest.mark.parametrize("shift_px", [(40.0, 0.0), (0.0, -52.0), (100.5, 3.0)])
def test_a_picture_shifted_out_of_the_field_is_all_nan(shift_px):
    assert np.isnan(shifted(smooth(), shift_px)).all()


@pytest.mark.parametrize("shift_px", [(0.5, 0.0), (0.0, 0.3), (1.75, -2.4), (-0.2, 0.9)])
def test_a_missing_pixel_spoils_its_surroundings_and_nothing_else(shift_px):
    image = smooth()
    image[20, 30] += 10 * np.ptp(image)  # far from whatever is put in its place
    whole = shifted(image, shift_px)
    holed = image.copy()
    holed[20, 30] = np.nan
    moved = shifted(holed, shift_px)
    lost = np.argwhere(np.isnan(moved) & np.isfinite(whole))
    centre = np.array([20, 30]) + shift_px
    assert len(lost) >= 4
    assert np.abs(lost - centre).max() <= 3
    for corner in np.ndindex(2, 2):
        assert np.isnan(moved[tuple(np.floor(centre).astype(int) + corner)])
    known = np.isfinite(moved)
    # the cardinal cubic spline is at most 0.037 high beyond two pixels, 0.14 beyond one
    np.testing.assert_allclose(moved[known], whole[known], atol=0.04 * np.ptp(image))


def test_a_missing_line_is_not_smeared_over_the_picture():
    image = smooth()
    image[10] = np.nan
    moved = shifted(image, (0.4, 0.4))
    assert np.isfinite(moved[14:, 1:]).all()
    assert np.isnan(moved[10:12]).all()


@pytest.mark.parametrize("shape", [(60, 72), (33, 40), (1, 50), (96, 512)])
def test_the_peak_is_that_of_scikit_image(rng, shape):
    pattern = ndimage.gaussian_filter(rng.normal(size=shape), 1.5).astype(np.float32)
    moved = np.roll(pattern, (3 % shape[0], -7), axis=(0, 1)) + pattern / 4
    spectra = fftn(moved), fftn(pattern)
    expected, error, _ = phase_cross_correlation(
        *spectra, space="fourier", normalization=None, upsample_factor=UPSAMPLING
    )
    shift, alike = _peak(*spectra)
    np.testing.assert_allclose(shift, expected, atol=1e-5)
    np.testing.assert_allclose(alike, np.sqrt(1 - error**2), atol=1e-5)


def test_results_of_threads_come_in_the_order_of_their_items():
    assert in_threads(lambda n: n * n, range(50)) == [n * n for n in range(50)]
