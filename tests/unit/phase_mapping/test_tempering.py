import numpy as np

from stxm_live.phase_mapping.tempering import LEAST, tempered, trust


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
