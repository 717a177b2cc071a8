import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stxm_live.phase_mapping.correlation import BestTwo, ambiguous, best_two, pearson, reliability

REFERENCES = np.array([[0.1, 0.9, 0.3, 0.2], [0.1, 0.4, 1.0, 0.2], [0.3, 0.3, 0.2, 0.1]])

seeds = st.integers(0, 10**6)


def some_spectra(seed, n_energies=13, n_spectra=40, n_phases=5):
    rng = np.random.default_rng(seed)
    references = rng.random((n_phases, n_energies))
    spectra = rng.random((n_energies, n_spectra)).astype(np.float32)
    return spectra, references


@settings(max_examples=30)
@given(seed=seeds, n_energies=st.integers(2, 130), n_phases=st.integers(2, 6))
def test_coefficients_are_those_of_numpy(seed, n_energies, n_phases):
    spectra, references = some_spectra(seed, n_energies, n_phases=n_phases)
    expected = np.corrcoef(references, spectra.T.astype(np.float64))[:n_phases, n_phases:]
    found = pearson(spectra, references)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)


@settings(max_examples=30)
@given(seed=seeds, scale=st.floats(0.01, 100), offset=st.floats(-10, 10))
def test_thickness_and_a_constant_background_change_no_coefficient(seed, scale, offset):
    spectra, references = some_spectra(seed)
    spectra = spectra.astype(np.float64)
    expected = pearson(spectra, references)
    np.testing.assert_allclose(pearson(scale * spectra + offset, references), expected, atol=2e-6)
    np.testing.assert_allclose(pearson(spectra, scale * references + offset), expected, atol=2e-6)
    np.testing.assert_allclose(pearson(-scale * spectra, references), -expected, atol=2e-6)


@settings(max_examples=30)
@given(seed=seeds)
def test_the_order_of_energies_does_not_matter(seed):
    spectra, references = some_spectra(seed)
    order = np.random.default_rng(seed).permutation(13)
    np.testing.assert_allclose(
        pearson(spectra[order], references[:, order]), pearson(spectra, references), atol=1e-6
    )


def test_a_spectrum_has_the_same_coefficients_wherever_it_stands_in_a_large_map():
    spectra, references = some_spectra(1, n_spectra=40_000)
    whole = pearson(spectra, references)
    np.testing.assert_allclose(
        pearson(spectra[:, 16_380:16_390], references), whole[:, 16_380:16_390], atol=1e-6
    )


def test_coefficients_never_leave_their_range():
    t = np.geomspace(1e-3, 1e3, 500).astype(np.float32)
    spectra = (REFERENCES[0][:, None] * t).astype(np.float32)
    q = pearson(spectra, REFERENCES[[0, 1]])
    assert np.abs(q).max() <= 1
    np.testing.assert_allclose(q[0], 1, atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, 0.3, 1.0, 2.7, -5.3, 1e6])
def test_a_constant_spectrum_is_invalid_not_ambiguous(value):
    spectra = np.full((13, 3), value, dtype=np.float32)
    spectra[:, 1] = np.arange(13)
    references = some_spectra(0)[1]
    q = pearson(spectra, references)
    assert np.isnan(q[:, [0, 2]]).all()
    assert np.isfinite(q[:, 1]).all()
    best = best_two(q)
    assert best.first_index[[0, 2]].tolist() == [-1, -1]
    assert best.second_index[[0, 2]].tolist() == [-1, -1]
    assert not ambiguous(best, 2.0)[[0, 2]].any()
    assert ambiguous(best, 2.0)[1]
    assert np.isnan(reliability(best)[[0, 2]]).all()


@pytest.mark.parametrize("value", [0.1, 1.0, -5.3, 1e6])
def test_rounding_in_float32_makes_no_spectrum_of_a_constant(value):
    spectra = np.full((13, 1), value, dtype=np.float32)
    spectra[::3] = np.nextafter(spectra[::3], np.float32(np.inf))
    assert np.ptp(spectra) > 0
    assert np.isnan(pearson(spectra, some_spectra(0)[1])).all()


def test_a_spectrum_is_compared_on_the_energies_that_it_has():
    spectra, references = some_spectra(0)
    expected = pearson(spectra, references)
    spectra[[0, 3], 7] = np.nan
    spectra[1:, 9] = np.nan
    q = pearson(spectra, references)
    kept = np.isfinite(spectra[:, 7])
    alone = pearson(spectra[kept][:, [7]], references[:, kept])
    np.testing.assert_allclose(q[:, [7]], alone, atol=1e-6)
    assert np.isnan(q[:, 9]).all()  # one energy says nothing
    np.testing.assert_array_equal(np.delete(q, [7, 9], axis=1), np.delete(expected, [7, 9], axis=1))


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_a_spectrum_with_a_value_that_is_no_number_is_invalid_alone(value):
    spectra, references = some_spectra(0)
    expected = pearson(spectra, references)
    spectra[3, 7] = value
    q = pearson(spectra, references)
    assert np.isnan(q[:, 7]).all()
    others = np.arange(40) != 7
    np.testing.assert_array_equal(q[:, others], expected[:, others])


@pytest.mark.parametrize("level", [0.0, 0.1, 0.7])
def test_a_reference_that_is_flat_on_these_energies_correlates_with_nothing(level):
    references = np.array([[level] * 3, [1.0, 2.0, 4.0], [0.3, 0.1, 0.2]])
    spectra = np.array([[1.0, 0.5], [2.0, 0.1], [3.0, 0.4]])
    q = pearson(spectra, references)
    assert q[0].tolist() == [0, 0]
    np.testing.assert_array_equal(q[1:], pearson(spectra, references[1:]))


@settings(max_examples=50)
@given(seed=seeds, n_phases=st.integers(2, 7), ties=st.booleans())
def test_the_best_two_are_those_of_a_sort(seed, n_phases, ties):
    rng = np.random.default_rng(seed)
    q = rng.uniform(-1, 1, (n_phases, 6, 4)).astype(np.float32)
    if ties:
        q = q.round(1)
    best = best_two(q)
    order = np.argsort(-q, axis=0, kind="stable")
    in_order = np.take_along_axis(q, order, axis=0)
    assert np.array_equal(best.first_index, order[0])
    assert np.array_equal(best.second_index, order[1])
    assert np.array_equal(best.first, in_order[0])
    assert np.array_equal(best.second, in_order[1])


def test_the_reliability_is_a_hundred_times_the_lead_of_the_best():
    q = np.array([[0.9, -0.2], [0.85, -0.5], [0.1, -0.9]], dtype=np.float32)
    np.testing.assert_allclose(reliability(best_two(q)), [5, 30], rtol=1e-5)


def test_a_lead_of_exactly_the_threshold_is_not_ambiguous():
    threshold = np.float32(0.005)
    leads = np.array([0, np.nextafter(threshold, np.float32(0)), threshold, 0.0051, np.nan])
    index = np.zeros(5, dtype=np.int8)
    best = BestTwo(leads.astype(np.float32), np.zeros(5, dtype=np.float32), index, index)
    assert ambiguous(best, 0.005).tolist() == [True, True, False, False, False]
    assert not ambiguous(best, 0.0).any()


@pytest.mark.parametrize(
    ("n_spectrum", "n_reference", "problem"),
    [
        (12, 13, "references have 13 energies, the OD cube has 12"),
        (1, 1, "at least two energies"),
    ],
)
def test_energies_that_do_not_match_or_are_too_few_are_refused(n_spectrum, n_reference, problem):
    with pytest.raises(ValueError, match=problem):
        pearson(np.ones((n_spectrum, 4)), np.ones((2, n_reference)))
