from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from stxm_live import map_phases
from stxm_live.core.phase_maps import same_array
from stxm_live.core.stack import Stack
from stxm_live.phase_mapping.change_fit import Expected, fitted_change

CHECK_EV = 518.3
SIDE, PHOTONS = 96, 4000.0


def stack(nvpf, rng, *, share=0.0, loss=0.0, i0=1.0, shift=(0, 0)):
    """A stack whose repeated last image shows a specimen that changed."""
    energies_ev = (*nvpf.energies_ev, CHECK_EV)
    spectra = nvpf.reference_spectra.at(energies_ev)
    spectra *= 1.5 / spectra.max()
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    thickness = np.clip(8 * (0.8 - np.hypot(x, y)), 0, 1)
    fields = [gaussian_filter(rng.standard_normal((SIDE, SIDE)), 5) for _ in spectra]
    amount = thickness * (np.argmax(fields, axis=0) == np.arange(len(spectra))[:, None, None])
    before = np.concatenate([amount[:1] + amount[1:2], amount[2:], 0 * amount[:1]])
    images = [np.tensordot(spectra[:, k], amount, axes=1) for k in range(len(energies_ev))]
    changed = (1 - loss) * (amount + share * (before - amount))
    images[-1] = np.roll(np.tensordot(spectra[:, -1], changed, axes=1), shift, axis=(0, 1))
    level = PHOTONS * np.array([*[1.0] * len(nvpf.energies_ev), i0])
    counts = rng.poisson(level[:, None, None] * np.exp(-np.array(images)))
    return Stack.from_arrays(counts, energies_ev)


def test_a_planted_share_of_changed_phases_is_found_and_named(nvpf, rng):
    maps = map_phases(stack(nvpf, rng, share=0.2), nvpf, quick=True)
    change = maps.change
    assert change.energy_ev == CHECK_EV
    assert change.kind == "before"
    assert abs(change.share - 0.2) < 3 * change.share_std + 0.02
    assert change.is_significant
    assert maps.quality.verdict == "limited"
    assert "the specimen changed during the scan: OD of " in maps.quality.cause
    assert "518.3 eV is 0." in maps.quality.cause
    assert maps.quality.consequence == "labels mix both states"
    assert maps.to_xarray().attrs["change_share"] == change.share


def test_mass_loss_is_a_change_of_the_amount(nvpf, rng):
    change = map_phases(stack(nvpf, rng, loss=0.2), nvpf, quick=True).change
    assert change.is_significant
    assert change.od_change < 0
    loss = change.share if change.kind == "amount" else -0.2
    assert loss == pytest.approx(-0.2, abs=0.05)


@pytest.mark.parametrize("fault", [{}, {"i0": 0.9}, {"shift": (1, -1)}])
def test_an_unchanged_specimen_is_none_whatever_i0_and_drift_do(nvpf, rng, fault):
    maps = map_phases(stack(nvpf, rng, **fault), nvpf, quick=True)
    assert not maps.change.is_significant
    assert any("shows no change of the specimen" in note for note in maps.warnings)
    assert "changed" not in maps.quality.cause


def test_the_maps_are_those_without_the_repeated_image_bit_for_bit(nvpf, rng):
    checked = stack(nvpf, rng, share=0.2)
    maps, without = (
        map_phases(s, nvpf, quick=True) for s in (checked, replace(checked, checks=()))
    )
    assert without.change is None
    assert maps.differences(without) == ["quality", "change"]
    assert same_array(maps.probability, without.probability)


def test_a_result_made_again_keeps_the_comparison_unless_its_energy_is_left_out(nvpf, rng):
    maps = map_phases(stack(nvpf, rng, share=0.2), nvpf, quick=True)
    assert maps.redo({"ambiguity_threshold": 0.006}).change == maps.change
    assert maps.redo({"exclude_energies_ev": [CHECK_EV]}).change is None


def test_of_unchanged_specimens_no_more_than_a_hundredth_seem_changed(rng):
    n, n_scans = 2000, 400
    label = rng.integers(0, 3, n).astype(np.int8)
    od = rng.uniform(0.3, 1.0, n)
    towards = od * np.array([0.0, 0.2, -0.1])[label]
    slopes = rng.standard_normal((3, n))
    block = np.arange(n) // 50
    expected = Expected(label, od, od, towards, -towards, 0.3 * od, slopes, block)
    variance = 0.002 * np.exp(od)
    found = 0
    for _ in range(n_scans):
        i0, energy, *moved = rng.standard_normal(5) * (0.01, 0.01, 0.1, 0.1, 0.1)
        errors = i0 + energy * expected.per_ev + np.array(moved) @ slopes
        noise = np.sqrt(variance) * rng.standard_normal(n)
        change = fitted_change(errors + noise, variance, expected, 500.0, 0.01, 0.01, 3)
        found += change.is_significant
    assert found <= 0.01 * n_scans + 2 * np.sqrt(0.01 * n_scans)


def test_more_repeated_images_do_not_make_false_alarms_likelier(nvpf, rng):
    once = stack(nvpf, rng)
    thrice = replace(once, checks=tuple(replace(once.checks[0]) for _ in range(3)))
    one, three = (map_phases(s, nvpf, quick=True).change for s in (once, thrice))
    assert three.needed_sigma > one.needed_sigma


def test_a_third_of_the_specimen_changed_makes_a_map_poor(nvpf, rng):
    maps = map_phases(stack(nvpf, rng, share=0.4), nvpf, quick=True)
    assert abs(maps.change.share) > 0.3
    assert maps.quality.verdict == "poor"
