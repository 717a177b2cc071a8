import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from stxm_live import Recipe, Stack, map_phases
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


@pytest.fixture(scope="module")
def noisy(tmp_path_factory, nvpf):
    """A scan of the five phases, their references with 1 % of noise, and the labels."""
    rng = np.random.default_rng(12)
    fields = gaussian_filter(rng.normal(size=(5, 80, 80)), (0, 5, 5))
    labels, thickness = fields.argmax(axis=0), np.zeros((80, 80))
    thickness[8:-8, 8:-8] = 1.5
    spectra = nvpf.reference_spectra
    od = spectra.at(nvpf.energies_ev)
    od = od[labels].transpose(2, 0, 1) / od.max() * thickness
    stack = Stack.from_arrays(rng.poisson(4000 * np.exp(-od)), nvpf.energies_ev)
    measured = spectra.od + 0.01 * spectra.od.max(1, keepdims=True) * rng.normal(
        size=spectra.od.shape
    )
    references = replace(spectra, od=measured)
    return stack, references, np.where(thickness > 0, labels, -1)


def mapped(noisy, path, **changes):
    stack, references, labels = noisy
    replace(references, **changes).to_csv(path)
    maps = map_phases(stack, Recipe(name="noisy", references=path, energy_fit=False))
    known = (labels >= 0) & (maps.resolved_index >= 0)
    return maps, (maps.resolved_index == labels)[known].mean()


def test_noise_that_references_show_is_allowed_for_and_told(noisy, tmp_path):
    exact, right_of_exact = mapped(noisy, tmp_path / "a.csv", od_std=np.zeros_like(noisy[1].od))
    maps, right = mapped(noisy, tmp_path / "b.csv")
    assert right > right_of_exact + 0.02
    (note,) = [note for note in maps.warnings if "noise in the references" in note]
    assert re.search(r"Na3VPF (0\.9|1\.0|1\.1) %", note)
    assert not any("noise in the references" in note for note in exact.warnings)
