import numpy as np
import pytest

from stxm_live.phase_mapping.mixtures import Hypotheses
from stxm_live.phase_mapping.phase_frequencies import Mixing
from stxm_live.phase_mapping.spatial_prior import potts_in_bands, potts_mixed


def potts(log_likelihood, mask, **options):
    """The prior for pixels of one phase each."""
    n_phases, n_spectra = log_likelihood.shape
    pairs = np.full((n_phases, n_phases, n_spectra), -np.inf, dtype=np.float32)
    pairs[np.arange(n_phases), np.arange(n_phases)] = log_likelihood
    pure = Mixing(0.0, np.zeros((n_phases, n_phases)))
    return potts_mixed(Hypotheses(pairs), mask, scan=pure, mixing=0.0, **options).probability


def softmax(log_likelihood):
    weight = np.exp(log_likelihood - log_likelihood.max(axis=0))
    return weight / weight.sum(axis=0)


def noisy(truth, n_phases, lead, rng):
    """Log-likelihoods that favour the true phase by ``lead`` deviations of their noise."""
    log_likelihood = rng.normal(size=(n_phases, truth.size))
    log_likelihood[truth.ravel(), np.arange(truth.size)] += lead
    return log_likelihood


def test_without_strength_every_pixel_stands_alone():
    log_likelihood = np.random.default_rng(0).normal(size=(4, 30))
    found = potts(log_likelihood, np.ones((5, 6), dtype=bool), strength=0.0)
    np.testing.assert_allclose(found, softmax(log_likelihood), rtol=1e-5)


def test_a_converged_field_satisfies_the_mean_field_equations():
    rng = np.random.default_rng(1)
    mask = rng.random((9, 7)) < 0.8
    log_likelihood = rng.normal(size=(3, mask.sum()))
    q = potts(log_likelihood, mask, strength=0.2, iterations=200)
    image = np.zeros((3, 11, 9))
    image[:, 1:-1, 1:-1][:, mask] = q
    around = np.zeros((3, 9, 7))
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            weight = {0: 0.0, 1: 1.0, 2: 0.7071}[abs(dy) + abs(dx)]
            around += weight * image[:, 1 + dy : 10 + dy, 1 + dx : 8 + dx]
    np.testing.assert_allclose(q, softmax(log_likelihood + 0.2 * around[:, mask]), atol=1e-5)


def test_neighbors_correct_noisy_labels_and_keep_a_rare_phase():
    truth = np.zeros((40, 50), dtype=int)
    truth[10:20, 10:20] = 1
    truth[:, 40:] = 2
    log_likelihood = noisy(truth, 3, 1.5, np.random.default_rng(2))
    alone = log_likelihood.argmax(axis=0) == truth.ravel()
    found = potts(log_likelihood, np.ones(truth.shape, dtype=bool)).argmax(axis=0)
    right = found == truth.ravel()
    assert alone.mean() < 0.85
    assert right.mean() > 0.97
    assert right[truth.ravel() == 1].mean() > 0.9


@pytest.mark.parametrize("n_phases", [2, 3, 5])
def test_noise_does_not_become_confident_domains(n_phases):
    rng = np.random.default_rng(n_phases)
    truth = np.arange(60 * 60).reshape(60, 60) // 1800 % n_phases
    log_likelihood = noisy(truth, n_phases, 0.0, rng) * 0.1
    found = potts(log_likelihood, np.ones(truth.shape, dtype=bool))
    assert found.max(axis=0).mean() < 1 / n_phases + 0.1


def test_pixels_beside_the_mask_count_for_nothing():
    rng = np.random.default_rng(3)
    mask = np.zeros((20, 20), dtype=bool)
    mask[5:9, 4:15] = True
    log_likelihood = rng.normal(size=(3, mask.sum()))
    alone = potts(log_likelihood, np.ones((4, 11), dtype=bool))
    np.testing.assert_array_equal(potts(log_likelihood, mask), alone)


def test_a_turned_image_gives_the_turned_map():
    rng = np.random.default_rng(4)
    image = rng.normal(size=(3, 12, 17))
    whole = np.ones((12, 17), dtype=bool)
    found = potts(image.reshape(3, -1), whole).reshape(3, 12, 17)
    turned = potts(image.transpose(0, 2, 1).reshape(3, -1), whole.T).reshape(3, 17, 12)
    np.testing.assert_allclose(turned.transpose(0, 2, 1), found, atol=1e-5)


def test_an_impossible_phase_stays_impossible():
    log_likelihood = np.zeros((3, 16))
    log_likelihood[2] = -np.inf
    found = potts(log_likelihood, np.ones((4, 4), dtype=bool))
    np.testing.assert_allclose(found[:2], 0.5)
    assert not found[2].any()


@pytest.mark.parametrize("n_phases", [1, 3])
def test_an_empty_mask_gives_an_empty_map(n_phases):
    found = potts(np.zeros((n_phases, 0)), np.zeros((4, 5), dtype=bool))
    assert found.shape == (n_phases, 0)


def test_a_spectrum_that_no_phase_explains_is_told_of_all_alike():
    log_likelihood = np.full((3, 4), -np.inf)
    found = potts(log_likelihood, np.ones((2, 2), dtype=bool))
    np.testing.assert_allclose(found, 1 / 3, rtol=1e-6)


def test_likelihoods_are_made_once_for_each_spectrum(monkeypatch):
    monkeypatch.setattr("stxm_live.phase_mapping.spatial_prior._ROWS", 4)
    mask = np.random.default_rng(5).random((30, 6)) < 0.8
    asked = []

    def hypotheses_of(some):
        asked.extend(range(mask.sum())[some])
        return Hypotheses(np.zeros((2, 2, some.stop - some.start), dtype=np.float32))

    potts_in_bands(hypotheses_of, mask, scan=Mixing(0.0, np.zeros((2, 2))), strength=0.5)
    assert asked == list(range(mask.sum()))
