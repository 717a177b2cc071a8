"""Planted unknown phases, by spectra of their own code."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from stxm_live.phase_mapping.counted_spectra import CountedSpectra
from stxm_live.phase_mapping.energy_calibration.fit import EnergyAxisError, fit_energy_axis
from stxm_live.phase_mapping.mixtures import fit_mixtures
from stxm_live.phase_mapping.residuals import residual_of
from stxm_live.phase_mapping.spectrum_noise import SpectrumNoise
from stxm_live.phase_mapping.unidentified import misfit_allowed, unidentified
from stxm_live.phase_mapping.weighted_products import Baseline

SIDE = 60
NOISE = SpectrumNoise(1.0, True, Baseline.none(13))


@pytest.fixture(scope="module")
def references(nvpf):
    return nvpf.reference_spectra.at(nvpf.energies_ev)


def scanned(references, strange_share=0.0, photons=1000, error=0.0, seed=2):
    """OD, counts, phases and where the unknown is, of domains in a square field."""
    rng = np.random.default_rng(seed)
    fields = [gaussian_filter(rng.standard_normal((SIDE, SIDE)), 5) for _ in references]
    phase = np.argmax(fields, axis=0).ravel()
    od = references[phase].T * gaussian_filter(rng.uniform(0, 6, (SIDE, SIDE)), 2).ravel()
    place = gaussian_filter(rng.standard_normal((SIDE, SIDE)), 7).ravel()
    strange = place > np.quantile(place, 1 - strange_share) if strange_share else place > np.inf
    # the first spectrum backwards is none of the references, nor any mixture
    od[:, strange] = 0.7 * od[::-1, strange] + 0.3 * od[:, strange]
    counts = rng.poisson(photons * np.exp(-od * (1 + error))).clip(1)
    return np.log(photons / counts), counts, phase, strange


def found(od, counts, references, gain=1.0):
    fit = fit_mixtures(od, counts, references, dispersion=1.0)
    allowed = misfit_allowed(od, counts, 1.0)
    return unidentified(fit, np.ones((SIDE, SIDE), dtype=bool), gain=gain, allowance=allowed)


@pytest.mark.parametrize("photons", [300, 1000, 4000])
def test_of_known_phases_hardly_a_pixel_is_called_unknown(references, photons):
    od, counts, _, _ = scanned(references, photons=photons)
    assert found(od, counts, references).mean() < 0.002


@pytest.mark.parametrize("share", [0.1, 0.4, 0.8, 1.0])
def test_an_unknown_phase_is_found_however_much_of_it_there_is(references, share):
    od, counts, _, strange = scanned(references, share)
    called = found(od, counts, references)
    assert called[strange].mean() > 0.9
    if share < 1:
        assert called[~strange].mean() < 0.01


def test_without_spectra_nothing_is_found(references):
    none = np.zeros((13, 0))
    fit = fit_mixtures(none, none, references, dispersion=1.0)
    assert unidentified(fit, np.zeros((SIDE, SIDE), dtype=bool)).shape == (0,)
    assert misfit_allowed(none, none, 1.0) == 0


def test_an_unknown_phase_moves_no_energy_axis(nvpf, references):
    od, counts, _, _ = scanned(references, 0.4)
    axis = fit_energy_axis(od, counts, nvpf.reference_spectra, np.array(nvpf.energies_ev), gain=1.0)
    assert abs(axis.offset_ev) < 0.05
    od, counts, _, _ = scanned(references, 1.0)
    with pytest.raises(EnergyAxisError, match="agree with no reference"):
        fit_energy_axis(od, counts, nvpf.reference_spectra, np.array(nvpf.energies_ev), gain=1.0)


def left(references, **options):
    od, counts, phase, _ = scanned(references, **options)
    known = np.ones(len(phase), dtype=bool)
    return residual_of(
        CountedSpectra(od, counts, references, NOISE), phase.astype(np.int8), known=known
    )


@pytest.mark.parametrize("photons", [1000, 4000])
def test_what_is_left_is_the_same_share_of_what_separates_phases_at_any_dose(references, photons):
    ripple = 0.15 * (-1.0) ** np.arange(13)[:, None]
    assert left(references, photons=photons).share < 0.1
    harmful = left(references, photons=photons, error=ripple)
    assert harmful.is_harmful
    assert harmful.share == pytest.approx(left(references, error=ripple).share, rel=0.25)
    assert harmful.significance > 20


def test_the_residual_names_the_image_that_is_off(references):
    od, counts, phase, _ = scanned(references)
    od[4] += 0.06
    counts[4] = counts[4] * np.exp(-0.06)
    known = np.ones(len(phase), dtype=bool)
    residual = residual_of(
        CountedSpectra(od, counts, references, NOISE), phase.astype(np.int8), known=known
    )
    assert residual.largest_energy == 4
    assert 0.02 < residual.largest_od < 0.06


def test_a_harmful_residual_makes_probabilities_less_sure(references):
    harmful = left(references, error=0.15 * (-1.0) ** np.arange(13)[:, None])
    sure = np.eye(5, dtype=np.float32)
    heeded = harmful.reckoned_with(sure)
    np.testing.assert_allclose(heeded.sum(axis=0), 1, rtol=1e-5)
    assert heeded[harmful.phase, harmful.phase] < 0.97
    np.testing.assert_allclose(left(references).reckoned_with(sure), sure, atol=1e-3)
