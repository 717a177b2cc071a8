from itertools import combinations, pairwise

import numpy as np
import pytest
from scipy.special import ndtr

from stxm_live.adaptive.energies.cost import THICKNESSES, Conditions, Expected, expect
from stxm_live.adaptive.energies.selection import Offer, choose_energies, choose_fewer
from stxm_live.core.references import ReferenceSpectra

GRID = np.arange(500.0, 520.05, 0.5)


def peak(center_ev, width_ev=1.0, height=1.0):
    return height * np.exp(-0.5 * ((GRID - center_ev) / width_ev) ** 2)


def references(*spectra):
    od = np.array([0.1 + spectrum for spectrum in spectra])
    return ReferenceSpectra(tuple("abcdef"[: len(od)]), GRID, od)


TWO_PEAKS = references(peak(508), peak(511))


@pytest.mark.parametrize("baseline", ["none", "slope"])
def test_the_chosen_energies_label_as_well_as_the_best_of_all_lists(baseline):
    conditions = Conditions(300, axis_error_ev=0.0, baseline=baseline)
    spectra = references(peak(508), peak(508.8), 0.5 * peak(508) + 0.8 * peak(515))
    chosen = choose_energies(
        spectra, 3, conditions, Offer(506, 517, keep_ev=(500.0,), min_step_ev=1.0)
    )
    assert chosen[0] == 500.0
    offered = np.arange(506.0, 517.5, 1.0)
    lists = [(500.0, *pair) for pair in combinations(offered, 2) if pair[1] - pair[0] >= 1.0]
    rng = np.random.default_rng(0)
    found, *others = (expect(spectra, e, conditions, rng).mixed_accuracy for e in (chosen, *lists))
    # simulated accuracies of 6000 pixels are uncertain by half a point
    assert found > max(others) - 0.015
    assert np.ptp(others) > 0.2


def test_the_expected_accuracy_of_two_phases_is_the_closed_form():
    conditions = Conditions(2000, od=0.05, axis_error_ev=0.0, baseline="none")
    energies = (504.0, 508.0, 511.0)
    r = TWO_PEAKS.at(energies)
    expected = []
    for thickness in THICKNESSES:
        t = thickness * 0.05 / TWO_PEAKS.od.mean(axis=0).max()
        for own, rival in (r, r[::-1]):
            weight = 2000 * np.exp(-t * own)
            u, v = (np.sqrt(weight) * spectrum for spectrum in (own, rival))
            angle = np.arccos(u @ v / np.linalg.norm(u) / np.linalg.norm(v))
            expected.append(ndtr(t * np.linalg.norm(u) * np.sin(angle / 2)))
    found = expect(TWO_PEAKS, energies, conditions, np.random.default_rng(1))
    assert found.accuracy == pytest.approx(np.mean(expected), abs=0.01)
    assert 0.7 < np.mean(expected) < 0.98


@pytest.mark.parametrize(
    ("baseline", "pre_edge", "post_edge"),
    [("none", 0, 0), ("constant", 0, 1), ("auto", 0, 1), ("slope", 1, 1)],
)
def test_what_a_spectrum_may_have_beside_its_phase_asks_for_energies_beside_the_peaks(
    baseline, pre_edge, post_edge
):
    spectra = references(peak(509, 1.5), peak(510.5, 1.5), peak(509.7, 2.0))
    chosen = np.array(choose_energies(spectra, 5, Conditions(1000, baseline=baseline)))
    assert (chosen < 504).sum() == pre_edge
    assert (chosen > 515).sum() == post_edge


def test_a_background_costs_accuracy_which_is_expected_beforehand():
    spectra = references(peak(509, 1.5), peak(510.5, 1.5), peak(509.7, 2.0))
    energies = (507.5, 508.0, 511.5, 512.0)
    none, usual, slope = (
        expect(spectra, energies, Conditions(100, baseline=b), np.random.default_rng(4)).accuracy
        for b in ("none", "auto", "slope")
    )
    assert none > usual + 0.005 > slope


def test_of_two_peaks_both_are_taken_and_the_noise_beside_them_is_not():
    chosen = choose_energies(
        TWO_PEAKS, 3, Conditions(1000), Offer(keep_ev=(500.0,), min_step_ev=1.0)
    )
    assert chosen[0] == 500.0
    assert np.abs(np.subtract(chosen[1:], (508, 511))).max() <= 1.0


def test_steep_energies_are_left_when_the_axis_may_be_off():
    # the difference is largest on a steep flank, and a little smaller on a plateau
    edge = 3.0 / (1 + np.exp(-(GRID - 510.0) / 0.5))
    flank, plateau = peak(510, 0.5, 0.45), peak(516, 1.0, 0.3)
    spectra = references(edge, edge + flank + plateau)
    keep = (500.0, 520.0)
    sure = choose_energies(spectra, 3, Conditions(1000, axis_error_ev=0.0), Offer(keep_ev=keep))
    unsure = choose_energies(spectra, 3, Conditions(1000, axis_error_ev=0.3), Offer(keep_ev=keep))
    assert sure[1] == pytest.approx(510, abs=1.0)
    assert unsure[1] == pytest.approx(516, abs=1.0)


def test_every_phase_more_and_every_photon_less_makes_it_harder():
    rng = np.random.default_rng(2)
    spectra = references(peak(508), peak(509), peak(510))
    energies = (500.0, 507.0, 508.0, 509.0, 510.0, 511.0)
    many = expect(spectra, energies, Conditions(3000), rng)
    few = expect(spectra, energies, Conditions(30), rng)
    off = expect(spectra, energies, Conditions(3000, axis_error_ev=0.5), rng)
    assert many.accuracy > few.accuracy + 0.05
    assert many.accuracy > off.accuracy + 0.05
    assert many.accuracy > many.mixed_accuracy
    np.testing.assert_allclose(few.confusion.sum(axis=1), 1)


def test_the_worst_pair_is_the_one_mistaken_most_often_both_ways():
    confusion = np.array([[0.7, 0.2, 0.1], [0.2, 0.8, 0.0], [0.32, 0.0, 0.68]])
    first, second, share = Expected(0.7, 0.6, confusion).worst_pair()
    assert (first, second) == (0, 2)
    assert share == pytest.approx(0.21)


def test_fewer_energies_keep_the_ones_to_keep_and_lose_accuracy(nvpf):
    spectra = nvpf.reference_spectra
    conditions = Conditions(1000)
    chosen = choose_energies(spectra, 8, conditions, Offer(keep_ev=(505.0,)))
    fewer = list(choose_fewer(spectra, chosen, conditions, Offer(keep_ev=(505.0,)), fewest=4))
    assert [len(e) for e in fewer] == [7, 6, 5, 4]
    assert all(505.0 in e for e in fewer)
    rng = np.random.default_rng(3)
    accuracies = [expect(spectra, e, conditions, rng).accuracy for e in (chosen, *fewer)]
    assert accuracies[0] > accuracies[-1] + 0.03
    assert all(b < a + 0.005 for a, b in pairwise(accuracies))


def test_energies_ascend_at_least_a_step_apart_inside_the_range(nvpf):
    chosen = choose_energies(
        nvpf.reference_spectra,
        10,
        Conditions(1000),
        Offer(513, 532, (505.03,), 0.5),
    )
    assert chosen[0] == 505.03
    assert min(np.diff(chosen)) >= 0.5 - 1e-9
    assert chosen[1] >= 513
    assert chosen[-1] <= 532
    assert len(chosen) == 10


@pytest.mark.parametrize(
    ("n", "options", "message"),
    [
        (1, {}, "1 energies distinguish no phases; choose at least 2"),
        (99, {}, r"99 energies asked for, 41 are there to choose from \(500 to 520 eV\)"),
        (5, {"low_ev": 600}, "5 energies asked for, 0 are there to choose from"),
        (2, {"keep_ev": (500, 501, 502)}, r"3 energies are to be kept \(500, 501, 502 eV\)"),
        (4, {"keep_ev": (499, 505)}, "references cover 500 to 520 eV, the scan has 499 eV"),
        (9, {"min_step_ev": 5}, "9 energies asked for, 5 are there"),
    ],
)
def test_what_cannot_be_chosen_is_refused_with_advice(n, options, message):
    with pytest.raises(ValueError, match=message):
        choose_energies(TWO_PEAKS, n, Conditions(1000), Offer(**options))


def test_conditions_without_photons_are_refused():
    with pytest.raises(ValueError, match="photons = 0: expected a number above 0"):
        Conditions(0)
    with pytest.raises(ValueError, match="axis_error_ev = -1: expected 0 or more eV"):
        Conditions(100, axis_error_ev=-1)


def test_references_that_are_nowhere_positive_have_no_thickness():
    negative = ReferenceSpectra(("a", "b"), GRID, -np.array([peak(508), peak(510)]) - 1)
    with pytest.raises(ValueError, match="nowhere positive"):
        choose_energies(negative, 4, Conditions(100))
