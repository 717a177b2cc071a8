"""Runs of a real catalogue in the dashboard: the list, a finished run, and changes of a result."""

from dataclasses import replace
from importlib import import_module
from queue import Queue
from threading import Thread

import numpy as np
import pytest
from dashboard_page import Opened, expected_colors, launch, some_pixels
from particles import documents, image_documents, image_events, particle_scan
from shapes import fields_run

pytest.importorskip("bokeh", reason="needs the extra stxm-live[web]")

from stxm_live import map_run
from stxm_live.core.shift_files import write_shifts
from stxm_live.core.stack import StackKey
from stxm_live.dashboard import CatalogHistory
from stxm_live.io.catalog import close_catalog, open_catalog, store_documents, store_maps

pytestmark = pytest.mark.slow


def flipped_documents():
    """The particle seen from behind."""
    return image_documents(change=lambda k, image: np.ascontiguousarray(image[:, ::-1]))


class Runs:
    """A catalogue on disk: runs with a result, without, aborted, of two regions, of no stack."""

    def __init__(self, folder, recipe):
        self.folder, self.recipe = folder, recipe
        broker = open_catalog(folder)
        self.mapped = store_documents(broker, image_documents())
        self.maps = map_run(broker[self.mapped], recipe)
        store_maps(broker, self.maps)
        store_maps(broker, replace(self.maps, key=StackKey(("gone-with-the-disk",))))
        self.unmapped = store_documents(broker, flipped_documents())
        aborted = documents(list(image_events())[:4], particle_scan(), exit_status="abort")
        self.aborted = store_documents(broker, aborted)
        self.regions = store_documents(broker, fields_run())
        self.other = store_documents(
            broker, documents([], particle_scan(), md={"plan_name": "count"})
        )
        close_catalog(broker)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, nvpf):
    return Runs(tmp_path_factory.mktemp("catalog"), nvpf)


@pytest.fixture(scope="module")
def history(runs, nvpf):
    it = CatalogHistory(runs.folder, map_run, nvpf)
    yield it
    it.close()


def test_the_list_has_every_stack_the_latest_first_and_in_words(history, runs):
    listed = dict(history.runs())
    assert list(listed) == [runs.regions, runs.aborted, runs.unmapped, runs.mapped]
    ends = ["18 x 15", "72 x 60, abort", "72 x 60", "72 x 60"]
    for (uid, words), end in zip(listed.items(), ends, strict=True):
        assert words.endswith(f" ({uid[:8]}): 13 energies, {end}")


def test_without_a_way_to_map_only_runs_with_a_result_are_listed(runs):
    history = CatalogHistory(runs.folder)
    assert [uid for uid, _ in history.runs()] == [runs.mapped]
    with pytest.raises(ValueError, match=f"no result is stored for run {runs.unmapped[:8]}"):
        history.maps(runs.unmapped)
    with pytest.raises(ValueError, match="not include the aligned images"):
        history.maps(runs.mapped)[0].redo({})
    history.close()


def test_a_stored_result_is_changed_as_the_maps_of_its_raw_run_are(history, runs):
    (stored,) = history.maps(runs.mapped)
    assert stored.identical(runs.maps)
    changes = {"energy_offset_ev": 0.3, "exclude_energies_ev": [524.0]}
    again, expected = stored.redo(changes), runs.maps.redo(changes)
    assert again.identical(expected)
    assert again.warnings == expected.warnings


def test_one_image_is_moved_by_hand_and_all_others_stay(history, runs, tmp_path):
    maps, moved = runs.maps, 4
    shifts = maps.shifts_px.copy()
    shifts[moved] += (0.0, 2.0)
    write_shifts(tmp_path / "shifts.csv", maps.energies_ev, shifts)
    again = history.map_again(maps, {"alignment.shifts": tmp_path / "shifts.csv"})
    inner = np.s_[5:-5, 5:-5]
    for k, (before, after) in enumerate(zip(maps.od, again.od, strict=True)):
        expected = np.roll(before, 2, axis=1) if k == moved else before
        assert np.median(np.abs(after - expected)[inner]) < 0.01, k
    with pytest.raises(ValueError, match="by map_run"):
        CatalogHistory(runs.folder).map_again(maps, {})


def test_a_result_whose_images_are_gone_is_shown_and_it_is_said_why_it_stays_as_it_is(history):
    (stored,) = history.maps("gone-with-the-disk")
    with pytest.raises(ValueError, match="images of run gone-wit; the result can be compared"):
        stored.redo({})


def test_every_region_of_a_run_is_opened(history, runs):
    left, right = history.maps(runs.regions)
    assert [maps.key.region for maps in (left, right)] == ["left", "right"]
    # the right one is the left one upside down
    assert (left.final_index == right.final_index[::-1]).mean() > 0.95


@pytest.fixture(scope="module")
def url(runs):
    """The link of ``watch`` with the run that has a result, and with that of two regions."""
    command = import_module("stxm_live.cli.watch")
    announced = Queue()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "_announce", lambda *link_and_end: announced.put(link_and_end))
        patch.setattr(command, "let_the_scan_go_first", lambda: None)
        shown = [runs.mapped[:8], runs.regions[:8]]
        options = {"catalog": str(runs.folder), "changes": ["energy_fit=false"]}
        watching = Thread(target=command.watch, args=(shown,), kwargs=options)
        watching.start()
        link, end = announced.get(timeout=120)
        yield link
        end()
        watching.join(120)


@pytest.fixture(scope="module")
def page(url):
    for browser in launch():
        opened = Opened(browser, url)
        opened.says("suggestion", "labels corrected")
        opened.choose("outlined", False, "active")  # lines would lie over pixels
        yield opened
        opened.page.close()


@pytest.mark.browser
def test_a_finished_run_is_shown_with_its_maps(page, runs):
    maps = runs.maps
    assert str(maps.key) in page.says("subline", "complete")
    assert "Nothing is sent" in page.text("chosen")
    pixels = [*some_pixels(maps), (0, 0)]
    page.wait_for_colors("phases", maps, pixels, expected_colors(maps, maps.final_index, pixels))


@pytest.mark.browser
def test_every_stack_of_every_run_that_was_named_is_there(page, runs):
    titles = "Bokeh.documents[0].get_model_by_name('show').options.map(([_, words]) => words)"
    expected = [str(runs.maps.key)]
    expected += [f"run {runs.regions[:8]} region {name}" for name in ("left", "right")]
    assert sorted(title.split(". ")[1] for title in page.page.evaluate(titles)[1:]) == sorted(
        expected
    )


@pytest.mark.browser
def test_earlier_runs_are_listed_and_opened_beside_it(page, runs, nvpf):
    page.page.get_by_text("Earlier runs", exact=True).click()
    page.press("List earlier runs")
    page.page.get_by_text(f"({runs.aborted[:8]}): 13 energies, 72 x 60, abort").wait_for()
    chosen = open_run(page, runs.unmapped)
    page.choose("compare-with", chosen)
    page.says("compared", runs.unmapped[:8])
    other = map_run(list(flipped_documents()), nvpf)
    pixels = [p for p in some_pixels(other, 40) if p[0] < 45]
    assert (other.final_index != runs.maps.final_index).any()
    page.wait_for_colors(
        "compare", other, pixels, expected_colors(other, other.final_index, pixels)
    )
    page.choose("compare-with", "0")


def open_run(page, uid):
    """Open a run of the list; the number of its result."""
    page.choose("runs", [uid])
    page.press("Open the chosen run")
    find = """uid => Bokeh.documents[0].get_model_by_name('show').options
        .filter(([_, words]) => words.includes(`(${uid})`)).map(([number, _]) => number)[0]"""
    page.page.wait_for_function(find, arg=uid[:8])
    return page.page.evaluate(find, uid[:8])
