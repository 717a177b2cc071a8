"""Regions are found by what one looks for, in words."""

from types import SimpleNamespace

import numpy as np
import pytest
from made_up_maps import maps as made_up

from stxm_live.adaptive.queueserver import Queue
from stxm_live.adaptive.regions import suggest_regions
from stxm_live.core.recipe import Recipe
from stxm_live.core.region_criterion import Term, parse_criterion

SHAPE = (60, 80)


def square(row, column, size=6):
    return slice(row, row + size), slice(column, column + size)


def planted(places, **changes):
    """Maps of phase 2, with squares of other phases."""
    index = np.where(made_up(shape=SHAPE).phase_index >= 0, 2, -1).astype(np.int8)
    for phase, row, column, size in places:
        index[square(row, column, size)] = phase
    certain = np.where(index >= 0, 0.0, np.nan).astype(np.float32)
    values = {"phase_index": index, "resolved_index": index, "wrong_probability": certain}
    return made_up(shape=SHAPE, **(values | {"unidentified": np.zeros(SHAPE, bool)} | changes))


def with_value(maps, value, std=0.02):
    """The same with amounts whose value is given."""
    amounts = SimpleNamespace(
        value=np.where(maps.phase_index >= 0, value, np.nan).astype(np.float32),
        value_std=np.full(SHAPE, std, dtype=np.float32),
        thickness=np.full(SHAPE, 100.0, dtype=np.float32),
        thickness_std=np.full(SHAPE, 1.0, dtype=np.float32),
        quantity="x in NaxV2(PO4)2F3",
    )
    object.__setattr__(maps, "find_amounts", lambda: amounts)
    return maps


def pixels(maps, region):
    """Row and column of the middle of a region."""
    x0, x1, y0, y1 = maps.extent_um
    row = (np.mean(region.y_extent_um) - y0) / (y1 - y0) * (SHAPE[0] - 1)
    column = (np.mean(region.x_extent_um) - x0) / (x1 - x0) * (SHAPE[1] - 1)
    return row, column


def found_at(maps, criterion, n=1, size_um=0.16):
    return [
        pixels(maps, region)
        for region in suggest_regions(maps, n, size_um=size_um, criterion=criterion)
    ]


def close_to(place, row, column):
    return np.hypot(place[0] - row, place[1] - column) < 4


def test_a_phase_is_found_where_it_is():
    maps = planted([(0, 20, 50, 6), (4, 40, 30, 6)])
    (place,) = found_at(maps, "phase:Na3VPF")
    assert close_to(place, 22.5, 52.5)
    (region,) = suggest_regions(maps, 1, size_um=0.16, criterion="phase:Na1-yVPF")
    assert close_to(pixels(maps, region), 42.5, 32.5)
    assert region.criterion == "phase:Na1-yVPF"
    assert "phase:Na1-yVPF" in region.reason


def test_a_phase_that_shares_its_label_is_looked_for_as_that_label():
    places = [(0, 20, 50, 4), (1, 20, 54, 4)]
    names = planted([]).phase_names
    maps = planted(places, twins=(names[:2],), probability=None)
    (place,) = found_at(maps, "phase:Na3VPF")
    assert close_to(place, 21.5, 53.5)
    assert found_at(maps, "boundary of Na3VPF and Na2.4VPF") == []
    assert found_at(planted(places), "boundary of Na3VPF and Na2.4VPF")
    for criterion in ("phase:Na3VPF", "boundary of Na3VPF and Na2VPF"):
        assert found_at(planted(places, twins=(names,)), criterion) == []


def test_the_boundary_of_two_phases_is_not_that_of_others():
    maps = planted([(0, 20, 40, 8), (4, 20, 48, 8), (1, 40, 30, 8)])
    (place,) = found_at(maps, "boundary of Na3VPF and Na1-yVPF")
    assert close_to(place, 23.5, 47.5)


def test_a_range_of_a_value_is_found_by_its_name():
    value = np.full(SHAPE, 3.0)
    value[square(20, 50)], value[square(40, 30)] = 2.2, 1.0
    for criterion in ("x between 2.0 and 2.4", "value between 2 and 2.4"):
        (place,) = found_at(with_value(planted([]), value), criterion)
        assert close_to(place, 22.5, 52.5)
    (place,) = found_at(with_value(planted([]), value), "x below 1.5")
    assert close_to(place, 42.5, 32.5)
    assert found_at(with_value(planted([]), value), "thickness above 200") == []


def test_an_uncertain_value_counts_as_much_as_it_is_probable():
    value, std = np.full(SHAPE, 3.0), np.full(SHAPE, 0.02)
    value[square(20, 50)] = value[square(40, 30)] = 2.2
    std[square(40, 30)] = 2.0
    places = found_at(with_value(planted([]), value, std), "x between 2.0 and 2.4", n=2)
    assert close_to(places[0], 22.5, 52.5)
    assert close_to(places[1], 42.5, 32.5)


def test_limits_of_the_area_leave_small_and_large_parts_out():
    maps = planted([(0, 20, 50, 3), (0, 40, 30, 7), (0, 28, 24, 10)])  # pixels of 4e-4 um2
    (place,) = found_at(maps, "phase:Na3VPF and area between 0.01 and 0.03", n=3)
    assert close_to(place, 43, 33)
    (place,) = found_at(maps, "phase:Na3VPF and area below 0.01", n=3)
    assert close_to(place, 21, 51)
    assert found_at(maps, "area above 10") == []


def test_or_takes_both_and_and_only_what_is_common():
    maps = planted([(0, 20, 50, 6), (4, 40, 30, 6)])
    places = found_at(maps, "phase:Na3VPF or phase:Na1-yVPF", n=5)
    assert len(places) == 2
    assert found_at(maps, "phase:Na3VPF and phase:Na1-yVPF") == []


def test_words_and_criteria_go_together_and_have_weights():
    strange = np.zeros(SHAPE, dtype=bool)
    strange[square(20, 50)] = strange[square(40, 40)] = True
    maps = planted([(0, 20, 50, 6)], unidentified=strange)
    (place,) = found_at(maps, "unidentified and phase:Na3VPF", n=3)
    assert close_to(place, 22.5, 52.5)
    assert len(found_at(maps, {"phase:Na3VPF": 1, "unidentified": 1}, n=3)) == 2


def test_the_criterion_of_the_recipe_is_the_default(nvpf):
    recipe = nvpf.with_changes({"regions.criterion": "phase:Na3VPF"})
    assert recipe.fingerprint == nvpf.fingerprint
    provenance = {"recipe_values": recipe.model_dump(mode="json")}
    maps = planted([(0, 20, 50, 6)], provenance=provenance)
    (region,) = suggest_regions(maps, 1, size_um=0.16)
    assert region.criterion == "phase:Na3VPF"
    assert close_to(pixels(maps, region), 22.5, 52.5)


def test_regions_of_a_result_are_items_of_a_queue():
    maps = planted([(0, 20, 50, 6)])
    (region,) = suggest_regions(maps, 1, size_um=0.16, criterion="phase:Na3VPF")
    arguments = {"detector": "camera", "energy": "mono", "energies_ev": [505.0]}
    item = Queue(arguments=arguments).item(region)
    assert item["kwargs"]["md"]["chosen"]["criterion"] == "phase:Na3VPF"
    assert item["kwargs"]["nx"] == region.nx


@pytest.mark.parametrize(
    ("criterion", "message"),
    [
        ("phase:Na9", "there is no phase 'Na9'; the maps have Na3VPF, Na2.4VPF"),
        ("boundary of Na3VPF and Na3VPF", "between two phases, not Na3VPF twice"),
        ("x between 2 and 3", "the maps of .* have no amounts, so x is not known"),
        ("x between 3 and 2", "3 is above 2"),
        ("phase:Na3VPF but thick", "not understood at 'but thick'"),
        ("boundary of Na3VPF", "not understood at 'of Na3VPF': expected words such as"),
        ("phase:", "not understood at 'phase:'"),
        ('"two words"', "criterion 'two words' is unknown"),
        ("phase:Na3VPF and", "not understood at 'and'"),
        ("area above 1 and area below 2", "limits the area twice"),
        ("phase:Na3VPF and prettiest", "criterion 'prettiest' is unknown"),
    ],
)
def test_words_that_mean_nothing_are_an_error_that_says_why(criterion, message):
    with pytest.raises(ValueError, match=message):
        suggest_regions(planted([]), 1, size_um=0.2, criterion=criterion)


def test_a_value_without_numbers_in_the_recipe_names_the_table():
    maps = with_value(planted([]), np.full(SHAPE, 2.0))
    maps.amounts.value = None
    with pytest.raises(ValueError, match=r"write one for each in \[phases\] value"):
        suggest_regions(maps, 1, size_um=0.2, criterion="x above 2")
    with pytest.raises(ValueError, match="'color' is no number of a pixel"):
        suggest_regions(maps, 1, size_um=0.2, criterion="color above 2")


def test_a_recipe_with_words_that_are_not_understood_is_refused():
    values = {"name": "a", "references": "r.csv", "regions": {"criterion": "phase:A but thick"}}
    with pytest.raises(ValueError, match=r"regions.criterion: criterion .* not understood"):
        Recipe.from_values(values)


@pytest.mark.parametrize(
    "text",
    [
        "boundary of A and b AND x Above 2 or doubt",
        "Boundary between A and b and x above 2 OR doubt",
    ],
)
def test_words_may_begin_with_capitals_and_names_keep_theirs(text):
    assert parse_criterion(text) == (
        (Term("boundary", ("A", "b")), Term("number", ("x",), 2, np.inf)),
        (Term("name", ("doubt",)),),
    )


def test_names_with_blanks_are_in_quotes():
    (terms,) = parse_criterion('boundary of "phase A" and B and area above .5 um2')
    assert terms == (
        Term("boundary", ("phase A", "B")),
        Term("area", ("area",), 0.5, np.inf),
    )
