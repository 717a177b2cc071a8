from functools import cache

import numpy as np
import pytest

from stxm_live.core.recipe import Recipe
from stxm_live.core.recipe_files import read_mask, read_two_columns
from stxm_live.core.references import ReferenceSpectra
from stxm_live.io.files import read_stack
from stxm_live.phase_mapping.energy_calibration.fit import (
    REACH_EV,
    EnergyAxisError,
    fit_energy_axis,
)
from stxm_live.phase_mapping.energy_calibration.likelihood import compositions
from stxm_live.phase_mapping.energy_calibration.search import Place
from stxm_live.phase_mapping.energy_calibration.uncertainty import formal_std
from stxm_live.phase_mapping.weighted_products import Baseline
from stxm_live.sim.phantom import STATES_OF_CHARGE, make_particle

RECIPE = Recipe.load("nvpf")
REFERENCES = RECIPE.reference_spectra
ENERGIES_EV = np.array(RECIPE.energies_ev)


@cache
def amounts(state):
    """Shares times thickness in 100 nm of a particle's pixels, (n_phases, n_spectra)."""
    particle = make_particle(
        (70, 76), phase_weights=STATES_OF_CHARGE[state], rng=np.random.default_rng(3)
    )
    return (particle.fractions * particle.thickness_nm / 100)[:, particle.specimen]


def measured(amount, photons, offset_ev=0.0, width_ev=0.0, energies_ev=ENERGIES_EV, seed=1):
    """OD and counts, (n_energies, n_spectra), seen by a monochromator that is off."""
    od = REFERENCES.broadened_at(np.asarray(energies_ev) + offset_ev, width_ev).T @ amount
    rng = np.random.default_rng(seed)
    counts = rng.poisson(photons * np.exp(-od)).clip(1).astype(np.float32)
    return np.log(photons / counts), counts


def fitted(amount, photons=2000, references=REFERENCES, energies_ev=ENERGIES_EV, **options):
    around = options.pop("around_ev", 0.0)
    baseline = options.pop("baseline", None)
    od, counts = measured(amount, photons, energies_ev=energies_ev, **options)
    return fit_energy_axis(
        od, counts, references, np.asarray(energies_ev), around_ev=around, baseline=baseline
    )


def one_phase(phase, n=1500):
    return np.eye(5)[:, [phase]] * np.random.default_rng(4).uniform(1, 7, n)


@pytest.mark.parametrize(
    ("photons", "offset_ev", "width_ev"),
    [(2000, 0, 0), (500, 0.4, 0.2), (2000, -0.3, 0.1), (500, 0.2, 0.3)],
)
def test_a_planted_offset_and_width_are_found_together(photons, offset_ev, width_ev):
    axis = fitted(amounts("Na2VPF"), photons, offset_ev=offset_ev, width_ev=width_ev)
    assert axis.offset_ev == pytest.approx(offset_ev, abs=0.05 if photons == 2000 else 0.08)
    assert axis.width_ev == pytest.approx(width_ev, abs=0.1)
    assert axis.has_offset(0, 0.05) == (offset_ev != 0)
    assert not axis.has_offset(offset_ev, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("state", STATES_OF_CHARGE)
def test_the_offset_is_found_at_every_state_of_charge(state):
    axis = fitted(amounts(state), 500, offset_ev=-0.4, width_ev=0.2)
    assert axis.offset_ev == pytest.approx(-0.4, abs=0.08)
    assert axis.width_ev == pytest.approx(0.2, abs=0.1)


def test_one_composition_between_two_references_is_no_offset_but_an_uncertain_one():
    halfway = one_phase(2) / 2 + one_phase(3) / 2
    axis = fitted(halfway)
    assert abs(axis.offset_ev) < 0.03  # 0.13 with pure phases only
    assert axis.offset_std_ev > 20 * axis.formal_std_ev
    assert not axis.has_offset(0, 0.05)


def test_a_width_without_curvature_leaves_the_offset_as_sure_as_it_is():
    place = Place(0.2, 0.05, np.array([[-2.5e5, -1e4], [-1e4, 400.0]]))
    offset_std_ev, width_std_ev = formal_std(place, (-0.8, 0.8))
    assert offset_std_ev == pytest.approx(0.002, rel=1e-3)
    assert width_std_ev == pytest.approx(0.6 / np.sqrt(12))  # of an even distribution


@pytest.mark.parametrize("seed", [1, 2])
def test_the_offset_of_one_thickness_of_one_phase_is_found_off_the_search_grid(seed):
    amount = np.tile(4.0 * np.eye(5)[:, [3]], 1200)
    axis = fitted(amount, 1000, offset_ev=0.23, seed=seed)
    assert axis.offset_ev == pytest.approx(0.23, abs=0.012)
    assert axis.formal_std_ev < 0.01
    assert axis.has_offset(0, 0.05)


def test_with_one_phase_only_offset_and_oxidation_cannot_be_told_apart_and_it_says_so():
    axis = fitted(one_phase(1), offset_ev=0.1)
    assert any("energy offset and oxidation cannot be told apart" in n for n in axis.notes)
    assert any("(Na2.4VPF)" in n for n in axis.notes)
    assert axis.offset_std_ev >= 0.05
    assert not fitted(amounts("Na1-yVPF")).notes


def test_few_photons_make_the_uncertainty_large_and_no_offset_certain():
    few = fitted(amounts("Na2VPF"), 8, seed=2)
    assert few.offset_std_ev > 2 * fitted(amounts("Na2VPF"), 500).formal_std_ev
    assert abs(few.offset_ev) < 3 * few.offset_std_ev


@pytest.mark.parametrize("baseline", [None, Baseline.constant(13)])
def test_pixels_too_thin_to_tell_anything_are_refused(baseline):
    with pytest.raises(EnergyAxisError, match="too thin, or too few photons"):
        fitted(0.01 * amounts("Na2VPF"), 500, offset_ev=0.2, baseline=baseline)


def test_a_constant_od_does_no_harm_where_each_spectrum_may_have_one():
    od, counts = measured(amounts("Na2VPF"), 2000, offset_ev=0.3)
    axis = fit_energy_axis(
        od + 0.8, counts, REFERENCES, ENERGIES_EV, baseline=Baseline.constant(13)
    )
    assert axis.offset_ev == pytest.approx(0.3, abs=0.05)


def test_photons_counted_in_another_unit_change_nothing_of_note():
    od, counts = measured(amounts("Na2VPF"), 2000, offset_ev=0.3, width_ev=0.2)
    axis = fit_energy_axis(od, 0.2 * counts, REFERENCES, ENERGIES_EV)
    assert axis.offset_ev == pytest.approx(0.3, abs=0.05)
    assert axis.width_ev == pytest.approx(0.2, abs=0.1)


def test_spectra_with_a_value_that_is_missing_are_left_out():
    od, counts = measured(amounts("Na2VPF"), 2000, offset_ev=0.3)
    od[3, ::5], counts[4, 1::5] = np.nan, 0
    assert fit_energy_axis(od, counts, REFERENCES, ENERGIES_EV).offset_ev == pytest.approx(
        0.3, abs=0.05
    )
    for k in range(len(od)):  # no spectrum is whole
        counts[k, k :: len(od)] = 0
    od = np.nan_to_num(od, nan=0.5)
    assert fit_energy_axis(od, counts, REFERENCES, ENERGIES_EV).offset_ev == pytest.approx(
        0.3, abs=0.06
    )
    with pytest.raises(EnergyAxisError, match="0 nearly whole spectra; the energy axis needs 30"):
        fit_energy_axis(np.full_like(od, np.nan), counts, REFERENCES, ENERGIES_EV)


def test_two_energies_are_too_few():
    with pytest.raises(EnergyAxisError, match="2 energies; the energy axis needs 5 at least"):
        fitted(amounts("Na2VPF"), energies_ev=[515.6, 517.5])


def cut(low_ev, high_ev):
    kept = (REFERENCES.energies_ev >= low_ev - 1e-6) & (REFERENCES.energies_ev <= high_ev + 1e-6)
    return ReferenceSpectra(
        REFERENCES.phase_names, REFERENCES.energies_ev[kept], REFERENCES.od[:, kept]
    )


def test_references_that_end_where_the_scan_does_are_not_extrapolated():
    axis = fitted(amounts("Na2VPF"), references=cut(505, 532.2), offset_ev=0.3)
    assert axis.offset_ev == pytest.approx(0.3, abs=0.05)
    assert axis.notes == (
        "the energy axis is fitted without 505, 532.2 eV, where the references end",
    )


def test_references_that_allow_one_direction_only_say_where_the_search_ended():
    energies = ENERGIES_EV[1:8]
    references = cut(energies[0], energies[-1] + 0.35)
    axis = fitted(amounts("Na2VPF"), references=references, energies_ev=energies, offset_ev=0.2)
    assert (axis.offsets_ev[0], axis.offsets_ev[-1]) == pytest.approx((0, 0.35), abs=0.06)
    assert axis.offset_ev == pytest.approx(0.2, abs=0.05)
    axis = fitted(amounts("Na2VPF"), references=references, energies_ev=energies, offset_ev=-0.2)
    assert axis.offset_ev >= 0
    assert any("at the end of what was tried" in note for note in axis.notes)


def test_references_of_the_scans_own_range_and_few_energies_leave_nothing_to_try():
    energies = ENERGIES_EV[1:7]
    with pytest.raises(EnergyAxisError, match=r"hardly reach beyond the scan .*no offset"):
        fitted(amounts("Na2VPF"), references=cut(energies[0], energies[-1]), energies_ev=energies)


def test_an_offset_known_beforehand_moves_the_search():
    axis = fitted(amounts("Na2VPF"), offset_ev=1.1, around_ev=1.0)
    assert axis.offset_ev == pytest.approx(1.1, abs=0.05)
    assert axis.offsets_ev[-1] == pytest.approx(1 + REACH_EV)
    assert not axis.has_offset(1.1, 0.05)


def test_the_same_spectra_give_the_same_axis_bit_for_bit():
    one, two = (fitted(amounts("Na1VPF"), 500, offset_ev=0.2) for _ in range(2))
    assert (one.offset_ev, one.offset_std_ev, one.width_ev) == (
        two.offset_ev,
        two.offset_std_ev,
        two.width_ev,
    )
    np.testing.assert_array_equal(one.log_likelihood, two.log_likelihood)


def test_many_phases_are_tried_with_fewer_mixtures():
    for n, expected in ((5, 35), (8, 36), (10, 55), (14, 14)):
        shares = compositions(n)
        assert len(shares) == expected
        np.testing.assert_allclose(shares.sum(axis=1), 1)
        np.testing.assert_array_equal(shares[:n], np.eye(n))


@pytest.mark.real
def test_a_measured_stack_moved_by_hand_tells_by_how_much(real_folder):
    spectra = {
        name: read_two_columns(real_folder / f"{name}.t") for name in ("oxidized", "reduced")
    }
    references = ReferenceSpectra.from_spectra(spectra)
    stack = read_stack(real_folder / "71214078.hdr")
    energies, counts = np.array(stack.energies_ev), stack.intensity()
    i0 = np.interp(energies, *read_two_columns(real_folder / "i0.xsp"))
    inside = read_mask(real_folder / "mask_file.msk")
    od = np.log(i0[:, None] / counts[:, inside])
    for offset_ev in (-0.4, 0.0, 0.3):
        true = energies + offset_ev
        kept = (true >= energies[0]) & (true <= energies[-1])
        moved = np.array([np.interp(true[kept], energies, pixel) for pixel in od.T]).T
        axis = fit_energy_axis(
            moved,
            counts[:, inside][kept],
            references,
            energies[kept],
            baseline=Baseline.constant(int(kept.sum())),
        )
        assert axis.offset_ev == pytest.approx(offset_ev, abs=0.05)
        assert axis.has_offset(0, 0.05) == (offset_ev != 0)
