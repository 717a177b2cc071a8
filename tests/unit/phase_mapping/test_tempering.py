import numpy as np

from stxm_live.phase_mapping.mixed_references import TypicalPixel
from stxm_live.phase_mapping.tempering import (
    LEAST,
    share_alike,
    share_of_borders,
    tempered,
    trust,
    trust_in,
)
from stxm_live.phase_mapping.weighted_products import Baseline


def test_an_ordinary_scan_is_trusted_as_it_is():
    probability = np.array([[0.9, 0.5], [0.1, 0.5]], dtype=np.float32)
    assert trust(0.2, 0.0) == 1.0
    assert tempered(probability, 1.0) is probability


def test_mixtures_and_missing_references_lower_the_trust_and_keep_the_labels():
    assert trust(0.6, 0.0) < trust(0.4, 0.0) < 1
    assert trust(0.2, 0.3) < 1
    assert trust(1.0, 1.0) == LEAST
    probability = np.array([[0.9, 0.4], [0.1, 0.6]], dtype=np.float32)
    less_sure = tempered(probability, 0.5)
    np.testing.assert_allclose(less_sure.sum(axis=0), 1, rtol=1e-6)
    np.testing.assert_allclose(less_sure[0, 0] / less_sure[1, 0], 3, rtol=1e-5)
    np.testing.assert_array_equal(less_sure.argmax(axis=0), probability.argmax(axis=0))


SPECTRA = np.array(
    [[0.0, 1.0, 0.0, 0.2, 0.0], [0.0, 0.0, 1.0, 0.1, 0.3], [0.0, 0.5, 0.5, 0.15, 0.15]]
)


def typical(variance):
    return TypicalPixel(SPECTRA, np.full(SPECTRA.shape, variance), 1.0, Baseline.none(5))


def test_a_phase_that_others_mix_to_counts_as_alike_and_one_far_from_them_does_not():
    mixture, far = np.full(100, 2, dtype=np.int8), np.zeros(100, dtype=np.int8)
    assert share_alike(mixture, typical(1e-4)) == 1
    assert share_alike(far, typical(1e-4)) == 0
    assert 0 < share_alike(far, typical(1.0)) < 1


def test_borders_are_neighbors_of_different_labels():
    field = np.ones((20, 20), dtype=bool)
    halves = np.repeat(np.array([0, 1], dtype=np.int8), 200)
    chess = (np.indices((20, 20)).sum(axis=0) % 2).ravel().astype(np.int8)
    assert share_of_borders(np.zeros(400, dtype=np.int8), field) == 0
    assert 0.02 < share_of_borders(halves, field) < 0.1
    assert share_of_borders(chess, field) > 0.5
    assert share_of_borders(np.zeros(0, dtype=np.int8), np.zeros((2, 2), dtype=bool)) == 0


def test_fine_domains_are_trusted_less_though_no_spectrum_is_mixed():
    field = np.ones((40, 40), dtype=bool)
    wide = (np.indices((40, 40))[0] // 20).ravel().astype(np.int8)
    fine = (np.indices((40, 40))[0] // 2).ravel().astype(np.int8) % 2

    def power(label):
        return trust_in(label, field, None, mixed_share=0.2, unidentified_share=0.0)

    assert power(wide) == 1
    assert power(fine) < 0.9


def test_noise_between_phases_that_share_a_label_is_no_fine_domains():
    field = np.ones((40, 40), dtype=bool)
    label = np.random.default_rng(0).integers(1, 3, 1600).astype(np.int8)

    def power(shown):
        return trust_in(label, field, None, mixed_share=0.2, unidentified_share=0.0, shown=shown)

    assert power(np.array([0, 1, 1], dtype=np.int8)) == 1
    assert power(np.array([0, 1, 2], dtype=np.int8)) < 0.8


def test_a_core_and_shell_of_clear_phases_is_trusted_more_than_labels_of_mixtures():
    field, ring = np.ones((20, 20), dtype=bool), np.zeros((20, 20), dtype=np.int8)
    ring[5:15, 5:15] = 1

    def power(label, mixed_share=0.6):
        pixel, share = typical(1e-4), {"mixed_share": mixed_share, "unidentified_share": 0.0}
        return trust_in(label.ravel(), field, pixel, **share)

    assert power(ring) > 0.75
    assert power(np.full_like(ring, 2)) < 0.3
    assert power(np.full_like(ring, 2), mixed_share=0.2) == 1
