import json

import h5py
import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.decomposition import NMF, PCA

from stxm_live.core.recipe import Recipe
from stxm_live.core.references import ReferenceSpectra
from stxm_live.core.stack import Stack
from stxm_live.io.results import read_nexus
from stxm_live.phase_mapping.exploration import (
    channel,
    exploration_dataset,
    explore_stack,
    named_references,
    save_as_recipe,
    unidentified_component,
)
from stxm_live.phase_mapping.exploration.channels import default_channels, telling_energies
from stxm_live.phase_mapping.exploration.clusters import by_shape
from stxm_live.phase_mapping.exploration.workflow import blank_recipe
from stxm_live.phase_mapping.workflow import map_phases
from stxm_live.preprocessing.reference_extraction import write_references

ENERGIES = np.linspace(700, 720, 21)
AT_REST = blank_recipe().with_changes({"alignment.enabled": False})


def peak(center_ev):
    return 0.2 + np.exp(-0.5 * ((ENERGIES - center_ev) / 1.5) ** 2)


PURE = np.array([peak(707.0), peak(711.0)])


def two_phases(photons=2000, seed=5):
    """Return counts of two phases, each from thin to thick, in an empty field, and the truth."""
    rng = np.random.default_rng(seed)
    truth = np.full((40, 50), -1)
    truth[8:32, 8:25], truth[8:32, 25:42] = 0, 1
    thickness = np.where(truth >= 0, np.linspace(0.4, 1.6, 40)[:, None], 0.0)
    od = np.where(truth >= 0, PURE[truth].transpose(2, 0, 1), 0.0) * thickness
    return rng.poisson(photons * np.exp(-od)).astype(np.float32), truth


@pytest.fixture(scope="module")
def counts_and_truth():
    return two_phases()


@pytest.fixture(scope="module")
def explored(counts_and_truth):
    return explore_stack(Stack.from_arrays(counts_and_truth[0], ENERGIES), AT_REST)


def share_right(exploration, truth):
    index = exploration.spectra.image(exploration.clusters.index)
    both = np.isfinite(index) & (truth >= 0)
    same = np.mean(index[both] == truth[both])
    return max(same, 1 - same)


def test_components_and_clusters_are_those_of_scikit_learn(explored):
    od = explored.spectra.od
    pca = PCA().fit(od)
    np.testing.assert_allclose(explored.pca.eigenvalues, pca.explained_variance_)
    np.testing.assert_allclose(np.abs(explored.pca.components), np.abs(pca.components_))
    n = len(explored.nmf.spectra)
    nmf = NMF(n, init="nndsvda", random_state=0, max_iter=300).fit(np.clip(od, 0, None))
    scaled = explored.nmf.spectra / np.linalg.norm(explored.nmf.spectra, axis=1, keepdims=True)
    theirs = nmf.components_ / np.linalg.norm(nmf.components_, axis=1, keepdims=True)
    np.testing.assert_allclose(scaled, theirs, atol=1e-9)
    compared, weights = by_shape(explored.pca)
    labels = KMeans(2, n_init=10, random_state=0).fit(compared, sample_weight=weights).labels_
    of_largest = labels == np.bincount(labels).argmax()
    np.testing.assert_array_equal(explored.clusters.index == 0, of_largest)


def test_two_phases_of_any_thickness_are_two_components_and_two_clusters(
    explored, counts_and_truth
):
    assert explored.pca.n_above_noise == 2
    assert len(explored.clusters.spectra) == 2
    assert share_right(explored, counts_and_truth[1]) > 0.99


def test_spectra_of_one_phase_have_one_component_above_the_noise(counts_and_truth):
    counts, truth = counts_and_truth
    counts = counts.copy()
    counts[:, truth == 1] = counts[:, :, ::-1][:, truth == 1]
    found = explore_stack(Stack.from_arrays(counts, ENERGIES), AT_REST)
    assert found.pca.n_above_noise == 1
    assert len(found.clusters.spectra) == 1


def test_a_cluster_is_the_planted_spectrum_within_its_standard_error(explored, counts_and_truth):
    index = explored.spectra.image(explored.clusters.index)
    truth = counts_and_truth[1]
    for k, spectrum in enumerate(explored.clusters.spectra):
        phase = int(np.median(truth[index == k]))
        rows = np.nonzero((index == k) & (truth == phase))[0]
        expected = PURE[phase] * np.linspace(0.4, 1.6, 40)[rows].mean()
        deviation = (spectrum.od - expected) / spectrum.std
        assert np.sqrt(np.mean(deviation**2)) < 2
        assert spectrum.std.max() < 0.02


def test_optical_densities_give_the_same_clusters_as_counts(explored, counts_and_truth):
    counts, truth = counts_and_truth
    od = -np.log(counts / 2000)
    stack = Stack.from_arrays(od, ENERGIES, quantity="od")
    found = explore_stack(stack, AT_REST)
    assert share_right(found, truth) > 0.99


def test_missing_lines_cost_nothing_but_their_values(counts_and_truth):
    counts, truth = counts_and_truth
    gappy = counts.copy()
    for k in range(len(ENERGIES)):
        gappy[k, (7 * k + 3) % 40 : (7 * k + 3) % 40 + 2] = np.nan
    found = explore_stack(Stack.from_arrays(gappy, ENERGIES), AT_REST)
    whole = explore_stack(Stack.from_arrays(counts, ENERGIES), AT_REST)
    assert found.spectra.n_pixels == whole.spectra.n_pixels
    assert share_right(found, truth) > 0.99
    assert any("were not measured" in note for note in found.notes)
    for a, b in zip(found.clusters.spectra, whole.clusters.spectra, strict=True):
        assert np.abs(a.od - b.od).max() < 0.01


@pytest.mark.parametrize("n_energies", [2, 3, 5])
def test_few_energies_are_enough_for_a_look(n_energies, counts_and_truth):
    counts, truth = counts_and_truth
    chosen = [7, 11, 0, 9, 14][:n_energies]
    found = explore_stack(Stack.from_arrays(counts[chosen], ENERGIES[chosen]), AT_REST)
    assert found.pca.components.shape == (n_energies, n_energies)
    if n_energies > 2:
        two = explore_stack(
            Stack.from_arrays(counts[chosen], ENERGIES[chosen]), AT_REST, n_clusters=2
        )
        assert share_right(two, truth) > 0.97
    for name in default_channels(found):
        assert np.isfinite(channel(found, name)[truth >= 0]).any()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("707", lambda od: od[7]),
        ("706:708", lambda od: od[6:9].mean(axis=0)),
        ("707-700", lambda od: od[7] - od[0]),
        ("707/711", lambda od: od[7] / od[11]),
        ("707-700/711-700", lambda od: (od[7] - od[0]) / (od[11] - od[0])),
    ],
)
def test_maps_of_energies_bands_differences_and_ratios(explored, text, value):
    found = channel(explored, text)[explored.spectra.pixels]
    expected = value(explored.spectra.od.T)
    known = np.isfinite(found)
    assert known.mean() > 0.5
    np.testing.assert_allclose(found[known], expected[known])


def test_the_telling_energies_are_those_of_the_two_peaks(explored):
    assert telling_energies(explored) == ("707", "711")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("750", "no image was recorded at 750 eV"),
        ("750:760", "no image was recorded at 750:760 eV"),
        ("peak", "'peak' is no map: expected an energy"),
        ("nmf9", "there is no component nmf9; the last one is nmf1"),
    ],
)
def test_a_map_that_is_none_is_an_error_in_words(explored, text, message):
    with pytest.raises(ValueError, match=message):
        channel(explored, text)


@pytest.mark.parametrize(
    ("spoil", "options", "message"),
    [
        (lambda c: (c[:1], ENERGIES[:1]), {}, "one usable image, at 700 eV"),
        (lambda c: (c[:, :8], ENERGIES), {}, "no specimen in the field"),
        (lambda c: (np.full_like(c, np.nan), ENERGIES), {}, "no usable image"),
        (lambda c: (c, ENERGIES), {"n_clusters": 999}, "999 clusters of 8.. specimen pixels"),
        (lambda c: (c, ENERGIES), {"n_clusters": 0}, "0 clusters of 8.. specimen pixels"),
        (lambda c: (c, ENERGIES), {"n_components": 22}, "22 non-negative components"),
    ],
)
def test_what_cannot_be_explored_is_an_error_in_words(counts_and_truth, spoil, options, message):
    counts, energies = spoil(counts_and_truth[0])
    with pytest.raises(ValueError, match=message):
        explore_stack(Stack.from_arrays(counts, energies), AT_REST, **options)


def test_named_clusters_are_references_of_the_next_maps(explored, counts_and_truth, tmp_path):
    made = named_references(explored.measured_spectra, {"1": "b", "0": "a"})
    write_references(made, tmp_path / "found.csv")
    recipe = AT_REST.with_changes({"references": tmp_path / "found.csv", "energy_fit": False})
    counts, truth = counts_and_truth
    maps = map_phases(Stack.from_arrays(counts, ENERGIES), recipe)
    assert maps.phase_names == ("b", "a")
    assert recipe.reference_spectra.od_std is not None
    same = np.mean(maps.final_index[truth >= 0] == truth[truth >= 0])
    assert max(same, 1 - same) > 0.98


def test_a_name_for_no_spectrum_is_an_error_that_lists_them(explored):
    with pytest.raises(ValueError, match="no spectrum '7' to name; there are 0, 1, nmf0, nmf1"):
        named_references(explored.measured_spectra, {"0": "a", "7": "b"})


def test_what_no_reference_describes_is_a_component_to_be_added(counts_and_truth, tmp_path):
    counts, _ = counts_and_truth
    known = ReferenceSpectra(("one", "other"), ENERGIES, np.array([PURE[0], peak(709.0)]))
    known.to_csv(tmp_path / "known.csv")
    recipe = AT_REST.with_changes({"references": tmp_path / "known.csv", "energy_fit": False})
    maps = map_phases(Stack.from_arrays(counts, ENERGIES), recipe)
    found = unidentified_component(maps)
    assert found is not None
    assert np.corrcoef(found.od, PURE[1])[0, 1] > 0.99
    made = named_references({found.name: found}, {"unidentified": "new"}, known)
    assert made.references.phase_names == ("one", "other", "new")


def test_named_spectra_become_a_recipe_with_the_settings_of_the_first_look(explored, tmp_path):
    made = save_as_recipe(
        explored, {"0": " state  A", "1": "B, cold", "nmf0": ""}, tmp_path / "new"
    )
    assert made.reference_spectra.phase_names == ("state A", "B, cold")
    assert made.alignment == AT_REST.alignment
    assert made.reference_spectra.od_std is not None
    assert made == Recipe.load(tmp_path / "new")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({}, "two spectra"),
        ({"0": "a", "1": " "}, "two spectra"),
        ({"0": "a", "1": "a"}, "a is given twice"),
        ({"0": "a;b", "1": "c"}, "a sign"),
        ({"0": "a", "1": "\x07"}, "a sign"),
        ({"0": "a", "1": "a_std"}, "standard errors"),
        ({"0": "a", "9": "b"}, "no spectrum '9'"),
    ],
)
def test_names_that_cannot_be_saved_are_refused_in_words(explored, tmp_path, names, words):
    with pytest.raises(ValueError, match=words):
        save_as_recipe(explored, names, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_first_look_is_written_with_all_its_maps_and_spectra(explored, tmp_path):
    save_as_recipe(explored, {"0": "charged", "nmf1": "discharged"}, tmp_path / "saved")
    kept = read_nexus(tmp_path / "saved" / "exploration.nxs")
    assert kept.identical(exploration_dataset(explored, {"0": "charged", "nmf1": "discharged"}))
    assert json.loads(kept.attrs["names"]) == {"0": "charged", "nmf1": "discharged"}
    index = explored.spectra.image(explored.clusters.index)
    np.testing.assert_array_equal(kept["cluster_index"], np.nan_to_num(index, nan=-1))
    for k, cluster in enumerate(explored.clusters.spectra):
        np.testing.assert_allclose(kept["cluster_od"][k], cluster.od, rtol=1e-6)
        np.testing.assert_allclose(kept["cluster_od_std"][k], cluster.std, rtol=1e-6)
    for name, values in (("nmf_amount", explored.nmf.amounts), ("pca_score", explored.pca.scores)):
        image = explored.spectra.image(values[:, 0])
        np.testing.assert_allclose(kept[name][0], image, rtol=1e-5, atol=1e-6)
    with h5py.File(tmp_path / "saved" / "exploration.nxs") as file:
        assert file["entry"].attrs["default"] == "cluster_index"
        assert file["entry/title"].asstr()[()].startswith("First look at a file, region 1")
