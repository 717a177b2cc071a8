"""Means of planted substances: their errors, thickness aside, and whether there is one or two."""

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from stxm_live.core import file_arrays
from stxm_live.core.unidentified_spectrum import unidentified_spectrum

SHAPE = (40, 44)
ONE = np.array([0.3, 0.5, 1.0, 0.6, 0.7])
OTHER = np.array([0.3, 0.9, 0.4, 0.6, 0.7])


@pytest.fixture
def thickness(rng):
    return rng.uniform(0.5, 1.5, SHAPE)


def noise_of(rng, std, smooth_px=1):
    white = rng.normal(0, std, (5, *SHAPE))
    return np.stack([uniform_filter(each, smooth_px, mode="wrap") for each in white])


def mean_of(od, mask=None, **options):
    mask = np.ones(SHAPE, dtype=bool) if mask is None else mask
    given = {"noise_variance": None, "common_std": 0.0}
    return unidentified_spectrum(od, mask, int(np.prod(SHAPE)), **given | options)


def test_thickness_is_no_scatter(rng, thickness):
    found = mean_of(ONE[:, None, None] * thickness + noise_of(rng, 0.03))
    np.testing.assert_allclose(found.od, ONE * thickness.mean(), atol=0.005)
    np.testing.assert_allclose(found.od_scatter, 0.03, rtol=0.2)


@pytest.mark.parametrize("other", [OTHER, np.full(5, 0.6)], ids=["another edge", "no edge at all"])
def test_the_band_shows_that_there_are_two_substances(rng, thickness, other):
    pixel = np.where(np.arange(SHAPE[1]) < 20, ONE[:, None], other[:, None])
    found = mean_of(pixel[:, None, :] * thickness + noise_of(rng, 0.03))
    assert found.od_scatter[2] > 0.15
    assert found.od_std[2] > 5 * 0.03 / np.sqrt(np.prod(SHAPE))


def test_the_standard_error_allows_for_noise_that_neighbors_share(rng, thickness):
    errors, stated = [], []
    for _ in range(150):
        found = mean_of(ONE[:, None, None] * thickness + noise_of(rng, 0.05, smooth_px=3))
        errors.append(found.od - ONE * thickness.mean())
        stated.append(found.od_std)
    assert np.std(errors) == pytest.approx(np.sqrt(np.mean(np.square(stated))), rel=0.25)


def test_the_error_of_i0_is_in_the_standard_error_and_not_in_the_scatter(rng, thickness):
    found = mean_of(ONE[:, None, None] * thickness, common_std=np.full(5, 0.02))
    np.testing.assert_allclose(found.od_std, 0.02, rtol=1e-3)
    np.testing.assert_allclose(found.od_scatter, 0, atol=1e-6)


def test_one_pixel_has_no_scatter_but_the_error_of_its_counts():
    mask = np.zeros(SHAPE, dtype=bool)
    mask[3, 5] = True
    od = np.broadcast_to(ONE[:, None, None], (5, *SHAPE))
    found = mean_of(od, mask, noise_variance=np.full((5, 1), 0.01))
    np.testing.assert_array_equal(found.od, ONE)
    np.testing.assert_allclose(found.od_std, 0.1)
    assert np.isnan(found.od_scatter).all()
    assert found.n_pixels == 1
    assert np.isnan(mean_of(od, mask).od_std).all()  # nothing shows the noise


def test_without_unidentified_pixels_there_is_no_mean():
    assert mean_of(np.ones((5, *SHAPE)), np.zeros(SHAPE, dtype=bool)) is None


def test_many_pixels_are_the_same_bits_in_bands_of_a_file(rng, thickness, tmp_path, monkeypatch):
    od = (ONE[:, None, None] * thickness + noise_of(rng, 0.03)).astype(np.float32)
    od[2, 7] = np.nan
    mask = rng.random(SHAPE) > 0.2
    options = {"mask": mask, "noise_variance": 0.01 * np.exp(od[:, mask])}
    expected = mean_of(od, **options)
    monkeypatch.setenv(file_arrays.SCRATCH, str(tmp_path))
    monkeypatch.setattr(file_arrays, "_BAND_BYTES", 2000)
    monkeypatch.setattr(file_arrays, "_PIXELS", 77)
    found = mean_of(file_arrays.to_file(od), **options)
    for name in ("od", "od_std", "od_scatter", "n_pixels"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
