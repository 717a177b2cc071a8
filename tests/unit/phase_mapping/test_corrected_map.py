import numpy as np
import pytest
from particles import particle_counts

from stxm_live.core.recipe import Recipe
from stxm_live.core.stack import Stack
from stxm_live.phase_mapping.assignment import resolve_spectra
from stxm_live.phase_mapping.correlation import correlate
from stxm_live.phase_mapping.energy_calibration.corrected_map import corrected_map
from stxm_live.phase_mapping.workflow import map_phases
from stxm_live.preprocessing.workflow import register
from stxm_live.sim.phantom import od_cube


@pytest.fixture(scope="module")
def recipe():
    shipped = Recipe.load("nvpf").with_changes({"model": None})
    return shipped.with_changes({"alignment.enabled": False})


def correction(recipe, offset_ev=0.0, width_ev=0.0, photons=3000):
    """What a scan with an axis that is off is corrected by, its own map, and the truth."""
    _, energies_ev, particle = particle_counts()
    seen = recipe.reference_spectra.corrected(offset_ev, width_ev)
    od = od_cube(particle, seen, energies_ev)
    counts = np.random.default_rng(6).poisson(photons * np.exp(-od)).astype(np.float32)
    stack = Stack.from_arrays(counts, energies_ev, extent_um=(0.0, 2.13, 1.77, 0.0))
    aligned = register(stack, recipe)
    references = recipe.corrected_references.at(aligned.energies_ev)
    spectra = correlate(aligned.spectra, references, recipe)
    found = corrected_map(spectra, aligned, recipe)
    own = resolve_spectra(spectra, aligned, recipe).index
    return found, own, particle.phase_index[aligned.mapped]


def test_an_axis_as_the_recipe_says_gives_no_second_map(recipe):
    found, _, _ = correction(recipe)
    assert found.resolution is None
    assert found.reference_od is None
    assert found.notes == ()
    assert abs(found.axis.offset_ev) < 0.03


def test_a_second_map_is_as_right_and_as_sure_as_one_made_with_the_axis_known(recipe):
    known = recipe.with_changes({"energy_offset_ev": 0.3, "energy_width_ev": 0.15})
    _, by_known, known_truth = correction(known, 0.3, 0.15)
    found, disturbed, truth = correction(recipe, 0.3, 0.15)
    right = [
        (by_known == known_truth).mean(),
        (disturbed == truth).mean(),
        (found.resolution.index == truth).mean(),
    ]
    assert right[1] < right[0] - 0.2
    assert right[2] == pytest.approx(right[0], abs=0.01)
    assert any(n.startswith("energy offset or composition") for n in found.notes)
    second = found.resolution
    probability = second.probability
    np.testing.assert_allclose(probability.sum(axis=0), 1, rtol=1e-5)
    np.testing.assert_array_equal(second.index, probability.argmax(axis=0))
    np.testing.assert_allclose(second.wrong_probability, 1 - probability.max(axis=0), atol=1e-6)


def test_a_recipe_that_holds_the_right_offset_is_confirmed(recipe):
    right = recipe.with_changes({"energy_offset_ev": 0.3, "energy_width_ev": 0.15})
    found, _, _ = correction(right, 0.3, 0.15)
    assert found.resolution is None
    assert found.axis.offset_ev == pytest.approx(0.3, abs=0.03)
    assert found.axis.width_ev == pytest.approx(0.15, abs=0.05)


@pytest.mark.parametrize("method", ["pearson", "mahalanobis"])
def test_the_second_map_is_resolved_as_the_recipe_says_where_that_is_possible(recipe, method):
    found, _, _ = correction(recipe.with_changes({"resolver.method": method}), 0.3)
    instead = any("by likelihood instead of mahalanobis" in note for note in found.notes)
    assert instead == (method == "mahalanobis")
    most_probable = found.resolution.probability.argmax(axis=0)
    same = np.array_equal(found.resolution.index, most_probable)
    assert same == (method == "mahalanobis")


def test_an_axis_that_cannot_be_fitted_is_said_and_nothing_else_suffers(recipe):
    two = recipe.with_changes({"energies_ev": (515.6, 517.5)})
    found, own, _ = correction(two)
    assert found.axis is None
    assert found.notes == (
        "the energy axis was not checked: 2 energies; the energy axis needs 5 at least",
    )
    assert own.size


@pytest.mark.parametrize(("offset_ev", "width_ev"), [(0.4, 0.0), (0.0, 0.3)])
def test_labels_of_a_wrong_axis_do_not_look_sure(recipe, offset_ev, width_ev):
    _, energies_ev, particle = particle_counts()
    seen = recipe.reference_spectra.corrected(offset_ev, width_ev)
    od = od_cube(particle, seen, energies_ev)
    counts = np.random.default_rng(6).poisson(3000 * np.exp(-od)).astype(np.float32)
    maps = map_phases(Stack.from_arrays(counts, energies_ev), recipe)
    labelled = (maps.resolved_index >= 0) & (particle.phase_index >= 0)
    kept = (maps.resolved_index == particle.phase_index)[labelled].mean()
    promised = 1 - maps.wrong_probability[labelled].mean()
    assert promised == pytest.approx(kept, abs=0.06)
    assert maps.quality.verdict == "poor"
    assert "--set energy_offset_ev=" in maps.quality.action
