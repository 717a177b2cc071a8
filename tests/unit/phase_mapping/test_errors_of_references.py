import numpy as np

from stxm_live.phase_mapping.likelihood import fit_references, photons_worth
from stxm_live.phase_mapping.mixtures import fit_mixtures
from stxm_live.phase_mapping.spectrum_noise import variance_of_references
from stxm_live.phase_mapping.unidentified import misfit_allowed

TRUE = np.array([[0.2, 0.9, 0.3, 0.6, 0.3, 0.2], [0.2, 0.8, 0.4, 0.5, 0.4, 0.2]])
STD = np.array([[0.0, 0.2, 0.0, 0.0, 0.0, 0.0], [0.0, 0.2, 0.0, 0.0, 0.0, 0.0]])


def scan(n=2000, photons=4000.0):
    """Spectra of both phases; the references are too low where their error says so."""
    rng = np.random.default_rng(1)
    labels, thickness = rng.integers(0, 2, n), rng.uniform(0.5, 1.5, n)
    counts = rng.poisson(photons * np.exp(-(TRUE[labels] * thickness[:, None]).T)).clip(1)
    return labels, thickness, np.log(photons / counts), counts.astype(float)


def test_the_variance_is_that_of_the_error_times_the_thickness():
    labels, thickness, od, _ = scan(photons=1e7)
    od = od + 0.3  # a constant is no thickness
    variance = variance_of_references(od, TRUE, STD, labels)
    np.testing.assert_allclose(variance[1], (0.2 * thickness) ** 2, rtol=0.05)
    assert not variance[[0, 2, 3, 4, 5]].any()


def test_a_reference_that_is_wrong_where_it_says_so_still_fits():
    labels, _, od, counts = scan()
    references = TRUE.copy()
    references[:, 1] -= [0.25, -0.15]
    variance = variance_of_references(od, references, STD, labels)
    exact = fit_references(od, counts, references, gain=1.0)
    known = fit_references(od, counts, references, gain=1.0, more_variance=variance)
    assert exact.dispersion > 4
    assert known.dispersion < 1.3
    right = [(fit.log_likelihood.argmax(axis=0) == labels).mean() for fit in (exact, known)]
    assert right[1] > right[0]
    mixed = fit_mixtures(od, counts, references, dispersion=1.0, more_variance=variance)
    assert np.median(mixed.misfit) / mixed.degrees < 1.3 + misfit_allowed(od, counts, 1.0)


def test_without_an_error_nothing_changes():
    photons = np.array([10.0, 100.0])
    np.testing.assert_array_equal(photons_worth(photons, np.zeros(2), 2.0), photons)
