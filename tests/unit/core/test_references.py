import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stxm_live.core.recipe_files import read_mask, read_two_columns
from stxm_live.core.references import ReferenceSpectra
from stxm_live.core.spectrum_tables import roughness

ENERGIES_EV = np.array([510.0, 512.0, 515.0, 520.0])
OD = np.array([[0.1, 0.9, 0.3, 0.2], [0.1, 0.4, 1.0, 0.2]])


def references(names=("a", "b"), energies_ev=ENERGIES_EV, od=OD, **options):
    return ReferenceSpectra(tuple(names), np.array(energies_ev), np.array(od), **options)


@pytest.fixture
def csv_file(tmp_path):
    def write(text):
        path = tmp_path / "references.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_csv_is_read_with_its_names_in_order_whatever_the_order_of_its_lines(csv_file):
    path = csv_file("energy_ev, b ,a\n512,2,1\n\n# dried\n510,1,4\n515,3,2\n")
    read = ReferenceSpectra.from_csv(path)
    assert read.phase_names == ("b", "a")
    assert read.energies_ev.tolist() == [510, 512, 515]
    assert read.od.tolist() == [[1, 2, 3], [4, 1, 2]]
    assert not read.synthetic


def test_a_csv_with_a_byte_order_mark_is_read_like_any_other(csv_file):
    read = ReferenceSpectra.from_csv(csv_file("\ufeffenergy_ev,a,b\n510,1,2\n511,2,1\n"))
    assert read.phase_names == ("a", "b")


def test_a_comment_marks_calculated_spectra_as_synthetic(csv_file):
    text = "# SYNTHETIC, from multiplets\nenergy_ev,a,b\n510,1,2\n511,2,1\n"
    assert ReferenceSpectra.from_csv(csv_file(text)).synthetic


@settings(max_examples=10)
@given(
    od=st.lists(st.tuples(*[st.floats(-1e6, 1e6)] * 3), min_size=2, max_size=20).filter(
        lambda rows: all(np.ptp(column) > 0 for column in zip(*rows, strict=True))
    ),
    synthetic=st.booleans(),
)
def test_writing_and_reading_keeps_every_digit(tmp_path_factory, od, synthetic):
    energies_ev = 500 + np.arange(len(od)) / 3
    names = ("Na3VPF", "with, comma", "Na1-yVPF")
    before = ReferenceSpectra(names, energies_ev, np.array(od).T, synthetic)
    path = tmp_path_factory.mktemp("csv") / "references.csv"
    before.to_csv(path)
    after = ReferenceSpectra.from_csv(path)
    assert after.phase_names == names
    assert after.synthetic == synthetic
    assert np.array_equal(after.energies_ev, before.energies_ev)
    assert np.array_equal(after.od, before.od)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("energy_ev,a,b\n510,1,2\n511,x,1\n", "line 3: expected 3 numbers, got '511,x,1'"),
        ("energy_ev,a,b\n# note\n510,1\n511,2,1\n", "line 3: expected 3 numbers, got '510,1'"),
        ("energy_ev,a,b\n510,1,2\n511,2,1,7\n", "line 3: expected 3 numbers, got '511,2,1,7'"),
        ("energy_ev,a,b\n510,1,2\n511,2,1\n512\n", "line 4: expected 3 numbers, got '512'"),
        ("energy_ev,a,b\n510,1,2\n511,,1\n", "line 3: expected 3 numbers, got '511,,1'"),
        ("# energy_ev,a,b\n510,1,2\n511,2,1\n", "write energy_ev,<phase>.* above, without #"),
        ("energy_ev,a\n510,1\n511,2\n", "expected a header energy_ev,<phase>"),
        ("energy_ev,a,b\n", "expected a header .* and lines of numbers"),
        ("", "expected a header"),
        ("energy_ev,a,b\n510,1,2\n510,2,1\n", "energies of the references must ascend, each once"),
        ("energy_ev,a,b\n510,1,nan\n511,2,1\n", "not a finite number"),
        ("energy_ev,a,a\n510,1,2\n511,2,1\n", "two columns have the same name"),
        ("energy_ev,a,b\n510,1,2\n511,1,1\n", "reference a is constant"),
        ("energy_ev,a,b\n510,1,2\n1e400,2,1\n", "energies .* must be finite numbers"),
        ("energy_ev,a,b\n510,.1,.25\n511,.2,.35\n512,.3,.", "expected 3 numbers, got '512,.3,.'"),
        ("energy_ev,a,b\n510,.1,.25\n511,.2,.35\n512,.3,.4", "may be cut, .* and '512,.3,.4'"),
        ("energy_ev;a;b\n510;0,1;0,25\n511;0,2;0,35\n512;0,3;0", "may be cut"),
        (f"energy_ev,{'a' * 200_000},b\n510,1,2\n511,2,1\n", "no table .field larger than"),
    ],
)
def test_a_faulty_csv_is_refused_with_its_name_and_the_place(csv_file, text, problem):
    with pytest.raises(ValueError, match=rf"references\.csv.*{problem}"):
        ReferenceSpectra.from_csv(csv_file(text))


def test_a_line_of_any_length_is_not_repeated_in_the_error(csv_file):
    with pytest.raises(ValueError, match="line 3") as refused:
        ReferenceSpectra.from_csv(csv_file("energy_ev,a,b\n510,1,2\n" + "x," * 10**5))
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize("read", [ReferenceSpectra.from_csv, read_two_columns, read_mask])
def test_a_pipe_in_place_of_a_file_is_refused_and_not_waited_for(tmp_path, read):
    pipe = tmp_path / "pipe.msk"
    os.mkfifo(pipe)
    with pytest.raises(ValueError, match="not a regular file"):
        read(pipe)


def test_spectra_of_another_shape_than_names_and_energies_are_refused():
    with pytest.raises(ValueError, match=r"2 phases at 4 energies.*\(4, 2\)"):
        references(od=OD.T)


def test_between_its_points_a_reference_is_a_straight_line():
    at = references().at([510.0, 511.0, 517.5])
    np.testing.assert_allclose(at, [[0.1, 0.5, 0.25], [0.1, 0.25, 0.6]], rtol=1e-12)


def test_energies_that_are_not_covered_are_named_and_never_extrapolated():
    with pytest.raises(ValueError, match=r"cover 510 to 520 eV, the scan has 505, 532\.2 eV") as e:
        references().at([505, 512, 532.2])
    assert "exclude_energies_ev" in str(e.value)


def test_spectra_measured_apart_meet_on_the_first_ones_energies_where_all_reach():
    merged = ReferenceSpectra.from_spectra(
        {"a": ([1, 2, 3, 4], [1, 0, 5, 9]), "b": ([1.5, 2.5, 3.5], [3, 5, 7])}
    )
    assert merged.energies_ev.tolist() == [2, 3]
    assert merged.od.tolist() == [[0, 5], [4, 6]]


@settings(max_examples=10)
@given(seed=st.integers(0, 999))
def test_the_order_in_which_a_spectrum_was_measured_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    spectra = {name: (np.sort(rng.random(9)), rng.random(9)) for name in "abc"}
    spectra = {
        n: (np.concatenate([[0], e, [1]]), np.r_[0, od, 1]) for n, (e, od) in spectra.items()
    }
    expected = ReferenceSpectra.from_spectra(spectra)
    order = rng.permutation(11)
    mixed = {n: (e[order], od[order]) for n, (e, od) in spectra.items()}
    merged = ReferenceSpectra.from_spectra(mixed)
    assert np.array_equal(merged.energies_ev, expected.energies_ev)
    assert np.array_equal(merged.od, expected.od)


def test_spectra_that_share_no_energies_are_refused_with_their_ranges():
    spectra = {"a": ([1, 2, 3], [1, 2, 4]), "b": ([6, 7, 8], [9, 2, 1])}
    with pytest.raises(ValueError, match=r"a: 1 to 3 eV, b: 6 to 8 eV"):
        ReferenceSpectra.from_spectra(spectra)


def test_the_correlation_of_references_is_that_of_numpy(nvpf):
    spectra = nvpf.reference_spectra
    expected = np.corrcoef(spectra.at(nvpf.energies_ev))
    correlation = spectra.correlation(nvpf.energies_ev)
    np.testing.assert_allclose(correlation, expected, atol=1e-12)
    closest = 1 - np.max(expected - 2 * np.eye(5))
    assert spectra.smallest_separation(nvpf.energies_ev) == pytest.approx(closest)
    # shared design, section 5
    assert closest == pytest.approx(0.0078, abs=1e-4)


def test_pairs_that_cannot_be_told_apart_are_named_once_each(nvpf):
    spectra = nvpf.reference_spectra
    matrix = np.corrcoef(spectra.at(nvpf.energies_ev))
    names = spectra.phase_names
    for threshold in (0.005, 0.01, 0.05, 3):
        expected = {
            (names[i], names[j]) for i in range(5) for j in range(i) if 1 - matrix[i, j] < threshold
        }
        found = spectra.inseparable_pairs(nvpf.energies_ev, threshold)
        assert {(b, a) for a, b in found} == expected
        assert len(found) == len(expected)
    assert len(found) == 10


def test_one_energy_separates_nothing():
    assert references().correlation([512]).tolist() == [[1, 1], [1, 1]]
    assert references().smallest_separation([512]) == 0


@pytest.mark.parametrize("level", [0.0, 0.1, 0.7])
def test_references_that_are_flat_so_far_are_not_told_apart_yet(level):
    flat = references(
        ("a", "b", "c"), range(5), [[0.1, 0.1, 0.1, 1, 2], [level] * 3 + [2, 1], [3, 1, 2, 5, 5]]
    )
    np.testing.assert_allclose(flat.correlation([0, 1, 2]), 1, atol=1e-12)
    assert ("a", "b") in flat.inseparable_pairs([0, 1, 2], 0.005)


@pytest.mark.parametrize(
    "text",
    [
        "515.6\t1.25\t\n517.5\t2.5\t\n",
        "energy, i0\n517.5,2.5\n515.6,1.25\n",
        "% written by a beamline\n* 1 2\n# 3 4\nPhoton energy  I0\n515.6  1.25\n\n517.5  2.50",
        "515,6\t1,25\n517,5\t2,5\n",
        "515,6;1,25\n517,5;2,5\n",
        "Energie;I0\n515,60 ; 1,250\n517,50 ; 2,500\n",
    ],
)
def test_a_spectrum_of_two_columns_is_read_from_the_fields_usual_files(tmp_path, text):
    path = tmp_path / "i0.xsp"
    path.write_text(text)
    energies_ev, values = read_two_columns(path)
    assert energies_ev.tolist() == [515.6, 517.5]
    assert values.tolist() == [1.25, 2.5]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("e i0\n515 1\n516 ?\n517 2\n", "line 3: expected 2 numbers, got '516 [?]'"),
        ("515 1\n516\n", "line 2: expected 2 numbers"),
        ("515 1\n515 2\n", "515 eV is listed twice"),
        ("only words\n", "no columns of numbers"),
        ("515 1\n", "no columns of numbers"),
        ("515 1 2\n516 1 3\n", "has 2 columns beside the energy"),
        ("515.5\t1,250\n516.5\t1,300\n", "'1,250' may have a decimal comma"),
        ("515,5,1,25\n516,5,1,30\n", "has 3 columns beside the energy"),
        ("\0\1\2\3\4\5\6", "not a text file"),
        ("515 1.25\n516 1.50\n517 1.", "may be cut, .* and '517 1.' is shorter"),
    ],
)
def test_a_faulty_spectrum_is_refused_with_its_name_and_the_place(tmp_path, text, problem):
    path = tmp_path / "i0.xsp"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"i0\.xsp.*{problem}"):
        read_two_columns(path)


def test_corrected_references_hold_at_a_nominal_energy_the_od_of_the_true_one(nvpf):
    spectra = nvpf.reference_spectra
    nominal = np.arange(505, 540, 0.7)
    for offset_ev in (-0.4, 0.3):
        np.testing.assert_allclose(
            spectra.corrected(offset_ev, 0).at(nominal), spectra.at(nominal + offset_ev), atol=1e-12
        )
    assert spectra.corrected(0, 0) is spectra


def test_a_width_is_a_convolution_with_a_gaussian(nvpf):
    spectra = nvpf.reference_spectra
    step = 0.005
    fine = np.arange(510, 540, step)
    for width_ev in (0.03, 0.3):
        reach = np.arange(-6 * width_ev, 6 * width_ev + step / 2, step)
        kernel = np.exp(-0.5 * (reach / width_ev) ** 2)
        inner = slice(len(reach) // 2, -(len(reach) // 2))
        expected = [np.convolve(od, kernel / kernel.sum(), "valid") for od in spectra.at(fine)]
        blurred = spectra.corrected(0, width_ev).at(fine[inner])
        np.testing.assert_allclose(blurred, expected, atol=6e-3 * np.ptp(spectra.od))


def test_offset_and_width_together_do_what_one_after_the_other_does():
    both = references().corrected(0.4, 0.7)
    one_by_one = references().corrected(0, 0.7).corrected(0.4, 0)
    np.testing.assert_allclose(both.energies_ev, one_by_one.energies_ev)
    np.testing.assert_allclose(both.od, one_by_one.od)


def test_a_straight_line_stays_straight_up_to_its_ends_however_wide_the_beam():
    line = references(od=np.array([[0.0, 2.0, 5.0, 10.0], [10.0, 8.0, 5.0, 0.0]]))
    broad = line.corrected(0, 1.5)
    np.testing.assert_allclose(broad.at(ENERGIES_EV), line.od, atol=1e-12)
    assert (broad.energies_ev[0], broad.energies_ev[-1]) == (510, 520)


def test_corrected_references_are_not_extrapolated():
    with pytest.raises(ValueError, match=r"cover 510.3 to 520.3 eV, the scan has 510 eV"):
        references().corrected(-0.3, 0.1).at([510.0, 515.0])


@pytest.mark.parametrize("wrong", [(np.nan, 0), (0, -0.1), (0, np.inf)])
def test_an_offset_or_width_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match="expected two finite numbers, the width not negative"):
        references().corrected(*wrong)


def test_a_width_far_below_the_steps_of_the_references_costs_nothing_and_changes_nothing(nvpf):
    spectra = nvpf.reference_spectra
    narrow = spectra.corrected(0, 1e-12)
    assert narrow.od.shape[1] <= 10 * spectra.od.shape[1]
    np.testing.assert_allclose(narrow.at(spectra.energies_ev), spectra.od, atol=1e-9)


def test_the_references_last_values_hold_a_little_beyond_their_ends(nvpf):
    spectra = nvpf.reference_spectra
    low, high = spectra.energies_ev[[0, -1]]

    at_end = spectra.at([low - 0.05, high + 0.05])

    np.testing.assert_array_equal(at_end, spectra.od[:, [0, -1]])
    assert spectra.beyond([low - 0.05, high]) == [low - 0.05]
    with pytest.raises(ValueError, match=r"references cover .* extend the references"):
        spectra.at([high + 0.06])


def test_references_in_kev_are_told_from_references_that_end_too_early():
    spectra = np.array([[0.1, 0.5, 0.4], [0.2, 0.3, 0.9]])
    in_kev = ReferenceSpectra(("a", "b"), np.array([0.505, 0.515, 0.52]), spectra)
    with pytest.raises(ValueError, match=r"references in keV\? write them in eV"):
        in_kev.at([505.0, 517.5])


def test_a_long_table_is_broadened_as_a_short_one():
    energies = np.arange(500.0, 560.0, 0.02)
    od = np.array([np.sin(energies), np.cos(energies / 3)])
    near = (energies > 520) & (energies < 540)
    wanted = np.array([531.0, 527.5, 530.01])

    of_all = ReferenceSpectra(("a", "b"), energies, od).broadened_at(wanted, 0.3)
    of_some = ReferenceSpectra(("a", "b"), energies[near], od[:, near]).broadened_at(wanted, 0.3)

    np.testing.assert_allclose(of_all, of_some, atol=1e-12)


def test_noise_is_seen_in_many_points_and_peaks_are_none():
    energies = np.arange(700, 730, 0.1)
    narrow = np.exp(-0.5 * ((energies - 708) / 0.25) ** 2) + 0.3 / (
        1 + np.exp(-(energies - 712) / 0.3)
    )
    noise = np.random.default_rng(7).normal(scale=0.02, size=energies.size)
    spectra = np.stack([narrow, narrow[::-1], narrow + noise])
    assert roughness(spectra)[:2].max() < 1e-3
    assert roughness(spectra)[2] == pytest.approx(0.02, rel=0.15)
    assert not roughness(spectra[:, ::12]).any()  # every point of 25 is on the peak


def test_standard_errors_that_are_given_count_and_others_are_seen():
    energies = np.arange(700, 730, 0.1)
    noise = np.random.default_rng(8).normal(scale=0.02, size=(2, energies.size))
    od = 1 + np.sin(energies / 3) + noise
    seen = ReferenceSpectra(("a", "b"), energies, od).std_at([710.0])
    np.testing.assert_allclose(seen[:, 0], 0.02, rtol=0.2)
    given = np.stack([np.full(energies.size, 0.5), np.full(energies.size, np.nan)])
    both = ReferenceSpectra(("a", "b"), energies, od, od_std=given)
    np.testing.assert_allclose(both.std_at([710.0])[:, 0], [0.5, seen[1, 0]])
    assert both.corrected(0.1, 0.2).std_at([710.0])[1, 0] == pytest.approx(seen[1, 0])
    smooth = ReferenceSpectra(("a", "b"), energies, od - noise + [[0.0], [0.1]])
    assert smooth.std_at([710.0]) is None
