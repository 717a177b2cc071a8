"""Light beside the specimen is found in its spectra, and taken out of them."""

import numpy as np
import pytest
from three_lines import ENERGIES, GRID, PHOTONS, REFERENCES

from stxm_live.core.recipe import Recipe
from stxm_live.core.stack import Stack
from stxm_live.phase_mapping.counted_spectra import CountedSpectra
from stxm_live.phase_mapping.likelihood import fit_references
from stxm_live.phase_mapping.spectrum_noise import SpectrumNoise
from stxm_live.phase_mapping.stray_light import stray_share, without_stray_light
from stxm_live.phase_mapping.weighted_products import Baseline
from stxm_live.phase_mapping.workflow import map_phases

NOISE = SpectrumNoise(1.0, True, Baseline.slope(np.array(ENERGIES), constant_std=0.05))


def scan(stray, *, thickest=2.5, shift_ev=0.0, n=500):
    """Counts behind a specimen: true OD, measured OD, photons, and phase of each spectrum."""
    rng = np.random.default_rng(3)
    true = np.array([np.interp(np.add(ENERGIES, shift_ev), GRID, s) for s in REFERENCES.od])
    phase = rng.integers(0, 3, n)
    od = true[phase].T * rng.uniform(0.2, thickest, n)
    i0 = PHOTONS * (1 + stray)
    counts = rng.poisson(PHOTONS * (np.exp(-od) + stray)).clip(1).astype(np.float32)
    return od, np.log(i0 / counts).astype(np.float32), counts, phase


def counted(od, photons):
    return CountedSpectra(od, photons, REFERENCES.at(ENERGIES), NOISE)


def share_in(od, photons):
    return stray_share(counted(od, photons), REFERENCES, ENERGIES)


@pytest.mark.parametrize("stray", [0.02, 0.08])
def test_stray_light_is_found_to_a_fifth(stray):
    _, od, photons, _ = scan(stray)
    assert share_in(od, photons) == pytest.approx(stray, rel=0.2)


@pytest.mark.parametrize("shift_ev", [0.0, 0.05, -0.05])
def test_a_scan_without_stray_light_has_none(shift_ev):
    _, od, photons, _ = scan(0.0, shift_ev=shift_ev)
    assert share_in(od, photons) == 0


def test_few_spectra_or_energies_show_no_stray_light():
    _, od, photons, _ = scan(0.08, n=50)
    assert share_in(od, photons) == 0
    _, od, photons, _ = scan(0.08)
    few = REFERENCES.at(ENERGIES[:5])
    noise = NOISE._replace(baseline=NOISE.baseline.at(slice(5)))
    found = stray_share(CountedSpectra(od[:5], photons[:5], few, noise), REFERENCES, ENERGIES[:5])
    assert found == 0


def test_spectra_without_it_are_those_of_the_specimen():
    true, od, photons, _ = scan(0.08)
    found, worth = without_stray_light(counted(od, photons), 0.08)
    assert np.abs((found - true).mean(axis=1)).max() < 0.01
    assert (worth <= photons * 1.01).all()
    # noise is as large as these photons say
    scatter = (np.square(found - true) * worth).mean()
    assert scatter == pytest.approx(1, abs=0.1)


def test_spectra_agree_with_the_references_without_it():
    _, od, photons, _ = scan(0.08)
    references = REFERENCES.at(ENERGIES)

    def scatter(od, photons):
        fit = fit_references(od, photons, references, baseline=NOISE.baseline, gain=1.0)
        return fit.dispersion

    assert scatter(od, photons) > 1.15
    assert scatter(*without_stray_light(counted(od, photons), 0.08)) < 1.08


@pytest.mark.parametrize("stray", [0.0, 0.08])
def test_maps_say_how_much_light_came_beside_the_specimen(stray, tmp_path):
    _, _, counts, phase = scan(stray, n=600)
    images = np.random.default_rng(4).poisson(PHOTONS * (1 + stray), (len(ENERGIES), 40, 40))
    images = images.astype(np.float32)
    images[:, 5:35, 10:30] = counts.reshape(-1, 30, 20)
    REFERENCES.to_csv(tmp_path / "references.csv")
    recipe = Recipe(
        name="stray light",
        references=tmp_path / "references.csv",
        alignment={"enabled": False},
        energy_fit=False,
    )
    maps = map_phases(Stack.from_arrays(images, ENERGIES), recipe)
    assert maps.provenance["stray_light"] == pytest.approx(stray, rel=0.2)
    said = [w for w in maps.warnings if "of the light seems to reach the detector" in w]
    assert len(said) == bool(stray)
    inside = maps.specimen[5:35, 10:30]
    assert (maps.resolved_index[5:35, 10:30] == phase.reshape(30, 20))[inside].mean() > 0.9


def test_an_energy_that_was_not_measured_stays_so():
    _, od, photons, _ = scan(0.08)
    photons[3, :7], od[3, :7] = 0, 0
    found, worth = without_stray_light(counted(od, photons), 0.08)
    assert np.isfinite(found).all()
    assert not worth[3, :7].any()
    assert worth[3, 7:].all()
