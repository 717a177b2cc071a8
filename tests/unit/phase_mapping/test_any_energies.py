"""Maps of whatever was measured: lost lines, unfinished images, stacks that ended anywhere."""

from dataclasses import replace

import numpy as np
import pytest
from particles import NX, NY, particle_counts, particle_stack

from stxm_live import Recipe, Stack, map_phases
from stxm_live.core.references import ReferenceSpectra
from stxm_live.core.stack import Frame
from stxm_live.core.twins import either
from stxm_live.phase_mapping.assignment import Resolution, entropy
from stxm_live.phase_mapping.correlation import correlate
from stxm_live.phase_mapping.distinguished import less_sure_within, undistinguished
from stxm_live.phase_mapping.likelihood import fit_references
from stxm_live.phase_mapping.mixtures import fit_mixtures
from stxm_live.phase_mapping.weighted_products import Baseline
from stxm_live.preprocessing.gaps import filled_for_specimen, gaps_of
from stxm_live.sim.phantom import od_cube


@pytest.fixture(scope="module")
def recipe():
    return Recipe.load("nvpf").with_changes({"alignment.enabled": False, "energy_fit": False})


@pytest.fixture(scope="module")
def maps(recipe):
    return map_phases(particle_stack(), recipe)


def without(gaps, **changes):
    """The particle's stack with some values NaN: ``gaps`` has the shape of the counts."""
    counts, energies_ev, _ = particle_counts()
    stack = Stack.from_arrays(np.where(gaps, np.nan, counts), energies_ev)
    return replace(stack, **changes)


def ended_after(n, **options):
    stack = particle_stack(**options)
    return Stack(stack.key, stack.scan, stack.frames[:n], finished=False)


def right(maps):
    truth = particle_counts()[2].phase_index
    labelled = (maps.resolved_index >= 0) & (truth >= 0)
    return float((maps.resolved_index == truth)[labelled].mean())


def promised(maps):
    return 1 - float(np.nanmean(maps.wrong_probability))


def no_label(maps, of):
    """Share of the pixels with a label in another map that have none."""
    return float((maps.resolved_index < 0)[of.resolved_index >= 0].mean())


def one_line_of_each():
    gaps = np.zeros((13, NY, NX), dtype=bool)
    gaps[np.arange(13), 8 + 3 * np.arange(13)] = True
    return gaps


def last_third_of_one():
    gaps = np.zeros((13, NY, NX), dtype=bool)
    gaps[6, 40:] = True
    return gaps


def every_tenth_value():
    return np.random.default_rng(1).random((13, NY, NX)) < 0.1


@pytest.mark.parametrize("gaps", [one_line_of_each, last_third_of_one, every_tenth_value])
def test_what_single_images_lack_costs_no_label(recipe, maps, gaps):
    hurt = map_phases(without(gaps()), recipe)
    assert hurt.status == "complete"
    assert no_label(hurt, maps) < 0.002
    assert right(hurt) > right(maps) - 0.02
    assert abs(promised(hurt) - right(hurt)) < 0.03
    assert any("their labels are made from the others" in text for text in hurt.warnings)
    assert np.isfinite(hurt.counts[hurt.valid]).all()


def test_pixels_that_lack_nothing_beside_some_that_do_keep_their_probabilities(recipe, maps):
    hurt = map_phases(
        without(one_line_of_each()), recipe.with_changes({"resolver.spatial": "none"})
    )
    alone = map_phases(particle_stack(), recipe.with_changes({"resolver.spatial": "none"}))
    whole = np.isfinite(hurt.od).all(axis=0) & (alone.resolved_index >= 0) & hurt.valid
    difference = np.abs(hurt.probability - alone.probability)[:, whole]
    assert difference.mean() < 0.02


def test_a_row_that_no_image_has_gets_no_label_and_harms_no_other(recipe, maps):
    gaps = np.zeros((13, NY, NX), dtype=bool)
    gaps[:, 30] = True
    hurt = map_phases(without(gaps), recipe)
    assert (hurt.resolved_index[30] == -1).all()
    assert any(f"{NX} pixels of the field were measured at fewer" in t for t in hurt.warnings)
    assert not any("fewer than two energies" in text for text in maps.warnings)
    assert not hurt.valid[30].any()
    others = np.arange(NY) != 30
    assert (hurt.resolved_index >= 0)[others].sum() == (maps.resolved_index >= 0)[others].sum()


def test_an_unfinished_image_gives_what_it_has(recipe, maps):
    stack = particle_stack()
    cut = stack.frames[6].intensity.copy()
    cut[[20, 21]] = np.nan
    frames = list(stack.frames)
    frames[6] = Frame(frames[6].energy_ev, cut, frames[6].announced_ev, is_whole=False)
    hurt = map_phases(replace(stack, frames=tuple(frames), finished=False), recipe)
    assert hurt.status == "incomplete"
    assert len(hurt.energies_ev) == 13
    assert no_label(hurt, maps) == 0
    assert any("519.2 eV is unfinished; what was recorded is used" in t for t in hurt.warnings)
    cut[5:] = np.nan
    frames[6] = Frame(frames[6].energy_ev, cut, frames[6].announced_ev, is_whole=False)
    hurt = map_phases(replace(stack, frames=tuple(frames), finished=False), recipe)
    assert len(hurt.energies_ev) == 12
    assert any("519.2 eV is unfinished and was left out" in text for text in hurt.warnings)


@pytest.mark.parametrize("n", [2, 3, 5, 8, 12])
def test_a_stack_that_ended_anywhere_has_a_map_that_keeps_what_it_promises(recipe, n):
    ended = map_phases(ended_after(n), recipe)
    assert ended.status == "incomplete"
    assert ended.quality.verdict != "good"
    assert any(f"the maps are made from the other {n} energies" in t for t in ended.warnings)
    assert (ended.resolved_index >= 0).sum() > 500
    if n > 5:  # of a few large domains fewer energies are right more or less by chance
        assert abs(promised(ended) - right(ended)) < 0.05


def test_two_energies_distinguish_nothing_and_no_phase_has_all_of_the_specimen(recipe):
    ended = map_phases(ended_after(2), recipe)
    assert ended.twins == (ended.phase_names,)
    assert "the scan distinguishes no phases" in repr(ended)
    assert "100.0 %" not in repr(ended)
    assert [name for name, _, _ in ended.summary()] == [either(ended.phase_names)]
    assert promised(ended) < 0.4
    assert not any("supports" in note for note in ended.warnings)


def test_phases_that_the_energies_so_far_do_not_distinguish_share_a_label(recipe):
    ended = map_phases(ended_after(5, photons=300), recipe)
    assert any("Na2.4VPF" in group and "Na2VPF" in group for group in ended.twins)
    assert not map_phases(ended_after(12), recipe).twins
    assert any("does not distinguish" in text for text in ended.warnings)
    label, share, resolved = next(row for row in ended.summary() if " or " in row[0])
    members = [ended.phase_names.index(name) for name in label.split(" or ")]
    assert resolved == pytest.approx(ended.resolved_fractions[members].sum())
    assert share == pytest.approx(ended.fractions[members].sum())


def test_references_that_are_equal_share_a_label_in_a_complete_map_too():
    energies = np.array([500.0, 510.0, 520.0])
    od = np.array([[0.1, 1.0, 0.4], [0.1, 1.0, 0.4], [0.1, 0.3, 0.9]])
    references = ReferenceSpectra(("a", "b", "c"), energies, od)
    index = np.array([0, 0, 2], dtype=np.int8)
    probability = np.array([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    assert undistinguished(index, probability, references, energies, 1e-6) == (("a", "b"),)


def test_references_that_are_all_equal_share_one_label_and_the_energy_axis_is_no_error(tmp_path):
    nvpf = Recipe.load("nvpf")
    known = nvpf.reference_spectra
    equal = replace(known, od=np.repeat(known.od[2:3], known.n_phases, axis=0))
    equal.to_csv(tmp_path / "r.csv")
    recipe = nvpf.with_changes({"references": tmp_path / "r.csv", "model": None})
    same = map_phases(particle_stack(), recipe)
    assert same.twins == (known.phase_names,)
    assert same.quality.verdict == "poor"


def test_phases_that_share_a_label_are_less_sure_among_themselves_only():
    probability = np.array([[0.5], [0.1], [0.4]], dtype=np.float32)
    found = Resolution(
        index=np.array([0], dtype=np.int8),
        wrong_probability=np.array([0.55], dtype=np.float32),  # 0.1 for a phase without reference
        probability=probability,
        entropy=entropy(probability),
        mixed=np.array([False]),
        unidentified=np.array([False]),
        dispersion=1.0,
        method="likelihood",
    )
    less = less_sure_within(found, (("a", "b"),), ("a", "b", "c"))
    share = 5**0.7 / (5**0.7 + 1)
    np.testing.assert_allclose(less.probability[:, 0], [0.6 * share, 0.6 - 0.6 * share, 0.4])
    np.testing.assert_allclose(less.wrong_probability, 1 - 0.9 * 0.6 * share, rtol=1e-6)
    assert less.index is found.index
    assert less_sure_within(found, (), ("a", "b", "c")) is found


def test_a_value_without_photons_has_no_weight_whatever_it_is():
    rng = np.random.default_rng(2)
    references = rng.random((3, 6))
    photons = np.full((6, 40), 900.0)
    od = references[0][:, None] + rng.normal(0, 0.03, (6, 40))
    photons[2, :20] = 0
    other = od.copy()
    other[2, :20] = 7.0
    options = {"baseline": Baseline.constant(6), "gain": 1.0}
    found, again = (fit_references(y, photons, references, **options) for y in (od, other))
    np.testing.assert_array_equal(found.log_likelihood, again.log_likelihood)
    mixed, alike = (
        fit_mixtures(y, photons, references, dispersion=1.0, baseline=options["baseline"])
        for y in (od, other)
    )
    np.testing.assert_array_equal(mixed.misfit, alike.misfit)
    np.testing.assert_array_equal(mixed.degrees, np.repeat([3, 4], 20))
    fewer = np.arange(6) != 2
    without_it = fit_references(
        od[fewer][:, :20],
        photons[fewer][:, :20],
        references[:, fewer],
        baseline=Baseline.constant(5),
        gain=1.0,
    )
    np.testing.assert_allclose(found.chi2[:, :20], without_it.chi2, rtol=1e-5)


def test_gaps_are_filled_by_the_best_reference_only_where_they_are(recipe):
    energies = np.array(recipe.energies_ev)
    references = recipe.corrected_references.at(energies)
    od = (0.05 + 1.5 * references[[1, 3]].T).astype(np.float32)
    gaps = od.copy()
    gaps[[4, 7], 1] = np.nan
    filled = correlate(gaps, references, recipe).without_gaps().od
    np.testing.assert_allclose(filled, od, atol=1e-5)
    np.testing.assert_array_equal(filled[:, 0], od[:, 0])


def test_specimen_is_found_in_a_gap_and_the_rim_of_a_moved_image_is_none():
    rng = np.random.default_rng(3)
    course, image = np.array([1.0, 2.0, 0.5]), rng.random((12, 10))
    log = (0.3 + course[:, None, None] * image).astype(np.float32)
    hurt = log.copy()
    hurt[1, 5] = np.nan
    hurt[0, 0] = np.nan
    shifts = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    assert np.flatnonzero(gaps_of(hurt, shifts).any(axis=1)).tolist() == [5]
    filled = filled_for_specimen(hurt, shifts)
    np.testing.assert_allclose(filled[1, 5], log[1, 5], atol=1e-3)
    assert np.isnan(filled[0, 0]).all()
    assert filled_for_specimen(log, shifts) is log


def test_one_energy_is_refused_in_words(recipe):
    with pytest.raises(ValueError, match="maps need at least two images"):
        map_phases(ended_after(1), recipe)


def test_energies_before_the_edge_alone_say_that_nothing_is_distinguished(recipe):
    """References that are nearly flat there: the map is poor and says why."""
    stack = particle_stack()
    before = [500.0, 503.0, 505.0]
    rng = np.random.default_rng(4)
    od = 1.2 * particle_counts()[2].specimen * np.linspace(0.2, 0.19, 3)[:, None, None]
    counts = rng.poisson(3000 * np.exp(-od))
    flat = map_phases(
        Stack.from_arrays(counts, before, extent_um=stack.scan.extent_um),
        recipe.with_changes({"energies_ev": None}),
    )
    assert flat.quality.verdict == "poor"
    assert promised(flat) < 0.5


@pytest.mark.parametrize(
    "before", [(500.0, 503.0, 505.0, 507.0), (500.0, 503.0, 506.0, 508.0, 510.0)]
)
def test_a_complete_scan_before_the_edge_has_one_label_and_supports_nothing(recipe, before):
    """Correlation distinguishes some of the references there; the light does not."""
    od = od_cube(particle_counts()[2], recipe.reference_spectra, before)
    counts = np.random.default_rng(4).poisson(1500 * np.exp(-od))
    flat = map_phases(Stack.from_arrays(counts, before), recipe.with_changes({"energies_ev": None}))
    assert flat.status == "complete"
    assert flat.twins == (flat.phase_names,)
    assert flat.quality.verdict == "poor"
    assert flat.quality.cause == "the scan distinguishes no phases"
    assert "absorption edges" in flat.quality.action
    assert not any("supports" in note for note in flat.warnings)
