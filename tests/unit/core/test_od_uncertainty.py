import numpy as np

from stxm_live.core.od_uncertainty import smoothing, spline_weights
from stxm_live.preprocessing.alignment.spline_shift import shifted


def test_the_closed_form_is_the_squared_response_to_a_single_pixel():
    shifts = np.random.default_rng(0).normal(scale=3, size=(40, 2))
    impulse = np.zeros((33, 33), dtype=np.float32)
    impulse[16, 16] = 1
    responses = [shifted(impulse, (y % 1, x % 1)) for y, x in shifts]
    expected = [np.nansum(np.square(response)) for response in responses]
    np.testing.assert_allclose(smoothing(shifts), expected, rtol=1e-6)


def test_whole_pixels_smooth_nothing():
    assert smoothing(np.array([[0.0, 0.0], [3.0, -5.0]])).tolist() == [1.0, 1.0]


def test_the_weights_of_the_spline_add_up_to_one():
    weights = spline_weights(np.linspace(0, 0.99, 12).reshape(3, 4))
    assert weights.shape == (3, 4, 5)
    np.testing.assert_allclose(weights.sum(axis=-1), 1)
