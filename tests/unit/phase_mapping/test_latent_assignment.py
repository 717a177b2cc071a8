import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stxm_live.phase_mapping.latent_space.assignment import (
    NEIGHBORS,
    STRATEGIES,
    contradicted,
    distance_by,
    mahalanobis_resolve,
    resolve,
    squared_euclidean,
    squared_mahalanobis,
    votes_against,
)
from stxm_live.phase_mapping.latent_space.clusters import (
    MOST_MEMBERS,
    Clusters,
    Landmarks,
    Members,
    fit_clusters,
    shrunk_covariance,
    thinned_members,
)


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


@settings(max_examples=30)
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


def some_landmarks(seed=0, n_members=500):
    rng = np.random.default_rng(seed)
    members = Members(
        3 * rng.normal(size=(n_members, 3)).astype(np.float32),
        rng.integers(0, 5, n_members).astype(np.int8),
    )
    return Landmarks(some_clusters(seed=seed), 3 * rng.normal(size=(5, 3)), members)


@pytest.mark.parametrize("candidates", ["pair", "all"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_leaves_clear_pixels_alone_and_chooses_among_its_candidates(
    strategy, candidates
):
    latent, phase, pair = some_spectra(800)
    ambiguous = np.arange(800) % 2 == 0
    distance = distance_by(strategy, some_landmarks())
    resolved = resolve(latent, phase, ambiguous, pair, distance, candidates)
    assert np.array_equal(resolved[~ambiguous], phase[~ambiguous])
    assert np.any(resolved != phase)
    if candidates == "pair":
        assert ((resolved == pair[0]) | (resolved == pair[1])).all()
    else:
        nearest = distance(latent[ambiguous]).argmin(axis=0)
        assert np.array_equal(resolved[ambiguous], nearest)


def test_the_euclidean_distance_is_that_of_scipy():
    from scipy.spatial.distance import cdist

    latent, _, _ = some_spectra(50)
    landmarks = some_landmarks()
    for strategy, points in (
        ("euclidean", landmarks.references),
        ("centroid", landmarks.clusters.mean),
    ):
        expected = cdist(points, latent.astype(float), "sqeuclidean")
        np.testing.assert_allclose(distance_by(strategy, landmarks)(latent), expected, rtol=1e-9)


def test_a_phase_without_a_point_is_infinitely_far():
    points = np.array([[0.0, 0], [np.nan, np.nan]])
    assert squared_euclidean(np.ones((1, 2)), points).tolist() == [[2.0], [np.inf]]


def test_the_votes_are_those_of_scikit_learn():
    from sklearn.neighbors import KNeighborsClassifier

    members = some_landmarks(n_members=2000).members
    latent, _, _ = some_spectra(300)
    peer = KNeighborsClassifier(NEIGHBORS).fit(members.latent, members.phase_index)
    votes = NEIGHBORS * peer.predict_proba(latent).T
    against = votes_against(latent, members, 5)
    np.testing.assert_allclose(np.ceil(NEIGHBORS - against), votes, atol=1e-6)


def test_equal_votes_go_to_the_nearest_voter():
    members = Members(np.array([[0.0], [3.0]], np.float32), np.array([0, 1], np.int8))
    against = votes_against(np.array([[1.0], [2.0]]), members, 3)
    assert against.argmin(axis=0).tolist() == [0, 1]
    assert np.isinf(against[2]).all()


def test_without_labelled_points_every_pixel_keeps_its_phase():
    latent, phase, pair = some_spectra(20)
    landmarks = some_landmarks(n_members=0)
    every = np.ones(20, dtype=bool)
    resolved = resolve(latent, phase, every, pair, distance_by("knn", landmarks), "all")
    assert np.array_equal(resolved, phase)


def test_covariances_are_shrunk_as_by_scikit_learn():
    from sklearn.covariance import ledoit_wolf

    rng = np.random.default_rng(3)
    for n in (2, 7, 400):
        points = rng.normal(size=(n, 3)) @ np.array([[2.0, 0, 0], [0.5, 1, 0], [0, 0.2, 0.1]]) + 5
        np.testing.assert_allclose(shrunk_covariance(points), ledoit_wolf(points)[0], rtol=1e-9)


def test_clusters_of_a_scan_are_those_of_its_clear_pixels_with_a_phase():
    latent, phase, _ = some_spectra(900)
    clear = np.arange(900) % 3 > 0
    phase[:200] = -1
    latent[300:310] = np.nan
    counted = clear & (phase >= 0) & np.isfinite(latent[:, 0])
    clusters = fit_clusters(latent, phase, clear, 5)
    assert clusters.counts.tolist() == np.bincount(phase[counted], minlength=5).tolist()
    np.testing.assert_allclose(
        clusters.mean[2], latent[counted & (phase == 2)].mean(axis=0), rtol=1e-5
    )


def test_a_common_phase_keeps_no_more_members_than_allowed():
    n = 3 * MOST_MEMBERS
    latent = np.arange(3.0 * n).reshape(n, 3)
    phase = np.where(np.arange(n) < 50, 1, 0)
    members = thinned_members(latent, phase, np.ones(n, dtype=bool))
    assert np.bincount(members.phase_index).tolist() == [MOST_MEMBERS, 50]
    own = np.searchsorted(latent[:, 0], members.latent[:, 0])
    assert np.array_equal(phase[own], members.phase_index)


def test_members_without_a_phase_each_are_refused():
    with pytest.raises(ValueError, match=r"\(4, 3\) coordinates need as many phases, got \(3,\)"):
        Members(np.zeros((4, 3), np.float32), np.zeros(3, np.int8))


def test_a_clear_pixel_in_the_middle_of_another_phase_is_contradicted():
    clusters = Clusters(np.array([[0.0], [10.0]]), np.ones((2, 1, 1)), np.array([99, 99]))
    landmarks = Landmarks(clusters, clusters.mean, Members(np.zeros((0, 1)), np.zeros(0, np.int8)))
    latent = np.array([[9.0], [9.0], [5.05], [np.nan], [0.0]])
    phase = np.array([0, 0, 0, 0, -1])
    clear = np.array([True, False, True, True, True])
    found = contradicted(latent, phase, clear, distance_by("mahalanobis", landmarks), margin=2.0)
    # squared distances 81 and 1; 25.5 and 24.5
    assert found.tolist() == [1, -1, -1, -1, -1]
    found = contradicted(latent, phase, clear, distance_by("mahalanobis", landmarks), margin=0.5)
    assert found.tolist() == [1, -1, 1, -1, -1]
