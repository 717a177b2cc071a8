"""Constant and slope of spectra, against numpy's own linear algebra and planted truth."""

import numpy as np
import pytest
from scipy.special import softmax

from stxm_live.phase_mapping.baseline_widths import learned_baseline
from stxm_live.phase_mapping.likelihood import fit_references
from stxm_live.phase_mapping.spectrum_noise import has_free_constant, spectrum_noise
from stxm_live.phase_mapping.weighted_products import Baseline, products

N_SPECTRA = 6000


@pytest.fixture(scope="module")
def energies_ev(nvpf):
    return np.array(nvpf.energies_ev)


@pytest.fixture(scope="module")
def references(nvpf, energies_ev):
    return nvpf.reference_spectra.at(energies_ev)


def counted(references, besides=0.0, photons=1000, seed=3):
    """OD, counts and phases of spectra that have something besides their phase."""
    rng = np.random.default_rng(seed)
    phase = rng.integers(0, len(references), N_SPECTRA)
    od = references[phase].T * rng.uniform(1.5, 5.0, N_SPECTRA) + besides
    counts = rng.poisson(photons * np.exp(-od)).clip(1)
    return np.log(photons / counts), counts, phase


def right_and_promised(od, counts, phase, references, baseline):
    fit = fit_references(od, counts, references, baseline=baseline, gain=1.0)
    probability = softmax(fit.log_likelihood, axis=0)
    return (probability.argmax(axis=0) == phase).mean(), probability.max(axis=0).mean()


def test_what_is_integrated_out_is_a_covariance(references, energies_ev, rng):
    baseline = Baseline.slope(energies_ev, constant_std=0.2, slope_std=0.1)
    weight = rng.uniform(100, 1000, (13, 4))
    y = rng.uniform(0.2, 1.5, (13, 4))
    found = products(y, weight, references, baseline)
    for k in range(4):
        prior = (baseline.shapes.T / baseline.precision) @ baseline.shapes
        inverse = np.linalg.inv(np.diag(1 / weight[:, k]) + prior)
        assert found.rest[k] == pytest.approx(y[:, k] @ inverse @ y[:, k])
        np.testing.assert_allclose(found.along[:, k], references @ inverse @ y[:, k])
        square = (references @ inverse @ references.T)[np.triu_indices(5)]
        np.testing.assert_allclose(found.square[:, k], square)


def test_coefficients_beside_a_thickness_are_those_of_a_ridge_regression(references, energies_ev):
    baseline = Baseline.slope(energies_ev, constant_std=0.2, slope_std=0.1)
    y = (2 * references[1] + 0.15 - 0.08 * baseline.shapes[1])[:, None]
    weight = np.full((13, 1), 1e7)
    found = products(y, weight, references, baseline).coefficients(np.array([2.0]), np.array([1]))
    np.testing.assert_allclose(found[:, 0], [0.15, -0.08], rtol=1e-4)


@pytest.mark.parametrize("photons", [300, 1000])
def test_a_scan_without_constant_and_slope_loses_nothing(references, energies_ev, photons):
    od, counts, phase = counted(references, photons=photons)
    learned = learned_baseline(od, counts, references, energies_ev, gain=1.0)
    plain, _ = right_and_promised(od, counts, phase, references, None)
    right, promised = right_and_promised(od, counts, phase, references, learned)
    assert right > plain - 0.005
    assert promised == pytest.approx(right, abs=0.015)


def carbon(energies_ev):
    """0.4 in half of the spectra."""
    return 0.4 * (np.arange(N_SPECTRA) < N_SPECTRA / 2)


def leaning(energies_ev):
    return -0.15 * np.linspace(-0.5, 0.5, len(energies_ev))[:, None] + np.zeros(N_SPECTRA)


@pytest.mark.parametrize("world", [carbon, leaning])
def test_carbon_and_a_leaning_i0_are_promised_right(references, energies_ev, world):
    od, counts, phase = counted(references, world(energies_ev))
    learned = learned_baseline(od, counts, references, energies_ev, gain=1.0)
    misled, _ = right_and_promised(od, counts, phase, references, None)
    free, _ = right_and_promised(od, counts, phase, references, Baseline.slope(energies_ev))
    right, promised = right_and_promised(od, counts, phase, references, learned)
    assert right > misled + 0.02
    assert right > free - 0.005
    assert promised == pytest.approx(right, abs=0.02)


def test_references_without_their_pre_edge_do_no_harm(references, energies_ev):
    od, counts, phase = counted(references)
    subtracted = references - references[:, :1]
    learned = learned_baseline(od, counts, subtracted, energies_ev, gain=1.0)
    constant = Baseline.constant(len(energies_ev))
    free = right_and_promised(od, counts, phase, subtracted, constant)[0]
    right, promised = right_and_promised(od, counts, phase, subtracted, learned)
    assert right_and_promised(od, counts, phase, subtracted, None)[0] < right - 0.1
    assert right > free - 0.005
    assert promised == pytest.approx(right, abs=0.02)


def test_the_unit_of_the_counts_does_not_matter(references, energies_ev):
    od, counts, _ = counted(references, 0.1)
    plain = learned_baseline(od, counts, references, energies_ev, gain=1.0)
    analogue = learned_baseline(od, 7 * counts, references, energies_ev, gain=7.0)
    np.testing.assert_array_equal(plain.precision, analogue.precision)


@pytest.mark.parametrize(
    ("word", "n_terms", "n_free"), [("none", 0, 0), ("constant", 1, 1), ("slope", 2, 2)]
)
def test_the_recipe_may_say_what_there_is(nvpf, references, energies_ev, word, n_terms, n_free):
    od, counts, _ = counted(references)
    recipe = nvpf.with_changes({"resolver.baseline": word})
    noise = spectrum_noise(od, counts, references, energies_ev, recipe, gain=None)
    assert len(noise.baseline.shapes) == n_terms
    assert noise.baseline.n_free == n_free
    assert noise.gain == pytest.approx(1.0, abs=0.1)
    assert not noise.from_support


def test_the_constant_is_free_where_i0_has_no_scale(nvpf, references, energies_ev):
    od, counts, _ = counted(references, 0.8)
    monitor = nvpf.with_changes({"i0.source": "monitor"})
    assert has_free_constant(monitor)
    noise = spectrum_noise(od, counts, references, energies_ev, monitor, gain=1.0)
    assert noise.baseline.precision[0] == 0 < noise.baseline.precision[1]


@pytest.mark.parametrize("n_energies", [1, 2, 5])
def test_with_few_energies_what_is_usual_is_expected(references, energies_ev, n_energies):
    od, counts, _ = counted(references)
    few = slice(0, n_energies)
    found = learned_baseline(od[few], counts[few], references[:, few], energies_ev[few], gain=1.0)
    np.testing.assert_allclose(found.precision**-0.5, [0.1, 0.03])
