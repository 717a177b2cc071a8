"""Maps of scans that are not as one would like them, and what the probabilities promise."""

import shutil
from functools import cache

import numpy as np
import pytest

from stxm_live import Recipe, Stack, map_phases
from stxm_live.phase_mapping.latent_space.bundle import Bundle, write_bundle
from stxm_live.sim.phantom import Particle, od_cube

NY, NX = 44, 56
INSIDE = (slice(6, 38), slice(6, 50))


def striped(phases):
    """Phase of every pixel, -1 on the empty support: upright stripes of these phases."""
    labels = np.full((NY, NX), -1)
    n_columns = INSIDE[1].stop - INSIDE[1].start
    labels[INSIDE] = np.array(phases)[np.arange(n_columns) * len(phases) // n_columns]
    return labels


def scanned(labels, *, photons=3000, thickness_nm=150.0, seed=0):
    """A stack of a slab whose pixels are of these phases."""
    recipe = Recipe.load("nvpf")
    fractions = (labels == np.arange(5)[:, None, None]).astype(float)
    particle = Particle(np.where(labels >= 0, thickness_nm, 0.0), fractions)
    od = od_cube(particle, recipe.reference_spectra, recipe.energies_ev)
    counts = np.random.default_rng(seed).poisson(photons * np.exp(-od))
    return Stack.from_arrays(counts, recipe.energies_ev)


def recipe_with(**changes):
    """The shipped recipe, without what this is not about."""
    dotted = {name.replace("__", "."): value for name, value in changes.items()}
    return Recipe.load("nvpf").with_changes(
        {"energy_fit": False, "alignment.enabled": False} | dotted
    )


def share_right(index, labels, phase):
    """Of the mapped pixels of one phase, how many have it in this map."""
    there = (labels == phase) & (index >= 0)
    return (index[there] == phase).mean()


METHODS = {
    "likelihood, potts": {},
    "likelihood, none": {"resolver__spatial": "none"},
}


@cache
def all_phases(method):
    """Maps of five stripes at 1000 photons."""
    return map_phases(scanned(striped(range(5)), photons=1000), recipe_with(**METHODS[method]))


@pytest.mark.parametrize("method", METHODS)
def test_the_resolved_phase_is_the_most_probable_one(method):
    maps = all_phases(method)
    mapped = maps.resolved_index >= 0
    assert maps.provenance["method"] == method.split(",")[0]
    np.testing.assert_array_equal(
        maps.resolved_index[mapped], maps.probability[:, mapped].argmax(axis=0)
    )
    np.testing.assert_allclose(
        maps.wrong_probability[mapped], 1 - maps.probability[:, mapped].max(axis=0), atol=1e-6
    )


@pytest.mark.parametrize("method", METHODS)
def test_entropy_is_between_certainty_and_ignorance(method):
    maps = all_phases(method)
    entropy = maps.entropy[maps.resolved_index >= 0]
    assert entropy.min() >= 0
    assert entropy.max() <= 1
    assert np.isnan(maps.entropy[maps.resolved_index < 0]).all()
    # surest of what is surely right
    sure = maps.wrong_probability[maps.resolved_index >= 0] < 1e-4
    assert entropy[sure].max(initial=0) < 0.01


@pytest.mark.parametrize("method", METHODS)
def test_a_phase_that_is_not_there_is_hardly_seen(method):
    labels = striped([0, 1, 4])
    maps = map_phases(scanned(labels), recipe_with(**METHODS[method]))
    assert maps.resolved_fractions[[2, 3]].max() < 0.01
    assert (maps.fractions - maps.resolved_fractions)[[2, 3]].min() > 0
    for phase in (0, 1, 4):
        by_correlation = share_right(maps.phase_index, labels, phase)
        assert share_right(maps.resolved_index, labels, phase) > by_correlation - 0.01


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("phase", [0, 2])
def test_a_specimen_of_a_single_phase_is_of_that_phase(method, phase):
    labels = striped([phase])
    maps = map_phases(scanned(labels, photons=1000), recipe_with(**METHODS[method]))
    right = share_right(maps.resolved_index, labels, phase)
    # a step towards the truth of at least two in three of the wrong pixels
    assert 1 - right < (1 - share_right(maps.phase_index, labels, phase)) / 3


@pytest.mark.parametrize("statistics", ["training", "scan"])
@pytest.mark.parametrize("method", [*METHODS, "mahalanobis"])
def test_a_phase_of_few_pixels_is_not_lost(method, statistics):
    labels = striped([0, 4])
    labels[18:24, 14:19] = 2
    changes = METHODS.get(method, {"resolver__method": method})
    maps = map_phases(scanned(labels), recipe_with(**changes, resolver__statistics=statistics))
    clear = (maps.phase_index == 2) & ~maps.ambiguous
    assert clear.sum() < 50
    # pixels on their own lose rare phases, neighbors and latent space do not (decision 10)
    alone = changes.get("resolver__spatial") == "none"
    right = share_right(maps.resolved_index, labels, 2)
    assert right > (0.5 if alone else share_right(maps.phase_index, labels, 2) - 0.05)
    assert np.isfinite(maps.probability[:, maps.resolved_index >= 0]).all()


def test_a_model_for_other_references_leaves_the_likelihood_and_says_so(tmp_path):
    references = Recipe.load("nvpf").reference_spectra
    other = tmp_path / "other.csv"
    type(references)(references.phase_names, references.energies_ev, references.od * 1.1).to_csv(
        other
    )
    recipe = recipe_with(references=other, resolver__method="mahalanobis")
    maps = map_phases(scanned(striped(range(5))), recipe)
    assert maps.provenance["method"] == "likelihood"
    assert maps.latent is None
    said = " ".join(maps.warnings)
    assert "trained for other references than the recipe's" in said
    assert "resolved by likelihood instead of mahalanobis" in said


@pytest.mark.parametrize("method", METHODS)
def test_where_all_is_too_thin_the_verdict_says_so(method, tmp_path):
    labels = striped(range(5))
    np.save(tmp_path / "mask.npy", labels >= 0)
    recipe = recipe_with(**METHODS[method], specimen__mask=tmp_path / "mask.npy")
    maps = map_phases(scanned(labels, photons=1000, thickness_nm=12), recipe)
    assert maps.quality.verdict == "poor"
    assert "the specimen is thin" in maps.quality.action.lower()
    wrong = maps.wrong_probability[maps.resolved_index >= 0]
    assert wrong.mean() > 0.3


def test_an_audit_changes_contradicted_pixels_only():
    stack = scanned(striped(range(5)), photons=400)
    listed, resolved = (
        map_phases(stack, recipe_with(resolver__method="mahalanobis", resolver__audit=audit))
        for audit in ("list", "resolve")
    )
    np.testing.assert_array_equal(listed.contradicted, resolved.contradicted)
    changed = listed.resolved_index != resolved.resolved_index
    assert changed.any()
    assert not (changed & ~listed.contradicted).any()
    clear = (listed.phase_index >= 0) & ~listed.ambiguous
    np.testing.assert_array_equal(listed.resolved_index[clear], listed.phase_index[clear])


@pytest.fixture
def memberless(shipped_bundle, tmp_path):
    """A copy as written before bundles kept labelled points."""
    copy = tmp_path / "memberless"
    shutil.copytree(shipped_bundle, copy)
    return without_members(copy, tmp_path / "old")


def without_members(bundle, folder):
    loaded = Bundle.load(bundle)
    models = {"encoder.tflite": loaded.encoder_model, "decoder.tflite": loaded.decoder_model}
    with np.load(bundle / "clusters.npz") as stored:
        arrays = {name: stored[name] for name in stored if not name.startswith("member_")}
    write_bundle(folder, loaded.info, models, arrays)
    return folder


def test_neighbors_of_a_model_without_labelled_points_are_the_scan_s_own(memberless):
    stack = scanned(striped(range(5)), photons=1000)
    training, scan = (
        map_phases(
            stack,
            recipe_with(model=memberless, resolver__method="knn", resolver__statistics=statistics),
        )
        for statistics in ("training", "scan")
    )
    assert any("labelled points" in warning for warning in training.warnings)
    np.testing.assert_array_equal(training.latent_index, scan.latent_index)
