from dataclasses import replace

import numpy as np
import pytest
from particles import particle_counts, particle_scan

from stxm_live import (
    Frame,
    LivePhaseMapper,
    Stack,
    StackKey,
    map_phases,
)
from stxm_live.adaptive.energies import EnergyAdvisor, advise, minimum_set, next_energy, still_left
from stxm_live.adaptive.energies.current_labels import MAX_LABELLED, Counting, learn, sampled
from stxm_live.adaptive.energies.expected_error import Expectation
from stxm_live.adaptive.energies.subset_search import Goal, choose
from stxm_live.live.cube import cube_view

PHOTONS = 3000
FIRST_FIVE = (0, 4, 5, 6, 11)
"""Places of 505, 517.5, 518.3, 519.2 and 530.3 eV among the thirteen."""


@pytest.fixture(scope="module")
def recipe(nvpf):
    return nvpf.with_changes({"alignment.enabled": False, "energy_fit": False})


def knowledge_of(recipe, measured, *, neighbors=True):
    """Of the simulated particle, whose phases are known, with a known I0."""
    counts, energies_ev, particle = particle_counts(photons=PHOTONS)
    od = np.log(PHOTONS / np.maximum(counts, 1)).astype(np.float32)
    od[[k for k in range(len(od)) if k not in measured]] = np.nan
    i0 = np.full(len(od), np.nan)
    i0[list(measured)] = PHOTONS
    references = recipe.reference_spectra.at(energies_ev)
    spatial = {"resolver.spatial": "potts" if neighbors else "none"}
    counting = Counting(i0, np.array(energies_ev), recipe.with_changes(spatial), gain=1.0)
    return learn(od, particle.specimen, measured, references, counting)


def expectation_of(recipe, measured, **options):
    return Expectation(knowledge_of(recipe, measured, **options), chosen(measured))


def chosen(places, n_energies=13):
    return np.isin(np.arange(n_energies), list(places))


def test_nothing_added_leaves_as_much_wrong_as_there_is(recipe):
    expectation = expectation_of(recipe, FIRST_FIVE)
    (same,) = expectation.wrong(chosen(())[None])
    assert same == pytest.approx(expectation.knowledge.wrong, rel=1e-6)


@pytest.mark.parametrize("neighbors", [False, True])
def test_more_energies_never_promise_less(recipe, neighbors, rng):
    expectation = expectation_of(recipe, FIRST_FIVE, neighbors=neighbors)
    order = rng.permutation([k for k in range(13) if k not in FIRST_FIVE])
    wrong = expectation.wrong(np.array([chosen(order[:n]) for n in range(len(order) + 1)]))
    assert np.all(np.diff(wrong) <= 1e-12)
    assert wrong[-1] < wrong[0]


@pytest.mark.parametrize(
    ("measured", "added", "neighbors", "tolerance"),
    [
        (FIRST_FIVE, (2, 3, 12), True, 0.01),
        (FIRST_FIVE, range(13), True, 0.015),
        (FIRST_FIVE[:3], FIRST_FIVE[3:], True, 0.03),
        ((0,), range(13), True, 0.03),
        (FIRST_FIVE, range(13), False, 0.03),
    ],
)
def test_what_is_promised_of_further_energies_is_what_they_do(
    recipe, measured, added, neighbors, tolerance
):
    before = expectation_of(recipe, measured, neighbors=neighbors)
    (promised,) = before.wrong(chosen(added)[None])
    after = knowledge_of(recipe, sorted({*measured, *added}), neighbors=neighbors)
    assert promised == pytest.approx(after.wrong, abs=tolerance)


def test_the_probability_of_wrong_labels_is_their_share(recipe, nvpf):
    counts, energies_ev, particle = particle_counts(photons=PHOTONS)
    rows = list(FIRST_FIVE)
    stack = Stack.from_arrays(counts[rows], [energies_ev[k] for k in rows])
    maps = map_phases(stack, recipe.with_changes({"energies_ev": stack.energies_ev}))
    counted = (maps.phase_index >= 0) & particle.specimen
    share = (maps.final_index != particle.phase_index)[counted].mean()
    assert knowledge_of(recipe, FIRST_FIVE).wrong == pytest.approx(share, abs=0.02)


def test_a_choice_reaches_the_goal_at_a_lower_dose_than_all(recipe):
    expectation = expectation_of(recipe, (0, 5))
    choice = choose(expectation, ~chosen((0, 5)), Goal(0.0, 0.01), required=(11,))
    assert choice.wrong <= choice.wrong_with_all + 0.01
    assert 11 in choice.wanted
    dose = expectation.knowledge.dose
    assert dose[list(choice.wanted)].sum() < 0.7 * dose[~chosen((0, 5))].sum()
    (told,) = expectation.wrong(chosen(choice.wanted)[None])
    assert told == pytest.approx(choice.wrong)


def test_what_is_good_enough_asks_for_nothing_but_what_is_required(recipe):
    expectation = expectation_of(recipe, FIRST_FIVE)
    left = ~chosen(FIRST_FIVE)
    assert choose(expectation, left, Goal(0.9, 0.0), required=()).wanted == ()
    assert choose(expectation, left, Goal(0.9, 0.0), required=(2,)).wanted == (2,)
    assert choose(expectation, chosen(()), Goal(0.0, 0.0), required=()).wanted == ()


def test_of_a_large_specimen_tiles_are_labelled_whose_pixels_stay_neighbors():
    mask = np.hypot(*np.indices((300, 310)) - 150) < 140
    rows, columns, laid = sampled(mask)
    assert mask[rows, columns].all()
    assert MAX_LABELLED / 2 < laid.sum() < 1.5 * MAX_LABELLED
    assert len(set(zip(rows, columns, strict=True))) == laid.sum() == len(rows)
    places = np.full((*laid.shape, 2), -1)
    places[laid] = np.stack([rows, columns], axis=1)
    for axis, step in ((0, (1, 0)), (1, (0, 1))):
        beside = np.diff(places, axis=axis)
        both = laid[1:] & laid[:-1] if axis == 0 else laid[:, 1:] & laid[:, :-1]
        assert (beside[both] == step).all()


def test_a_small_specimen_is_labelled_as_it_is():
    mask = np.eye(9, dtype=bool)
    rows, columns, laid = sampled(mask)
    np.testing.assert_array_equal(rows, columns)
    assert laid is mask


def test_the_minimum_set_separates_the_phases_and_begins_with_the_first_energy(recipe):
    energies = recipe.energies_ev
    minimum = minimum_set(energies, recipe)
    assert minimum[0] == energies[0]
    assert len(minimum) == recipe.adaptive.fewest
    threshold = recipe.ambiguity_threshold
    assert not recipe.reference_spectra.inseparable_pairs(minimum, threshold)
    assert minimum_set(energies[::-1], recipe)[0] == energies[-1]


def test_a_minimum_set_that_tells_too_little_grows(recipe):
    strict = recipe.with_changes({"ambiguity_threshold": 0.0075, "adaptive.fewest": 2})
    minimum = minimum_set(recipe.energies_ev, strict)
    assert len(minimum) > 2
    assert not strict.reference_spectra.inseparable_pairs(minimum, 0.0075)


def test_the_minimum_set_of_the_recipe_is_taken_and_must_be_announced(recipe):
    own = recipe.with_changes({"adaptive.minimum_ev": [519.2, 515.6]})
    assert minimum_set(recipe.energies_ev, own) == (505.0, 515.6, 519.2)
    with pytest.raises(ValueError, match=r"minimum set has 515\.6 eV, the nearest .* is 516\.6 eV"):
        minimum_set([505.0, 516.6, 519.2], own)


def test_energies_that_take_no_part_in_the_maps_are_measured(recipe):
    announced = (500.0, *recipe.energies_ev, 540.0)
    assert {500.0, 540.0} <= set(minimum_set(announced, recipe))


def test_one_energy_leaves_nothing_to_choose(recipe):
    with pytest.raises(ValueError, match="selects 1; an adaptive scan chooses among more"):
        minimum_set([517.5], recipe)


def view_of(recipe, places, *, skipping="in-order", change=lambda counts: counts):
    """The growing cube after these images, in this order."""
    counts, energies_ev, _ = particle_counts(photons=PHOTONS)
    counts = change(counts)
    scan = particle_scan(skipping=skipping)
    frames = [Frame(energies_ev[k], counts[k], energies_ev[k]) for k in places]
    ascending = tuple(sorted(frames, key=lambda frame: frame.energy_ev))
    stack = Stack(StackKey(("a run",)), scan, ascending, finished=False)
    return cube_view(stack, frames[-1], recipe)


def test_advice_in_order_is_on_what_comes_behind_and_otherwise_on_all_that_is_left(recipe):
    energies = recipe.energies_ev
    behind = advise(view_of(recipe, (0, 4, 5)), recipe, ())
    assert set(behind.gains) == set(energies[6:])
    anywhere = advise(view_of(recipe, (0, 4, 5), skipping="any-order"), recipe, ())
    assert set(anywhere.gains) == set(energies) - {energies[k] for k in (0, 4, 5)}
    assert behind.latest_ev == anywhere.latest_ev == energies[5]
    assert behind.run_uid == "a run"
    assert behind.certainty <= behind.expected_certainty <= behind.most_certainty
    assert set(behind.wanted_ev) <= set(behind.gains)


def test_advice_does_not_depend_on_what_a_count_is(recipe):
    plain = advise(view_of(recipe, FIRST_FIVE), recipe, ())
    as_analogue = advise(view_of(recipe, FIRST_FIVE, change=lambda c: 7 * c), recipe, ())
    assert as_analogue.certainty == pytest.approx(plain.certainty, abs=0.01)
    assert as_analogue.most_certainty == pytest.approx(plain.most_certainty, abs=0.01)


@pytest.mark.parametrize("places", [(0,), (0, 5), (0, 4, 5), FIRST_FIVE])
def test_where_each_spectrum_has_a_constant_of_its_own_less_is_certain(recipe, places):
    plain = recipe.with_changes({"resolver.spatial": "none"})
    free = plain.with_changes({"resolver.baseline": "constant"})
    with_constant = advise(view_of(free, places), free, ())
    without = advise(view_of(plain, places), plain, ())
    assert 0.19 < with_constant.certainty <= without.certainty + 1e-3
    assert with_constant.certainty <= with_constant.most_certainty < 1


def test_a_target_that_is_reached_ends_the_scan_but_for_what_is_required(recipe):
    easy = recipe.with_changes({"adaptive.target_certainty": 0.5})
    view = view_of(recipe, (0, 4, 5))
    assert advise(view, easy, ()).wanted_ev == ()
    assert advise(view, easy, (530.3,)).wanted_ev == (530.3,)


def test_a_scan_that_skips_nothing_gets_no_advice_and_one_that_may_gets_it(recipe):
    with LivePhaseMapper(recipe, background=False) as live:
        advisor = EnergyAdvisor(live)
        advisor.on_cube(view_of(recipe, (0, 4), skipping="no"))
        assert advisor.latest() is None
        advisor.on_cube(view_of(recipe, (0, 4)))
        assert advisor.latest().latest_ev == 517.5


def test_what_cannot_be_judged_is_a_problem_and_not_an_error(recipe):
    view = view_of(recipe, (0, 4))
    with LivePhaseMapper(recipe, background=False) as live:
        advisor = EnergyAdvisor(live)
        advisor.on_cube(replace(view, specimen=np.zeros_like(view.specimen)))
        assert "no pixel of the specimen" in advisor.latest().error
        assert advisor.latest().run_uid == "a run"


def test_in_order_what_is_passed_is_gone_and_otherwise_it_may_still_come():
    energies = [505.0, 515.6, 517.5, 519.2]
    assert still_left(energies, 515.6, any_order=False) == [517.5, 519.2]
    assert still_left(energies, 515.6, any_order=True) == [505.0, 517.5, 519.2]
    assert next_energy(energies, [519.2, 515.6], [], any_order=False) == 515.6
    assert next_energy(energies, [519.2, 515.6], [], any_order=True) == 519.2
    assert next_energy(energies, [519.2, 515.6], [505.0], any_order=True) == 505.0
    assert next_energy(energies, [530.3], [], any_order=True) is None
