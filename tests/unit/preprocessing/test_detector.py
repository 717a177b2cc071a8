import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stxm_live.core.region import box_mask
from stxm_live.preprocessing.detector import Unusable, corrected_counts, usable_intensity
from stxm_live.preprocessing.i0 import mean_over
from stxm_live.preprocessing.normalization import optical_density

counts = arrays(np.float32, (3, 4, 5), elements=st.floats(0.5, 1e6, width=32))


@settings(max_examples=50)
@given(intensity=counts)
def test_where_the_beam_passes_unweakened_the_optical_density_is_zero(intensity):
    od = optical_density(intensity, intensity.astype(np.float64))
    np.testing.assert_allclose(od, 0, atol=3e-6)


@settings(max_examples=50)
@given(intensity=counts, i0=st.floats(1, 1e7))
def test_the_incident_intensity_times_exp_of_minus_od_is_the_intensity(intensity, i0):
    od = optical_density(intensity, i0)
    assert od.dtype == np.float32
    np.testing.assert_allclose(i0 * np.exp(-od.astype(np.float64)), intensity, rtol=1e-5)


def test_every_image_has_its_own_incident_intensity():
    intensity = np.full((3, 2, 4), 50.0, dtype=np.float32)
    i0 = np.array([50.0, 100.0, 400.0])
    od = optical_density(intensity, i0[:, None, None])
    np.testing.assert_allclose(od[:, 1, 3], np.log(i0 / 50), rtol=1e-6)


def test_unusable_counts_become_nan_and_are_counted_by_cause():
    nan, inf = np.nan, np.inf
    image = np.array([[1, 0, -2, 65535], [nan, inf, 65534, -inf], [70000, 3, nan, 2]])
    before = image.copy()
    intensity, unusable = usable_intensity(image, saturation_counts=65535)
    assert unusable == Unusable(missing=4, not_positive=2, saturated=2)
    assert unusable.total == np.isnan(intensity).sum() == 8
    assert str(unusable) == "4 missing, 2 zero or negative, 2 saturated"
    assert intensity[np.isfinite(intensity)].tolist() == [1, 65534, 3, 2]
    np.testing.assert_array_equal(image, before)


def test_without_a_limit_no_count_is_saturated():
    intensity, unusable = usable_intensity(np.array([[1.0, 1e9]]))
    assert unusable.total == 0
    assert str(unusable) == ""
    assert intensity.tolist() == [[1, 1e9]]


def test_a_dead_image_is_all_unusable_and_no_warning():
    intensity, unusable = usable_intensity(np.zeros((4, 3)))
    assert unusable.not_positive == 12
    assert np.isnan(optical_density(intensity, 100.0)).all()


def test_an_image_that_was_announced_and_hardly_begun_takes_no_memory():
    nothing = np.broadcast_to(np.float32(np.nan), (8192, 512))
    intensity, unusable = usable_intensity(nothing)
    assert intensity.strides == (0, 0)
    assert unusable == Unusable(missing=8192 * 512)


def test_incident_intensity_is_the_mean_of_counts_not_of_their_logarithms():
    rng = np.random.default_rng(3)
    intensity = rng.poisson(4.0, (2, 60, 80)).astype(np.float32) + 1
    mask = np.zeros((60, 80), dtype=bool)
    mask[:30] = True
    found = mean_over(intensity, mask)
    np.testing.assert_allclose(found, intensity[:, :30].mean(axis=(1, 2), dtype=float), rtol=1e-12)
    assert np.all(found > 1.02 * np.exp(np.log(intensity[:, :30]).mean(axis=(1, 2))))


def test_missing_pixels_are_left_out_of_the_mean_of_their_image_only():
    intensity = np.full((2, 3, 4), 10.0, dtype=np.float32)
    intensity[0, 0, :3] = [np.nan, 40, 1000]
    mask = np.zeros((3, 4), dtype=bool)
    mask[0, :2] = mask[1, 0] = True
    assert mean_over(intensity, mask).tolist() == [25, 10]


@pytest.mark.parametrize("where", ["no pixel", "one dead image"])
def test_no_usable_pixel_for_the_incident_intensity_is_an_error(where):
    intensity = np.ones((2, 3, 4), dtype=np.float32)
    mask = np.zeros((3, 4), dtype=bool)
    if where == "one dead image":
        mask[0] = True
        intensity[1, 0] = np.nan
    with pytest.raises(ValueError, match="region for I0 has no usable pixel"):
        mean_over(intensity, mask)


def test_a_box_picks_rows_by_y_and_columns_by_x():
    mask = box_mask((2.5, 5, 0.5, 2), (0, 6, 0, 3), (4, 7))
    assert np.argwhere(mask).tolist() == [[1, 3], [1, 4], [1, 5], [2, 3], [2, 4], [2, 5]]


def test_a_pixel_whose_centre_lies_on_an_edge_of_the_box_is_inside():
    assert np.argwhere(box_mask((1, 2, 3, 3), (0, 6, 0, 3), (4, 7))).tolist() == [[3, 1], [3, 2]]
    assert np.argwhere(box_mask((6, 6, 0, 1), (6, 0, 3, 0), (4, 7))).tolist() == [[2, 0], [3, 0]]


end = st.integers(-40, 40)


@given(
    extent=st.tuples(end, end, end, end),
    box=st.tuples(end, end, end, end),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    flips=st.tuples(st.booleans(), st.booleans()),
)
def test_a_box_holds_the_same_places_whichever_way_axes_and_corners_run(extent, box, shape, flips):
    # quarters are exact in binary, so that no pixel sits on a rounded edge
    x0, x1, y0, y1 = (v + 0.25 for v in extent)
    rows, columns = (
        slice(None, None, -1 if flips[0] else 1),
        slice(None, None, -1 if flips[1] else 1),
    )
    x, y = np.linspace(x0, x1, shape[1]), np.linspace(y0, y1, shape[0])
    inside = [
        [min(box[:2]) <= xk <= max(box[:2]) and min(box[2:]) <= yk <= max(box[2:]) for xk in x]
        for yk in y
    ]
    if shape[0] == 1:
        y1 = y0
    if shape[1] == 1:
        x1 = x0
    turned = (*((x1, x0) if flips[1] else (x0, x1)), *((y1, y0) if flips[0] else (y0, y1)))
    if np.any(inside):
        assert np.array_equal(box_mask(box, turned, shape)[rows, columns], inside)
        assert np.array_equal(
            box_mask((box[1], box[0], box[3], box[2]), turned, shape)[rows, columns], inside
        )
    else:
        with pytest.raises(ValueError, match="is outside the image"):
            box_mask(box, turned, shape)


def test_a_box_outside_of_the_image_is_refused_with_both_ranges():
    with pytest.raises(
        ValueError, match=r"x 8 to 9, y 0 to 1 um is outside the image \(x 6 to 0, y 0 to 3 um\)"
    ):
        box_mask((9, 8, 0, 1), (6, 0, 0, 3), (4, 7))


def test_dead_time_is_corrected_as_for_a_counter_that_is_not_paralysed():
    true_rate_hz, dead_ns, dwell_ms = 8e6, 25.0, 2.0
    seen = true_rate_hz / (1 + true_rate_hz * dead_ns * 1e-9) * dwell_ms * 1e-3
    corrected = corrected_counts(np.array([[seen]]), dead_time_ns=dead_ns, dwell_ms=dwell_ms)
    assert corrected[0, 0] == pytest.approx(true_rate_hz * dwell_ms * 1e-3, rel=1e-5)


def test_a_counter_that_was_dead_all_the_time_has_no_count():
    corrected = corrected_counts(np.array([[1e5, 10.0]]), dead_time_ns=25, dwell_ms=2)
    assert np.isnan(corrected[0, 0])
    assert np.isfinite(corrected[0, 1])


def test_dark_counts_are_taken_away_after_the_dead_time():
    corrected = corrected_counts(np.array([[5000.0]]), dark_counts=40, dead_time_ns=20, dwell_ms=1)
    assert corrected[0, 0] == pytest.approx(5000 / 0.9 - 40, rel=1e-6)


def test_a_dead_time_needs_the_dwell():
    with pytest.raises(ValueError, match="needs the scan's dwell_ms"):
        corrected_counts(np.ones((2, 2)), dead_time_ns=20)
