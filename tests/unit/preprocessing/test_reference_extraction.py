import numpy as np
import pytest
from particles import particle_counts, particle_stack

from stxm_live.core.references import ReferenceSpectra
from stxm_live.core.stack import Stack
from stxm_live.io.files.spectrum_columns import read_columns
from stxm_live.preprocessing.reference_extraction import (
    MeasuredSpectrum,
    doubts,
    joined,
    region_spectrum,
    with_estimated_noise,
    write_references,
)

ENERGIES = np.linspace(500, 520, 41)


def spectrum(name, od, energies_ev=ENERGIES, **options):
    return MeasuredSpectrum(name, np.asarray(energies_ev), np.asarray(od), f"{name}.xsp", **options)


def peak(center_ev, energies_ev=ENERGIES):
    return 0.2 + np.exp(-0.5 * (energies_ev - center_ev) ** 2)


@pytest.fixture
def recipe(nvpf):
    return nvpf.with_changes({"alignment.enabled": False})


def uniform_stack(photons, rng):
    """A slab of a known spectrum, of two thicknesses, in the middle of an empty field."""
    od = peak(510.0)
    thickness = np.zeros((40, 50))
    thickness[10:30, 10:25], thickness[10:30, 25:40] = 0.7, 1.3
    counts = rng.poisson(photons * np.exp(-od[:, None, None] * thickness))
    return Stack.from_arrays(counts, ENERGIES, extent_um=(10.0, 14.9, 5.0, 1.1)), od


def test_the_mean_of_a_region_is_the_planted_spectrum_within_its_standard_error(recipe, rng):
    stack, od = uniform_stack(150, rng)
    found = region_spectrum(stack, (11.3, 13.6, 4.5, 1.5), recipe, name="a", source="s")
    # as many columns of either thickness
    assert found.name == "a"
    assert "mean OD of" in found.source
    deviation = found.od - od
    assert np.abs(deviation.mean()) < 0.003
    assert 0.6 < np.std(deviation / found.std) < 1.4
    assert found.std.max() < 0.02


def test_an_i0_from_few_pixels_is_in_the_standard_error(recipe, rng):
    stack, od = uniform_stack(3000, rng)
    box = {"i0.source": "region", "i0.region": (10.0, 10.15, 5.0, 4.85)}  # four pixels
    found = region_spectrum(stack, None, recipe.with_changes(box), name="a", source="s")
    of_i0 = 1 / np.sqrt(3000 * 4)
    assert found.std.min() > 0.6 * of_i0
    assert 0.5 < np.std((found.od - od) / of_i0) < 1.5


def test_a_mask_of_another_shape_than_the_stack_is_refused(recipe, rng, tmp_path):
    np.save(tmp_path / "mask.npy", np.ones((3, 4), dtype=bool))
    masked = recipe.with_changes({"specimen.mask": tmp_path / "mask.npy"})
    with pytest.raises(ValueError, match=r"mask.npy has shape \(3, 4\), the images have"):
        region_spectrum(uniform_stack(150, rng)[0], None, masked, name="a", source="s")


def test_the_bias_of_few_counts_is_taken_from_the_mean(recipe, rng):
    photons = 60
    heights = []
    for _ in range(6):
        stack, od = uniform_stack(photons, rng)
        found = region_spectrum(stack, None, recipe, name="a", source="s")
        high = od > 0.8
        heights.append(found.od[high].mean() - found.od[~high].mean())
    expected = od[high].mean() - od[~high].mean()
    # of each count the logarithm is too low by 1 / (2 n)
    biases = [np.exp(t * od) / (2 * photons) for t in (0.7, 1.3)]
    bias = np.mean([b[high].mean() - b[~high].mean() for b in biases])
    assert np.mean(heights) == pytest.approx(expected, abs=0.35 * bias)


def test_every_energy_of_the_stack_is_taken_whatever_the_recipe_scans(recipe):
    _, energies, _ = particle_counts()
    assert len(energies) == 13
    few = recipe.with_changes({"energies_ev": [505, 517.5]})
    found = region_spectrum(particle_stack(), None, few, name="a", source="s")
    assert found.energies_ev.tolist() == list(energies)


def test_a_mask_counts_as_it_is_and_a_box_only_its_specimen(recipe, rng):
    stack, od = uniform_stack(3000, rng)
    mask = np.zeros((40, 50), dtype=bool)
    mask[15:25, 12:22] = True
    masked = region_spectrum(stack, mask, recipe, name="a", source="s")
    np.testing.assert_allclose(masked.od, 0.7 * od, atol=0.01)
    boxed = region_spectrum(stack, (10.0, 12.4, 5.0, 1.1), recipe, name="a", source="s")
    np.testing.assert_allclose(boxed.od, 0.7 * od, atol=0.01)


def test_regions_outside_or_without_specimen_are_refused_with_advice(recipe, rng):
    stack, _ = uniform_stack(3000, rng)

    def made(region):
        region_spectrum(stack, region, recipe, name="a", source="x.hdr@r")

    with pytest.raises(ValueError, match=r"x.hdr@r: the box is outside the image \(x 10 to"):
        made((0.0, 1.0, 0.0, 1.0))
    with pytest.raises(ValueError, match="none of the 25 pixels of the region is specimen"):
        made((10.0, 10.4, 5.0, 4.6))
    with pytest.raises(ValueError, match=r"mask has shape \(3, 4\), the images have \(40, 50\)"):
        made(np.ones((3, 4), dtype=bool))


def test_spectra_on_different_grids_lose_no_point_and_no_range_is_invented():
    fine = np.arange(502.0, 512.05, 0.1)
    coarse = np.arange(500.0, 511.0, 1.0)
    made = joined([spectrum("a", peak(506, coarse), coarse), spectrum("b", peak(507, fine), fine)])
    references = made.references
    assert references.energies_ev[[0, -1]].tolist() == pytest.approx([502, 510])
    assert np.diff(references.energies_ev).min() > 0.05
    at_fine = references.at(fine[fine <= 510])
    np.testing.assert_allclose(at_fine[1], peak(507, fine[fine <= 510]), atol=1e-12)
    at_coarse = references.at(coarse[coarse >= 502])
    np.testing.assert_allclose(at_coarse[0], peak(506, coarse[coarse >= 502]), atol=1e-12)
    (note,) = made.notes
    assert note.startswith("only 502 to 510 eV is kept, the common range: a covers 500 to 510 eV")


def test_what_cannot_be_joined_is_refused_with_advice():
    a, b = spectrum("a", peak(505)), spectrum("b", peak(508))
    with pytest.raises(ValueError, match="at least two phases, got a; add NAME=SOURCE"):
        joined([a])
    with pytest.raises(ValueError, match="phase a is given twice"):
        joined([a, b, a])
    far = spectrum("c", peak(705, ENERGIES + 200), ENERGIES + 200)
    with pytest.raises(ValueError, match="no common range of energies: a covers 500 to 520 eV; c"):
        joined([a, far])


def test_proportional_spectra_are_named():
    made = joined([spectrum("a", peak(505)), spectrum("b", 3 * peak(505) + 0.1)])
    (doubt,) = doubts(made, tuple(ENERGIES), 0.005)
    assert doubt.startswith("a and b are equal except for a factor and a constant")


def test_a_pair_below_the_threshold_is_named():
    made = joined([spectrum("a", peak(505)), spectrum("b", peak(505.05))])
    (doubt,) = doubts(made, tuple(ENERGIES), 0.005)
    assert "a and b differ by 1 - PCC = 0.00076, less than the ambiguity threshold" in doubt


def test_a_spectrum_noisier_than_its_margin_is_named_and_the_clean_one_is_not(rng):
    noise = 0.1 * rng.standard_normal(ENERGIES.size)
    noisy = with_estimated_noise(spectrum("a", peak(505) + noise))
    assert np.median(noisy.std) == pytest.approx(0.1, rel=0.35)
    clean = with_estimated_noise(spectrum("b", peak(505.2)))
    found = doubts(joined([noisy, clean]), tuple(ENERGIES), 0.005)
    assert [text for text in found if text.startswith("a is noisier")]
    assert not [text for text in found if text.startswith("b is noisier")]


def test_a_subtracted_pre_edge_is_noticed_not_mended():
    a, b = peak(505) - 0.2, peak(508)
    made = joined([spectrum("a", a), spectrum("b", b)])
    np.testing.assert_array_equal(made.references.od, [a, b])
    (doubt,) = doubts(made, tuple(ENERGIES), 0.005)
    assert doubt.startswith("a: no absorption before the edge")


@pytest.mark.parametrize("synthetic", [False, True])
def test_the_file_tells_the_sources_and_reads_back_the_same(tmp_path, synthetic):
    std = np.full(ENERGIES.size, 0.01)
    a = spectrum("a", peak(505), std=std, synthetic=synthetic)
    made = joined([a, spectrum("b", peak(508))])
    path, errors = write_references(made, tmp_path / "r.csv")
    back = ReferenceSpectra.from_csv(path)
    np.testing.assert_array_equal(back.od, made.references.od)
    assert back.synthetic is synthetic
    assert path.read_text().startswith("# a: a.xsp\n# b: b.xsp\n")
    assert errors.read_text().splitlines()[:2] == ["energy_ev,a,b", "500,0.01,"]


def test_a_source_called_synthetic_marks_the_set_before_and_after_the_file(tmp_path):
    made = joined([spectrum("a_synthetic", peak(505)), spectrum("b", peak(508))])
    assert made.references.synthetic
    (path,) = write_references(made, tmp_path / "r.csv")
    assert ReferenceSpectra.from_csv(path).synthetic


ATHENA = """\
# Athena data file -- Athena version 0.9.26
# Saving Na3VPF as norm.
#------------------------
#  energy   norm  nbkg  flat
  520.0  1.0  0.9  1.1
  510.0  0.5  0.4  0.6
  500.0  0.1  0.0  0.2
"""


@pytest.mark.parametrize(
    ("name", "text", "names", "first"),
    [
        ("a.nor", ATHENA, ("norm", "nbkg", "flat"), [0.1, 0.5, 1.0]),
        ("a.csv", "energy_ev,Na3VPF,x y\n500,1,2\n510,3,4\n", ("Na3VPF", "x y"), [1, 3]),
        ("a.xsp", "7.00E+2  1.5E-2\n7.01E+2  1.2E-2\n", ("column 2",), [0.015, 0.012]),
        ("a.txt", "%header of aXis2000\n* more\n500\t1\n510\t2\n", ("column 2",), [1, 2]),
        (
            "a.xdi",
            "# XDI/1.0\n# Column.1: energy eV\n# Column.2: mutrans\n#---\n500 1\n510 2\n",
            ("mutrans",),
            [1, 2],
        ),
        ("a.dat", "Energy;OD\n500;1\n\n510;2\n", ("OD",), [1, 2]),
    ],
)
def test_columns_of_the_usual_programs_are_read_in_ascending_energies(
    tmp_path, name, text, names, first
):
    (tmp_path / name).write_text(text)
    columns = read_columns(tmp_path / name)
    assert columns.names == names
    assert np.all(np.diff(columns.energies_ev) > 0)
    assert columns.values[0].tolist() == pytest.approx(first)


def test_a_column_is_chosen_by_name_or_number(tmp_path):
    (tmp_path / "a.nor").write_text(ATHENA)
    columns = read_columns(tmp_path / "a.nor")
    assert columns.column("FLAT").tolist() == [0.2, 0.6, 1.1]
    assert columns.column("2").tolist() == [0.1, 0.5, 1.0]
    with pytest.raises(ValueError, match="has 3 columns beside the energy; add @NAME or @NUMBER"):
        columns.column()
    with pytest.raises(ValueError, match="no column 'mu'; there are norm, nbkg, flat, or 2 to 4"):
        columns.column("mu")
    with pytest.raises(ValueError, match="no column '1'"):
        columns.column("1")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "a.doc",
            "500 1\n510 2\n",
            "not that of a spectrum file; known suffixes are .csv",
        ),
        ("a.csv", "500,1\n500,2\n", "500 eV is listed twice"),
        ("a.csv", "0.5,1\n0.51,2\n", "energies 0.5 to 0.51, expected eV"),
        ("a.csv", "500,1\n510,x\n", "line 2: expected 2 numbers, got '510,x'"),
        ("a.csv", "500,1\n510\n", "line 2: expected 2 numbers"),
        ("a.csv", "500,1\n510,nan\n", "contains a value that is not a finite number"),
        ("a.csv", "\x00\x01", "no columns of numbers"),
    ],
)
def test_damaged_files_of_spectra_are_refused_by_name_and_line(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read_columns(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)
