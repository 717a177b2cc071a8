import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stxm_live.resolver import Clusters, mahalanobis_resolve, squared_mahalanobis


def some_clusters(n_phases=5, seed=0):
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(n_phases, 3, 3))
    covariance = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(3)
    return Clusters(3 * rng.normal(size=(n_phases, 3)), covariance, np.full(n_phases, 1000))


def some_spectra(n, n_phases=5, seed=1):
    rng = np.random.default_rng(seed)
    latent = 3 * rng.normal(size=(n, 3)).astype(np.float32)
    first = rng.integers(0, n_phases, n)
    second = (first + rng.integers(1, n_phases, n)) % n_phases
    return latent, first.astype(np.int8), np.stack([first, second]).astype(np.int8)


def test_the_distance_is_the_quadratic_form_with_the_inverse_covariance():
    clusters = some_clusters()
    latent, _, _ = some_spectra(50)
    offset = latent[None].astype(float) - clusters.mean[:, None]
    expected = np.einsum("kni,kij,knj->kn", offset, np.linalg.inv(clusters.covariance), offset)
    np.testing.assert_allclose(squared_mahalanobis(latent, clusters), expected, rtol=1e-9)


def test_a_long_cluster_reaches_further_than_a_near_round_one():
    covariance = np.stack([np.diag([100.0, 1.0, 1.0]), np.eye(3)])
    clusters = Clusters(np.array([[0.0, 0, 0], [10.0, 0, 0]]), covariance, np.array([99, 99]))
    latent = np.array([[7.0, 0, 0]])
    pair = np.array([[1], [0]])
    resolved = mahalanobis_resolve(latent, np.array([1]), np.array([True]), pair, clusters)
    assert resolved.tolist() == [0]


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), candidates=st.sampled_from(["pair", "all"]))
def test_the_rule_equals_a_loop_over_pixels(seed, candidates):
    clusters = some_clusters(seed=seed)
    latent, phase, pair = some_spectra(40, seed=seed + 1)
    ambiguous = np.random.default_rng(seed).random(40) < 0.5
    expected = []
    for i in range(40):
        choice = phase[i]
        if ambiguous[i]:
            among = pair[:, i] if candidates == "pair" else range(5)
            distances = {}
            for k in among:
                offset = latent[i] - clusters.mean[k]
                distances[k] = offset @ np.linalg.solve(clusters.covariance[k], offset)
            choice = min(distances, key=distances.get)
        expected.append(choice)
    resolved = mahalanobis_resolve(latent, phase, ambiguous, pair, clusters, candidates)
    assert resolved.dtype == np.int8
    assert resolved.tolist() == expected


@pytest.mark.parametrize("candidates", ["pair", "all"])
def test_clear_pixels_and_pixels_without_data_keep_their_phase(candidates):
    latent, phase, pair = some_spectra(500)
    phase[::7] = -1
    latent[::5] = np.nan
    ambiguous = np.arange(500) % 2 == 0
    untouched = ~ambiguous | (phase < 0) | ~np.isfinite(latent).all(axis=1)
    resolved = mahalanobis_resolve(latent, phase, ambiguous, pair, some_clusters(), candidates)
    assert np.array_equal(resolved[untouched], phase[untouched])
    assert np.any(resolved != phase)


@pytest.mark.parametrize("candidates", ["pair", "all"])
def test_a_phase_with_too_few_members_is_neither_chosen_nor_left(candidates):
    full = some_clusters()
    counts = np.array([1000, 29, 1000, 0, 30])
    mean = full.mean.copy()
    mean[3] = np.nan
    clusters = Clusters(mean, full.covariance, counts)
    latent, phase, pair = some_spectra(2000)
    resolved = mahalanobis_resolve(
        latent, phase, np.ones(2000, dtype=bool), pair, clusters, candidates
    )
    small = np.isin(phase, [1, 3])
    assert np.array_equal(resolved[small], phase[small])
    assert set(resolved[~small].tolist()) == {0, 2, 4}


def test_without_any_spectrum_there_is_nothing_to_resolve():
    nothing = np.zeros(0, dtype=np.int8)
    resolved = mahalanobis_resolve(
        np.zeros((0, 3)), nothing, nothing.astype(bool), np.zeros((2, 0), int), some_clusters()
    )
    assert resolved.shape == (0,)


def test_covariances_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"means of shape \(2, 3\) need covariances"):
        Clusters(np.zeros((2, 3)), np.zeros((2, 2, 2)), np.zeros(2, dtype=int))
