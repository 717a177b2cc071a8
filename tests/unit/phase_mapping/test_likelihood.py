import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls
from scipy.special import softmax
from scipy.stats import chi2 as chi_squared

from stxm_live.phase_mapping.likelihood import fit_references
from stxm_live.phase_mapping.weighted_products import Baseline

N_SPECTRA = 20_000

CONSTANT = Baseline.constant(13)


@pytest.fixture(scope="module")
def references(nvpf):
    return nvpf.reference_spectra.at(nvpf.energies_ev)


def counted(references, *, i0=600.0, frequencies=None, gain=1.0, n=N_SPECTRA, seed=0, mixed=False):
    """OD and counts of spectra that follow the model exactly, and their phases.

    Counts are Poisson numbers times ``gain``, so that their variance is gain times their mean.
    """
    rng = np.random.default_rng(seed)
    phase = rng.choice(len(references), n, p=frequencies)
    thickness = rng.uniform(1.0, 5.0, n)
    expected = i0 * np.exp(-references[phase].T * thickness)
    counts = np.maximum(rng.poisson(expected / gain) * gain, gain)
    return np.log(i0 / counts), counts, phase


def test_the_misfit_is_that_of_a_weighted_least_squares_fit(references):
    # with a million photons counted and expected variances are the same
    od, photons, _ = counted(references, i0=1e6, n=30)
    for baseline in (None, CONSTANT):
        fit = fit_references(od, photons, references, baseline=baseline)
        for k, i in np.ndindex(5, 30):
            weight = np.sqrt(photons[:, i])
            columns = [references[k], np.ones(13), -np.ones(13)][: 3 if baseline else 1]
            _, residual = nnls(np.transpose(columns) * weight[:, None], od[:, i] * weight)
            assert fit.chi2[k, i] == pytest.approx(residual**2, rel=0.02, abs=0.3)


@pytest.mark.parametrize("baseline", [None, CONSTANT])
def test_thickness_and_constant_are_integrated_out_as_a_gaussian(references, baseline):
    # with a million photons counted and expected variances are the same
    od, photons, _ = counted(references, i0=1e6, n=30)
    fit = fit_references(od, photons, references, baseline=baseline)
    volume = fit.log_likelihood + 0.5 * fit.chi2 / fit.dispersion
    for k, i in np.ndindex(5, 30):
        unit = references[k] / np.linalg.norm(references[k])
        columns = [unit, np.ones(13)] if baseline else [unit]
        design = np.transpose(columns)
        expected = -0.5 * np.linalg.slogdet((design.T * photons[:, i]) @ design)[1]
        if baseline:  # what it is without a phase is the same for all of them
            expected += 0.5 * np.log(photons[:, i].sum())
        # single precision leaves 1e-7 of the misfit
        rounding = 0.01 + 2e-7 * float(fit.chi2[k, i]) / fit.dispersion
        assert volume[k, i] == pytest.approx(expected, abs=rounding)


def test_no_thickness_is_negative(references):
    brighter = np.repeat(-0.1 * references.mean(axis=0)[:, None], 4, axis=1)
    fit = fit_references(brighter, np.full((13, 4), 1e6), references)
    for chi2 in fit.chi2:
        np.testing.assert_allclose(chi2, fit.chi2[0], rtol=1e-5)


def test_the_misfit_of_the_true_phase_follows_chi_squared(references):
    od, photons, phase = counted(references, i0=3000)
    for baseline, degrees in ((None, 12), (CONSTANT, 11)):
        fit = fit_references(od, photons, references, baseline=baseline)
        own = fit.chi2[phase, np.arange(N_SPECTRA)]
        assert own.mean() == pytest.approx(degrees, rel=0.02)
        assert np.quantile(own, 0.95) == pytest.approx(chi_squared.ppf(0.95, degrees), rel=0.03)


def test_a_handful_of_photons_does_not_break_the_misfit(references):
    od, photons, phase = counted(references, i0=8)
    own = fit_references(od, photons, references).chi2[phase, np.arange(N_SPECTRA)]
    assert np.median(photons) < 6
    # variances of the counts themselves would make it 7
    assert own.mean() == pytest.approx(12, rel=0.15)


@pytest.mark.parametrize("i0", [150, 600, 3000])
@pytest.mark.parametrize("baseline", [None, CONSTANT])
def test_probabilities_are_calibrated_on_the_models_own_spectra(references, i0, baseline):
    od, photons, phase = counted(references, i0=i0)
    fit = fit_references(od, photons, references, baseline=baseline)
    probability = softmax(fit.log_likelihood, axis=0)
    right = probability.argmax(axis=0) == phase
    sure = probability.max(axis=0)
    assert sure.mean() == pytest.approx(right.mean(), abs=0.015)
    for low, high in ((0.3, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 1.0)):
        these = (sure > low) & (sure <= high)
        if these.sum() > 300:
            error = 3 * np.sqrt(0.25 / these.sum())
            assert sure[these].mean() == pytest.approx(right[these].mean(), abs=0.02 + error)


@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_counts_noisier_or_quieter_than_photons_show_in_the_dispersion_only(references, gain):
    od, photons, phase = counted(references, i0=2000, gain=gain)
    fit = fit_references(od, photons, references)
    assert fit.dispersion == pytest.approx(gain, rel=0.1)
    probability = softmax(fit.log_likelihood, axis=0)
    right = probability.argmax(axis=0) == phase
    assert probability.max(axis=0).mean() == pytest.approx(right.mean(), abs=0.02)


@settings(max_examples=15)
@given(
    scale=st.tuples(*[st.floats(0.01, 100)] * 5),
    baseline=st.sampled_from([None, CONSTANT]),
)
def test_the_scale_of_a_reference_favours_no_phase(references, scale, baseline):
    od, photons, _ = counted(references, n=50)
    expected = fit_references(od, photons, references, baseline=baseline)
    scaled = fit_references(od, photons, references * np.array(scale)[:, None], baseline=baseline)
    np.testing.assert_allclose(scaled.log_likelihood, expected.log_likelihood, rtol=1e-5, atol=1e-3)


def test_pure_noise_on_the_support_is_no_phase_in_particular(references):
    rng = np.random.default_rng(0)
    photons = rng.poisson(1000, (13, N_SPECTRA)).astype(float)
    fit = fit_references(np.log(1000 / photons), photons, references)
    assert softmax(fit.log_likelihood, axis=0).mean(axis=1) == pytest.approx(0.2, abs=0.03)


@settings(max_examples=15)
@given(constant=st.floats(-2, 2), seed=st.integers(0, 99))
def test_with_a_baseline_a_constant_od_changes_nothing(references, constant, seed):
    od, photons, _ = counted(references, n=50, seed=seed)
    expected = fit_references(od, photons, references, baseline=CONSTANT)
    moved = fit_references(od + constant, photons, references, baseline=CONSTANT)
    np.testing.assert_allclose(moved.chi2, expected.chi2, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(moved.log_likelihood, expected.log_likelihood, rtol=1e-5, atol=1e-3)


def test_without_a_baseline_a_constant_od_misleads(references):
    od, photons, phase = counted(references, i0=3000, n=2000)
    index = fit_references(od + 0.5, photons, references).log_likelihood.argmax(axis=0)
    free = fit_references(od + 0.5, photons, references, baseline=CONSTANT).log_likelihood.argmax(
        axis=0
    )
    assert (index == phase).mean() < (free == phase).mean() - 0.2


def test_a_spectrum_is_fitted_the_same_wherever_it_stands_in_a_large_map(references):
    od, photons, _ = counted(references, n=17_000)
    part = slice(16_380, 16_390)
    whole = fit_references(od, photons, references)
    alone = fit_references(od[:, part], photons[:, part], references)
    np.testing.assert_allclose(
        alone.chi2, whole.chi2[:, part], rtol=2e-3
    )  # the gain is the map's own


def test_without_any_spectrum_there_is_nothing_to_fit(references):
    fit = fit_references(np.zeros((13, 0)), np.zeros((13, 0)), references)
    assert fit.chi2.shape == (5, 0)
    assert fit.dispersion == 1


@pytest.mark.parametrize("unit", [1e-12, 1e-3, 1e6])
def test_the_unit_of_the_counts_does_not_matter(references, unit):
    od, photons, _ = counted(references, i0=1000, n=500)
    expected = fit_references(od, photons, references)
    fit = fit_references(od, photons * unit, references)
    share = softmax(expected.log_likelihood, axis=0)
    np.testing.assert_allclose(softmax(fit.log_likelihood, axis=0), share, atol=2e-3)
    assert fit.dispersion == pytest.approx(expected.dispersion * unit, rel=1e-3)


@pytest.mark.parametrize("baseline", [None, CONSTANT])
def test_no_spectrum_is_told_to_be_a_reference_that_is_flat_at_these_energies(references, baseline):
    od, photons, _ = counted(references, i0=1000, n=50)
    flat = np.array([*references[:4], np.full(13, 0.3 if baseline else 0.0)])
    fit = fit_references(od, photons, flat, baseline=baseline)
    share = softmax(fit.log_likelihood, axis=0)
    assert np.isfinite(share).all()
    assert (share[4] == 0).all()


def test_a_background_with_a_prior_takes_no_degree_of_freedom(nvpf):
    energies = np.array(nvpf.energies_ev)
    references = nvpf.reference_spectra.at(energies)
    rng = np.random.default_rng(3)
    wide = Baseline.slope(energies, constant_std=0.3, slope_std=0.1)
    background = np.diag(wide.precision**-0.5) @ rng.standard_normal((2, 4000))
    od = references[rng.integers(len(references), size=4000)].T + wide.shapes.T @ background
    counts = rng.poisson(4000 * np.exp(-od))
    fit = fit_references(np.log(4000 / counts), counts, references, baseline=wide, gain=1.0)
    assert 0.9 < fit.dispersion < 1.05
