"""A phase without a reference, by the mean of what agrees with none."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from stxm_live.phase_mapping.counted_spectra import CountedSpectra
from stxm_live.phase_mapping.missing_reference import FEWEST, missing_reference
from stxm_live.phase_mapping.probabilities import phase_probabilities
from stxm_live.phase_mapping.spectrum_noise import SpectrumNoise
from stxm_live.phase_mapping.weighted_products import Baseline

SIDE = 40
NOISE = SpectrumNoise(1.0, True, Baseline.none(13))
FIELD = np.ones((SIDE, SIDE), dtype=bool)


@pytest.fixture(scope="module")
def references(nvpf):
    return nvpf.reference_spectra.at(nvpf.energies_ev)


def scanned(references, photons, unknown):
    """OD, counts, phases and where the unknown is, in domains of a square field."""
    rng = np.random.default_rng(4)
    fields = [gaussian_filter(rng.standard_normal((SIDE, SIDE)), 5) for _ in references]
    phase = np.argmax(fields, axis=0).ravel()
    place = gaussian_filter(rng.standard_normal((SIDE, SIDE)), 6).ravel()
    strange = place > np.quantile(place, 1 - unknown)
    od = references[phase].T * gaussian_filter(rng.uniform(0, 3, (SIDE, SIDE)), 2).ravel()
    od[:, strange] = 0.4 * od[::-1, strange] + 0.6 * od[:, strange]
    counts = rng.poisson(photons * np.exp(-od)).clip(1)
    return np.log(photons / counts).astype(np.float32), counts.astype(np.float32), phase, strange


@pytest.mark.parametrize("unknown", [0.1, 0.4])
def test_a_weak_difference_from_the_references_is_found_once_its_spectrum_is_known(
    nvpf, references, unknown
):
    od, counts, phase, strange = scanned(references, 700, unknown)
    found = phase_probabilities(
        CountedSpectra(od, counts, references, NOISE), FIELD, nvpf, dispersion=1.0
    )
    assert found.unidentified[strange].mean() > 0.9
    assert found.unidentified[~strange].mean() < 0.01
    # labels that are given count the chance that none of the phases is there
    labelled = ~found.unidentified
    promised = 1 - found.of_others(found.most_probable)[labelled]
    right = ((found.most_probable == phase) & ~strange)[labelled]
    assert promised.mean() < right.mean() + 0.03


def test_what_is_left_of_a_scan_of_a_missing_phase_is_most_likely_that_phase_too(nvpf, references):
    od, counts, _, strange = scanned(references, 700, 0.97)
    found = phase_probabilities(
        CountedSpectra(od, counts, references, NOISE), FIELD, nvpf, dispersion=1.0
    )
    labelled = ~found.unidentified
    promised = 1 - found.of_others(found.most_probable)[labelled & strange]
    assert promised.mean() < 0.2  # 0.58 if it is as common as any other phase


def test_a_mixture_of_the_references_is_no_phase_of_its_own(references):
    amounts = np.random.default_rng(0).dirichlet(np.ones(len(references)), 200)
    od, everywhere = references.T @ amounts.T, np.ones(200, dtype=bool)
    baseline = Baseline.slope(np.arange(13.0))
    counts = np.full_like(od, 1000)
    assert missing_reference(od + 0.2, counts, references, everywhere, baseline) is None
    found = missing_reference(od[::-1], counts, references, everywhere, baseline)
    np.testing.assert_allclose(found, od[::-1].mean(axis=1))


def test_a_few_pixels_make_no_phase(references):
    od = np.repeat(references[:1, ::-1].T, 100, axis=1)
    few, baseline = np.arange(100) < FEWEST - 1, Baseline.none(13)
    assert missing_reference(od, np.ones_like(od), references, few, baseline) is None
    unmeasured = np.ones_like(od)
    unmeasured[3] = 0
    everywhere = np.ones(100, dtype=bool)
    assert missing_reference(od, unmeasured, references, everywhere, baseline) is None


def test_where_the_references_fit_nothing_well_the_worst_pixels_are_no_phase(references):
    amounts = np.random.default_rng(0).dirichlet(np.ones(len(references)), 200)
    od, worst = references.T @ amounts.T, np.arange(200) < 40
    od += 0.15 * od.std() * np.sin(np.arange(13.0))[:, None] * np.where(worst, 1.2, 1.0)
    counts, baseline = np.full_like(od, 1000), Baseline.none(13)
    assert missing_reference(od, counts, references, worst, baseline) is None
    others = np.where(worst, od, references.T @ amounts.T)
    assert missing_reference(others, counts, references, worst, baseline) is not None
