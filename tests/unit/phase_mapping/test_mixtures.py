import numpy as np
import pytest
from scipy.stats import kstest

from stxm_live.phase_mapping.counted_spectra import CountedSpectra
from stxm_live.phase_mapping.likelihood import fit_references
from stxm_live.phase_mapping.mixtures import Hypotheses, fit_mixtures
from stxm_live.phase_mapping.phase_frequencies import Mixing, by_frequencies, mixing_of
from stxm_live.phase_mapping.probabilities import phase_probabilities
from stxm_live.phase_mapping.spatial_prior import potts_mixed
from stxm_live.phase_mapping.spectrum_noise import SpectrumNoise
from stxm_live.phase_mapping.unidentified import unidentified
from stxm_live.phase_mapping.weighted_products import Baseline

REFERENCES = np.array(
    [
        [0.2, 0.9, 0.3, 0.2, 0.3, 0.2, 0.4],
        [0.2, 0.2, 0.9, 0.3, 0.2, 0.3, 0.4],
        [0.2, 0.3, 0.2, 0.2, 0.9, 0.6, 0.4],
    ]
)


def measured(fractions, photons, rng, thickness=1.0):
    """Optical densities (n_energies, n_spectra) and counts of pixels with these fractions."""
    counts = rng.poisson(photons * np.exp(-thickness * REFERENCES.T @ fractions)).clip(1)
    return np.log(photons / counts), counts.astype(float)


def one_hot(labels):
    return (labels.ravel() == np.arange(len(REFERENCES))[:, None]).astype(float)


def test_a_pure_spectrum_is_its_phase_and_not_mixed():
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=2000)
    od, counts = measured(one_hot(labels), 1000, rng)
    found = by_frequencies(fit_mixtures(od, counts, REFERENCES, dispersion=1.0).hypotheses)
    assert (found.probability.argmax(axis=0) == labels).mean() > 0.99
    assert found.mixed.mean() < 0.1
    np.testing.assert_allclose(found.probability.sum(axis=0), 1, rtol=1e-5)


def test_a_mixture_is_told_with_its_larger_share_first():
    rng = np.random.default_rng(1)
    fractions = np.repeat([[0.3], [0.0], [0.7]], 500, axis=1)
    od, counts = measured(fractions, 3000, rng)
    log_likelihood = fit_mixtures(od, counts, REFERENCES, dispersion=1.0).hypotheses.log_likelihood
    best = log_likelihood.reshape(9, -1).argmax(axis=0)
    assert (best == 2 * 3 + 0).mean() > 0.95


def test_pure_hypotheses_agree_with_the_fit_of_each_reference_alone():
    rng = np.random.default_rng(2)
    od, counts = measured(one_hot(rng.integers(3, size=300)), 300, rng, thickness=0.5)
    fit = fit_references(od, counts, REFERENCES)
    mixed = fit_mixtures(od, counts, REFERENCES, dispersion=fit.dispersion).hypotheses
    pure = np.einsum("kkn->kn", mixed.log_likelihood)
    np.testing.assert_allclose(
        pure - pure[0], fit.log_likelihood - fit.log_likelihood[0], atol=2e-3
    )


def test_the_misfit_of_a_known_phase_follows_chi_squared():
    rng = np.random.default_rng(3)
    od, counts = measured(one_hot(np.zeros(4000, dtype=int)), 5000, rng)
    fit = fit_mixtures(od, counts, REFERENCES, dispersion=1.0)
    # the best of several hypotheses fits a little better than the true one
    assert kstest(fit.misfit, "chi2", args=(fit.degrees,)).statistic < 0.2
    assert fit.degrees - 1.2 < fit.misfit.mean() < fit.degrees
    assert unidentified(fit, np.ones((1, 4000), dtype=bool)).mean() < 0.005


def test_a_phase_without_reference_misfits():
    rng = np.random.default_rng(4)
    counts = rng.poisson(3000 * np.exp(-REFERENCES[0, ::-1, None]), size=(7, 500)).astype(float)
    fit = fit_mixtures(np.log(3000 / counts), counts, REFERENCES, dispersion=1.0)
    assert unidentified(fit, np.ones((1, 500), dtype=bool)).mean() > 0.95


def test_a_constant_changes_nothing_with_a_baseline():
    rng = np.random.default_rng(5)
    od, counts = measured(one_hot(rng.integers(3, size=200)), 1000, rng)
    found = [
        fit_mixtures(
            values, counts, REFERENCES, dispersion=1.0, baseline=Baseline.constant(len(values))
        ).misfit
        for values in (od, od + 0.4)
    ]
    np.testing.assert_allclose(*found, rtol=1e-3)


def test_a_flat_reference_is_no_hypothesis():
    references = np.vstack([REFERENCES[:2], np.zeros(7)])
    rng = np.random.default_rng(6)
    od, counts = measured(one_hot(np.zeros(50, dtype=int)), 1000, rng)
    hypotheses = fit_mixtures(od, counts, references, dispersion=1.0).hypotheses
    assert np.isneginf(hypotheses.log_likelihood[2]).all()
    assert not by_frequencies(hypotheses).probability[2].any()


def test_one_phase_alone_is_certain():
    found = by_frequencies(Hypotheses(np.full((1, 1, 8), -3.0, dtype=np.float32)))
    np.testing.assert_array_equal(found.probability, 1)
    np.testing.assert_array_equal(found.mixed, 0)


def test_frequencies_of_a_noisy_scan_come_out_as_planted():
    rng = np.random.default_rng(7)
    labels = rng.choice(3, p=[0.7, 0.25, 0.05], size=6000)
    od, counts = measured(one_hot(labels), 60, rng, thickness=0.5)
    found = by_frequencies(fit_mixtures(od, counts, REFERENCES, dispersion=1.0).hypotheses)
    np.testing.assert_allclose(found.probability.mean(axis=1), [0.7, 0.25, 0.05], atol=0.04)


def test_no_spectra_give_no_probabilities():
    none = np.zeros((7, 0))
    hypotheses = fit_mixtures(none, none, REFERENCES, dispersion=1.0).hypotheses
    assert by_frequencies(hypotheses).probability.shape == (3, 0)


def scene():
    """Two halves and a lamella of two pixels; boundary pixels are half and half."""
    labels = np.zeros((30, 40), dtype=int)
    labels[:, 20:] = 1
    labels[:, 8:10] = 2
    fractions = one_hot(labels).reshape(3, 30, 40)
    fractions[:, :, 20] = [[0.4], [0.6], [0.0]]
    return labels, fractions.reshape(3, -1)


def test_neighbors_find_mixed_pixels_at_the_boundary_and_keep_a_lamella():
    labels, fractions = scene()
    rng = np.random.default_rng(8)
    od, counts = measured(fractions, 300, rng, thickness=0.6)
    hypotheses = fit_mixtures(od, counts, REFERENCES, dispersion=1.0).hypotheses
    found = potts_mixed(hypotheses, np.ones(labels.shape, dtype=bool))
    mixed = found.mixed.reshape(labels.shape)
    right = (found.probability.argmax(axis=0) == labels.ravel()).reshape(labels.shape)
    assert mixed[:, 20].mean() > 0.5
    assert mixed[:, 24:].mean() < 0.1
    assert right[:, 8:10].mean() > 0.95
    assert np.delete(right, 20, axis=1).mean() > 0.98
    np.testing.assert_allclose(found.probability.sum(axis=0), 1, rtol=1e-5)


def test_one_phase_above_another_is_not_taken_for_a_third_between_them():
    rng = np.random.default_rng(12)
    # the first two make the third but for one energy
    references = np.array([REFERENCES[0], REFERENCES[1], 0.5 * (REFERENCES[0] + REFERENCES[1])])
    references[2, 3] *= 1.5
    first = np.tile(np.linspace(0, 1, 40), (30, 1))
    fractions = np.stack([first, 1 - first, np.zeros_like(first)]).reshape(3, -1)
    counts = rng.poisson(5000 * np.exp(-(references.T @ fractions))).astype(np.float64)
    od = np.log(5000 / counts)
    hypotheses = fit_mixtures(od, counts, references, dispersion=1.0).hypotheses
    scan, mask = mixing_of(hypotheses), np.ones(first.shape, dtype=bool)
    found = potts_mixed(hypotheses, mask, scan=scan).probability
    pure = Mixing(0.0, np.zeros((3, 3)))
    before = potts_mixed(hypotheses, mask, scan=pure).probability
    assert scan.share > 0.5
    assert (before.argmax(axis=0) == 2).mean() > 0.15
    assert (found.argmax(axis=0) == 2).mean() < 0.02


def test_a_scan_of_pure_phases_has_few_mixtures():
    _, fractions = scene()
    od, counts = measured(fractions, 3000, np.random.default_rng(13), thickness=0.6)
    scan = mixing_of(fit_mixtures(od, counts, REFERENCES, dispersion=1.0).hypotheses)
    assert scan.share < 0.2
    np.testing.assert_array_equal(np.diag(scan.with_other), 0)


def test_an_empty_mask_gives_an_empty_assignment():
    nothing = Hypotheses(np.zeros((3, 3, 0), dtype=np.float32))
    found = potts_mixed(nothing, np.zeros((4, 5), dtype=bool))
    assert found.probability.shape == (3, 0)
    assert found.mixed.shape == (0,)


@pytest.mark.parametrize("present", [(0, 2), (1,)])
def test_phases_that_are_absent_get_hardly_a_pixel(present):
    rng = np.random.default_rng(10)
    labels = np.sort(rng.choice(present, size=(40, 40)), axis=1)
    od, counts = measured(one_hot(labels), 300, rng, thickness=0.6)
    hypotheses = fit_mixtures(od, counts, REFERENCES, dispersion=1.0).hypotheses
    mask = np.ones(labels.shape, dtype=bool)
    for found in (by_frequencies(hypotheses), potts_mixed(hypotheses, mask)):
        index = found.probability.argmax(axis=0)
        assert (~np.isin(index, present)).mean() < 0.005
        assert (index == labels.ravel()).mean() > 0.98


def test_pixels_too_thin_to_tell_promise_hardly_more_than_they_keep():
    rng = np.random.default_rng(11)
    labels = np.repeat(np.arange(3), 400).reshape(30, 40)
    mask = np.ones(labels.shape, dtype=bool)
    excess = []
    for _ in range(6):
        od, counts = measured(one_hot(labels), 100, rng, thickness=0.02)
        hypotheses = fit_mixtures(od, counts, REFERENCES, dispersion=1.0).hypotheses
        for strength in (None, 0.55):
            found = potts_mixed(hypotheses, mask, strength=strength).probability
            kept = (found.argmax(axis=0) == labels.ravel()).mean()
            excess.append(found.max(axis=0).mean() - kept)
    # where the neighbors count as much as in a thick specimen, noise convinces itself
    assert np.mean(excess[1::2]) > 0.25
    assert np.mean(excess[::2]) < 0.1


def test_neither_pieces_nor_bands_nor_threads_change_a_value(monkeypatch):
    rng = np.random.default_rng(8)
    labels = np.repeat(np.arange(3), 1000).reshape(50, 60)
    od, counts = measured(one_hot(labels), 500, rng)
    mask = rng.random(labels.shape) < 0.9
    od, counts = od[:, mask.ravel()], counts[:, mask.ravel()]
    whole = fit_mixtures(od, counts, REFERENCES, dispersion=1.0)
    swept = potts_mixed(whole.hypotheses, mask)
    half = slice(700, 1900)
    part = fit_mixtures(od[:, half], counts[:, half], REFERENCES, dispersion=1.0)
    np.testing.assert_allclose(
        part.hypotheses.log_likelihood, whole.hypotheses.log_likelihood[:, :, half], atol=1e-4
    )
    np.testing.assert_allclose(part.misfit, whole.misfit[half], rtol=1e-5, atol=1e-6)
    monkeypatch.setattr("stxm_live.phase_mapping.spatial_prior._BAND", 7 * 60 * 3)
    monkeypatch.setattr("stxm_live.phase_mapping.spatial_prior._ROWS", 9)
    again = potts_mixed(whole.hypotheses, mask)
    np.testing.assert_array_equal(again.probability, swept.probability)
    np.testing.assert_array_equal(again.mixed, swept.mixed)


def test_the_map_is_the_same_whether_likelihoods_are_made_at_once_or_for_some_rows(
    monkeypatch, nvpf
):
    rng = np.random.default_rng(9)
    labels = np.repeat(np.arange(3), 1000).reshape(50, 60)
    od, counts = measured(one_hot(labels), 500, rng)
    mask = rng.random(labels.shape) < 0.9
    od, counts = od[:, mask.ravel()], counts[:, mask.ravel()]
    noise = SpectrumNoise(1.0, True, Baseline.none(len(od)))
    counted = CountedSpectra(od, counts, REFERENCES, noise)

    def found():
        return phase_probabilities(counted, mask, nvpf, dispersion=1.0)

    at_once = found()
    monkeypatch.setattr("stxm_live.phase_mapping.probabilities._AT_ONCE", 100)
    monkeypatch.setattr("stxm_live.phase_mapping.spatial_prior._ROWS", 9)
    by_rows = found()
    np.testing.assert_allclose(by_rows.probability, at_once.probability, atol=1e-5)
    np.testing.assert_array_equal(by_rows.unidentified, at_once.unidentified)
    assert by_rows.mixed_share == pytest.approx(at_once.mixed_share, abs=1e-6)
