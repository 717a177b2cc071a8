"""Choices are kept until they are claimed, and belong to the stack they were made on."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from made_up_maps import maps, view
from run_engines import a_run_engine

from stxm_live.adaptive.chooser import RegionChooser, box_region
from stxm_live.adaptive.regions import Absorber, DoseMap
from stxm_live.core.region import Region
from stxm_live.plans import wait_for_region

FIRST = Region((2.2, 2.8), (-1.2, -1.8), nx=31, ny=31, dwell_ms=2.0, criterion="doubt")
SECOND = replace(FIRST, x_extent_um=(2.8, 3.4))


@pytest.fixture
def chooser():
    limits_um = ((0.0, 10.0), (-5.0, 5.0))
    with RegionChooser(suggest=lambda maps, scanned: [FIRST, SECOND], limits_um=limits_um) as it:
        yield it


def show(chooser, shown):
    """Give it maps, and wait for the suggestions."""
    chooser.on_maps(shown)
    until(lambda: chooser.is_ready)


def until(is_so, timeout_s=120.0):
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_before_anything_is_chosen_there_is_nothing(chooser):
    assert chooser.latest() is None
    assert chooser.claim() is None
    assert chooser.suggestions == []
    assert (chooser.refused, chooser.question, chooser.stack) == ("", "", None)


def test_the_newest_choice_counts_until_it_is_claimed_or_withdrawn(chooser):
    chooser.choose(FIRST)
    chooser.choose(SECOND)
    assert chooser.latest() == SECOND
    assert chooser.claim() == SECOND
    assert chooser.latest() is None
    chooser.choose(FIRST)
    chooser.withdraw()
    assert chooser.claim() is None


def test_a_suggestion_is_taken_by_its_number(chooser):
    show(chooser, maps())
    assert chooser.suggestions == [FIRST, SECOND]
    assert chooser.take(2) == SECOND
    assert chooser.latest() == SECOND


@pytest.mark.parametrize("k", [0, 3, -1])
def test_a_number_without_a_suggestion_is_refused(chooser, k):
    show(chooser, maps())
    with pytest.raises(ValueError, match=f"there is no suggestion {k}; there are 2"):
        chooser.take(k)
    assert f"no suggestion {k}" in chooser.refused
    assert chooser.latest() is None


def test_a_box_takes_step_and_dwell_of_the_best_suggestion(chooser):
    show(chooser, maps())
    region = chooser.choose_box((3.0, 2.4), (-1.9, -1.4))
    assert (region.x_extent_um, region.y_extent_um) == ((2.4, 3.0), (-1.9, -1.4))
    assert (region.nx, region.ny, region.dwell_ms) == (31, 26, 2.0)
    assert region.criterion == "drawn"


def test_without_suggestions_a_box_is_twice_as_fine_as_the_maps():
    def nothing(maps, scanned):
        raise ValueError("no specimen in the field")

    with RegionChooser(suggest=nothing) as chooser:
        show(chooser, maps())
        assert chooser.no_suggestions == "run 3f2a91bc region 1: no specimen in the field"
        assert chooser.choose_box((2.4, 3.0), (-1.9, -1.4)).step_um == pytest.approx((0.01, 0.01))


@pytest.mark.parametrize(
    ("x_um", "y_um", "message"),
    [
        ((1, 1), (0, 1), "the box has no size in x: both edges are at 1 um"),
        ((0, 1), (2, 2), "the box has no size in y"),
        ((0, float("nan")), (0, 1), "x from 0 to nan um is not a box"),
        ((0, 11), (0, 1), "x from 0 to 11 um is beyond the limits, 0 to 10 um"),
        ((0, 1), (-6, 1), "y from -6 to 1 um is beyond the limits, -5 to 5 um"),
    ],
)
def test_a_box_that_cannot_be_scanned_is_refused_and_the_choice_before_it_stays(
    chooser, x_um, y_um, message
):
    chooser.choose(FIRST)
    with pytest.raises(ValueError, match=message):
        chooser.choose_box(x_um, y_um, step_um=0.1)
    assert message in chooser.refused
    assert chooser.latest() == FIRST
    chooser.choose(SECOND)
    assert chooser.refused == ""


def test_a_box_of_too_many_pixels_is_refused_before_memory_is_taken(chooser):
    with pytest.raises(ValueError, match="more than 4194304 pixels"):
        chooser.choose_box((0, 10), (-5, 5), step_um=1e-9)
    with pytest.raises(ValueError, match="3000 x 2000 pixels are more than 4194304"):
        chooser.choose(Region((0, 3), (0, 2), nx=3000, ny=2000))


@pytest.mark.parametrize(
    ("x_um", "y_um", "step_um", "most_pixels"),
    [
        ((0, 10), (-5, 5), 1e-9, 10_000),
        ((-900, 0.3), (-0.4, 0.8), 0.03, 50_000),
        ((0, 1e9), (0, 1e-3), (0.1, 0.2), 2**22),
    ],
)
def test_the_step_that_is_proposed_for_too_many_pixels_is_accepted(
    x_um, y_um, step_um, most_pixels
):
    with RegionChooser(most_pixels=most_pixels) as chooser:
        with pytest.raises(ValueError, match="give step_um=") as refusal:
            chooser.choose_box(x_um, y_um, step_um=step_um)
        proposed = float(str(refusal.value).rpartition("step_um=")[2])
        region = chooser.choose_box(x_um, y_um, step_um=proposed)
        assert most_pixels / 2 < region.nx * region.ny <= most_pixels


def test_a_box_in_nm_is_beyond_the_limits_before_its_pixels_are_counted(chooser):
    with pytest.raises(ValueError, match=r"x from -900 to 0.3 um is beyond the limits, 0 to 10 um"):
        chooser.choose_box((-900, 0.3), (-0.4, 0.8), step_um=1e-4)


def test_a_line_is_no_region_for_a_stack(chooser):
    with pytest.raises(ValueError, match="no size in y: it is a line at 1 um"):
        chooser.choose(Region((0, 1), (1, 1), nx=5, ny=1))


def test_the_edges_of_a_box_are_pixel_centres_and_the_step_fits():
    region = box_region((0, 1), (0, 2), step_um=(0.3, 0.3))
    columns, rows = region.positions_um
    assert (columns[0], columns[-1], rows[0], rows[-1]) == (0, 1, 0, 2)
    assert region.step_um == pytest.approx((1 / 3, 2 / 7))


def test_maps_of_another_stack_make_a_choice_void_and_say_so(chooser):
    show(chooser, maps(run="aaaa1111"))
    chooser.take(1)
    show(chooser, maps(run="bbbb2222"))
    assert chooser.latest() is None
    assert "on run aaaa1111 region 1 was dropped: there are maps of run bbbb2222" in chooser.refused


def test_what_was_refused_or_became_void_is_in_the_log(chooser, caplog):
    with pytest.raises(ValueError, match="limits"):
        chooser.choose_box((0, 11), (0, 1), step_um=0.1)
    with pytest.raises(ValueError, match="no suggestion 7"):
        chooser.take(7)
    chooser.refuse("fine x cannot go there")
    show(chooser, maps(run="aaaa1111"))
    chooser.take(1)
    show(chooser, maps(run="bbbb2222"))
    logged = [record.getMessage() for record in caplog.records if record.name == "stxm_live"]
    assert [text.partition(":")[0] for text in logged[:3]] == ["choice refused"] * 3
    assert "from 0 to 11 um is beyond" in logged[0]
    assert logged[2:] == ["choice refused: fine x cannot go there", chooser.refused]
    assert "was dropped" in logged[3]


def test_better_maps_of_the_same_stack_leave_the_choice(chooser):
    show(chooser, maps())
    chooser.take(1)
    show(chooser, maps(revision=2))
    assert chooser.latest() == FIRST


def test_a_box_drawn_on_outdated_maps_is_refused(chooser):
    old = maps(run="aaaa1111")
    show(chooser, old)
    show(chooser, maps(run="bbbb2222"))
    with pytest.raises(ValueError, match="chosen on the maps of run aaaa1111"):
        chooser.choose(FIRST, stack=old.key)
    with pytest.raises(ValueError, match="look at those and choose again"):
        chooser.take(1, stack=old.key)


def test_suggestions_and_choice_go_when_another_stack_begins(chooser):
    show(chooser, maps(run="aaaa1111"))
    chooser.take(1)
    chooser.on_cube(view(0, run="bbbb2222"))  # its first image; maps come much later
    assert chooser.suggestions == []
    assert not chooser.is_ready
    assert chooser.latest() is None
    assert "on run aaaa1111 region 1 was dropped: run bbbb2222 region 1 is being scanned now" in (
        chooser.refused
    )
    with pytest.raises(ValueError, match=r"there are 0 .run bbbb2222 region 1: "):
        chooser.take(1)
    show(chooser, maps(run="bbbb2222"))
    assert chooser.suggestions == [FIRST, SECOND]
    assert chooser.no_suggestions == ""


def test_suggestions_still_being_made_are_dropped_when_another_stack_begins():
    begun, go_on = threading.Event(), threading.Event()

    def slow(maps, scanned):
        begun.set()
        go_on.wait(120)
        return [FIRST]

    with RegionChooser(suggest=slow) as chooser:
        chooser.on_maps(maps(run="aaaa1111"))
        assert begun.wait(120)
        chooser.on_cube(view(0, run="bbbb2222"))
        go_on.set()
        time.sleep(0.1)
        assert chooser.suggestions == []


def test_a_box_drawn_on_the_images_of_the_new_stack_stays_when_its_maps_come(chooser):
    show(chooser, maps(run="aaaa1111"))
    new = view(3, run="bbbb2222")
    chooser.on_cube(new)
    region = chooser.choose_box((2.4, 3.0), (-1.9, -1.4), stack=new.key)
    assert region.step_um == pytest.approx((0.01, 0.01))  # half of the scan's 20 nm
    show(chooser, maps(run="bbbb2222"))
    assert chooser.latest() == region


def test_suggestions_stay_while_a_zoom_into_their_field_is_scanned(chooser):
    show(chooser, maps(run="aaaa1111"))
    chooser.take(2)
    shown = view(0, run="bbbb2222")
    zoom = replace(shown, scan=shown.scan.model_copy(update={"parent": "aaaa1111"}))
    chooser.on_cube(zoom)
    assert chooser.suggestions == [FIRST, SECOND]
    assert chooser.latest() == SECOND
    assert chooser.choose(FIRST, stack=zoom.key) == FIRST


def test_further_regions_and_runs_of_one_stack_are_no_other_sample(chooser):
    first = view(0, run="aaaa1111")
    chooser.on_cube(first)
    chooser.choose_box((2.4, 3.0), (-1.9, -1.4))
    chooser.on_cube(replace(first, key=first.key._replace(region="2")))
    joined = first.key._replace(run_uids=("aaaa1111", "bbbb2222"))
    chooser.on_cube(replace(first, key=joined))
    assert chooser.latest() is not None
    show(chooser, replace(maps(), key=joined))
    assert chooser.latest() is not None


def test_a_chooser_made_after_the_overview_takes_up_its_maps():
    class Mapper:
        def add_sink(self, **callbacks):
            pass

        def results(self):
            return [maps(run="aaaa1111"), maps(run="bbbb2222")]

    with RegionChooser(Mapper(), suggest=lambda maps, scanned: [FIRST]) as late:
        until(lambda: late.is_ready)
        assert late.stack == maps(run="bbbb2222").key
        assert late.take(1) == FIRST


def test_while_a_plan_explores_a_zoom_is_part_of_the_same_question(chooser):
    overview, zoom = maps(run="aaaa1111"), maps(run="bbbb2222")
    with chooser.exploring(overview):
        chooser.on_maps(zoom)
        assert chooser.stack == overview.key
        with pytest.raises(ValueError, match="chosen on the maps of run bbbb2222"):
            chooser.choose(FIRST, stack=zoom.key)
        chooser.on_cube(view(run="bbbb2222"))  # its first image
        chooser.choose(FIRST, stack=zoom.key)
        chooser.add_scanned(SECOND, zoom.key)
        assert chooser.latest() == FIRST
    chooser.on_maps(zoom)
    assert chooser.stack == zoom.key
    assert chooser.latest() == FIRST  # it was chosen on this zoom
    chooser.on_maps(maps(run="cccc3333"))
    assert chooser.latest() is None


def test_suggestions_that_fail_are_told_and_nobody_waits_for_them(caplog):
    def broken(maps, scanned):
        raise ZeroDivisionError("by accident")

    with RegionChooser(suggest=broken) as chooser:
        show(chooser, maps())
        assert "no regions could be suggested (ZeroDivisionError('by accident'))" in (
            chooser.no_suggestions
        )
        with pytest.raises(ValueError, match="there is no suggestion 1; there are 0"):
            chooser.take(1)
    assert "by accident" in caplog.text


def test_asking_never_waits_for_suggestions_that_take_long():
    go_on = threading.Event()

    def slow(maps, scanned):
        go_on.wait(120)
        return [FIRST]

    with RegionChooser(suggest=slow) as chooser:
        chooser.on_maps(maps())
        assert chooser.latest() is None
        assert chooser.suggestions == []
        assert not chooser.is_ready
        chooser.choose(SECOND)
        assert chooser.claim() == SECOND
        assert not chooser.is_ready
        go_on.set()
        until(lambda: chooser.suggestions == [FIRST])


def test_suggestions_from_overtaken_maps_are_dropped():
    seen, go_on = [], threading.Event()

    def by_run(maps, scanned):
        seen.append(maps.key.run_uids[0])
        go_on.wait(120)
        return [replace(FIRST, name=maps.key.run_uids[0])]

    with RegionChooser(suggest=by_run) as chooser:
        chooser.on_maps(maps(run="a"))
        until(lambda: seen == ["a"])
        chooser.on_maps(maps(run="b"))
        chooser.on_maps(maps(run="c"))
        go_on.set()
        until(lambda: chooser.is_ready)
        assert [region.name for region in chooser.suggestions] == ["c"]
        assert seen == ["a", "c"]


def test_choices_from_many_threads_are_each_claimed_once(chooser):
    n_each, claimed = 200, []
    done = threading.Event()

    def person(k):
        for i in range(n_each):
            chooser.choose(replace(FIRST, name=f"{k}-{i}"))

    def plan():
        while not done.is_set() or chooser.latest():
            region = chooser.claim()
            if region is not None:
                claimed.append(region.name)

    asking = threading.Thread(target=plan)
    people = [threading.Thread(target=person, args=(k,)) for k in range(4)]
    for thread in (asking, *people):
        thread.start()
    for thread in people:
        thread.join()
    done.set()
    asking.join()
    assert len(set(claimed)) == len(claimed)
    assert claimed


def asked(engine, chooser, **options):
    returned = []

    def outer():
        returned.append((yield from wait_for_region(chooser, **options)))

    engine(outer())
    return returned[0]


def test_a_plan_waits_for_a_choice_and_goes_on_without():
    with (
        a_run_engine() as engine,
        RegionChooser(suggest=lambda maps, scanned: [FIRST, SECOND]) as chooser,
    ):
        assert asked(engine, chooser, timeout_s=0.1) is None
        assert asked(engine, chooser, timeout_s=0.1, default=1) is None
        assert asked(engine, chooser, timeout_s=0.1, default=SECOND) == SECOND
        show(chooser, maps())
        assert asked(engine, chooser, timeout_s=0.1, default=2) == SECOND
        chooser.choose(FIRST)
        assert asked(engine, chooser, timeout_s=120.0, default=2) == FIRST
        timer = threading.Timer(0.1, chooser.take, [2])
        timer.start()
        assert asked(engine, chooser, timeout_s=120.0) == SECOND
        timer.join()
        assert chooser.question == ""


def test_a_plan_that_begins_to_wait_says_what_to_do_and_one_that_need_not_says_nothing(caplog):
    with a_run_engine() as engine, RegionChooser() as chooser:
        chooser.choose(FIRST)
        asked(engine, chooser, timeout_s=0.1)
        asked(engine, chooser, timeout_s=0, default=FIRST)
        assert "choose a region" not in caplog.text
        asked(engine, chooser, timeout_s=0.1, question="zoom 1 of 2")
    (said,) = [r.getMessage() for r in caplog.records if "choose a region" in r.getMessage()]
    assert said.startswith("zoom 1 of 2: choose a region within 0.1 s")
    assert "RE.resume()" in said


def test_by_itself_it_suggests_where_labels_are_doubtful_and_nothing_was_scanned():
    shown = maps()
    field = ((2.0, 3.58), (-2.18, -1.0))
    probability = np.repeat(shown.specimen[None] * np.float32(0.2), len(shown.phase_names), axis=0)
    with RegionChooser(n_suggestions=3, size_um=(0.4, 0.3)) as chooser:
        show(chooser, replace(shown, probability=probability))
        assert chooser.no_suggestions == ""
        first = chooser.suggestions[0]
        for extent, (low, high) in zip((first.x_extent_um, first.y_extent_um), field, strict=True):
            assert low <= min(extent) < max(extent) <= high
        chooser.add_scanned(first)
        until(lambda: chooser.is_ready)
        assert first not in chooser.suggestions
        assert chooser.suggestions


def doses(*, per_stack_mgy=10.0):
    """A dose map in which a scan like that of the maps, pixel by pixel, costs so much."""
    one = Absorber(3.165, 100, photons_per_count=1.0).absorbed_mgy(maps()).max()
    return DoseMap(Absorber(3.165, 100, photons_per_count=per_stack_mgy / float(one)))


ALIKE = Region((2.6, 2.98), (-1.5, -1.7), nx=20, ny=11, dwell_ms=1.0)
"""In the particle, with step and dwell of the maps: 10 MGy more."""


@pytest.fixture
def capped():
    with RegionChooser(
        suggest=lambda maps, scanned: [FIRST, ALIKE], dose=doses(), max_dose_mgy=25.0
    ) as it:
        yield it


def test_a_region_above_the_ceiling_of_dose_is_neither_suggested_nor_taken(capped):
    show(capped, maps(dwell_ms=1.0))
    assert capped.suggestions == [ALIKE]  # FIRST has twice the dwell in its fourfold pixels
    assert capped.choose(ALIKE) == ALIKE
    with pytest.raises(
        ValueError, match=r"bring the dose to 3\d.* MGy .so far .*ceiling of 25 MGy"
    ):
        capped.choose(replace(ALIKE, dwell_ms=2.5))
    assert "above the ceiling" in capped.refused
    assert capped.latest() == ALIKE


def test_if_every_suggestion_is_above_the_ceiling_the_reason_is_said():
    with RegionChooser(
        suggest=lambda maps, scanned: [FIRST], dose=doses(), max_dose_mgy=25.0
    ) as chooser:
        show(chooser, maps(dwell_ms=1.0))
        assert chooser.suggestions == []
        assert "above the ceiling of 25 MGy" in chooser.no_suggestions


def test_where_no_dose_is_known_nothing_is_taken(capped):
    with pytest.raises(ValueError, match="without maps the dose of a region is not known"):
        capped.choose(ALIKE)
    show(capped, maps())
    with pytest.raises(ValueError, match="3f2a91bc region 1 has no dwell"):
        capped.choose(ALIKE)
    show(capped, maps(dwell_ms=1.0))
    with pytest.raises(ValueError, match="reaches beyond run 3f2a91bc region 1 in x"):
        capped.choose(replace(ALIKE, x_extent_um=(3.4, 3.78)))


def test_a_choice_that_a_later_scan_has_brought_above_the_ceiling_is_not_handed_out(capped):
    overview = maps(dwell_ms=1.0)
    with capped.exploring(overview):
        capped.choose(ALIKE)
        capped.on_maps(maps(run="zoom", dwell_ms=1.0))
        assert capped.claim() is None
        assert "above the ceiling" in capped.refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_dose_mgy": 25.0}, "needs dose=DoseMap"),
        ({"max_dose_mgy": 0.0, "dose": doses()}, "max_dose_mgy is 0; it must be"),
        ({"max_dose_mgy": float("nan"), "dose": doses()}, "max_dose_mgy is nan"),
    ],
)
def test_a_ceiling_that_cannot_hold_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RegionChooser(**options)
