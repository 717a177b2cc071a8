"""Maps that a page keeps: exported with their recipe, and stored in the catalogue."""

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path

import made_up_maps as made_up
import numpy as np
import pytest
from particles import image_documents

from stxm_live import Recipe, map_run

pytest.importorskip("bokeh", reason="needs the extra stxm-live[web]")

from bokeh.events import ButtonClick

from stxm_live.core.recipe_saving import with_saved_recipe
from stxm_live.dashboard import Board, CatalogHistory
from stxm_live.dashboard.view import View
from stxm_live.io.catalog import close_catalog, load_maps, open_catalog
from stxm_live.io.catalog.folder import catalog_folder
from stxm_live.io.results import read_nexus


@pytest.fixture(scope="module")
def documents():
    return list(image_documents())


@pytest.fixture(scope="module")
def kept(documents, tmp_path_factory):
    """A page with maps changed by hand, its board, the catalogue, and the folder of exports."""
    tmp_path = tmp_path_factory.mktemp("kept")
    catalog = open_catalog(tmp_path / "runs")
    board = Board()
    recipe = Recipe.load("nvpf").with_changes({"energy_fit": False})
    board.on_maps(map_run(documents, recipe))
    view = View(board, history=CatalogHistory(catalog), folder=tmp_path / "exports")
    view.parts()
    view.tick()
    half = board.now.newest.maps.specimen.copy()
    half[:, : half.shape[1] // 2] = False
    board.redo(board.now.newest, {"specimen.mask": half}, "half", lambda number: None)
    wait_for(lambda: board.now.results[-1].origin == "changed")
    view.tick()
    view.show.value = str(board.now.results[-1].number)
    yield view, board, catalog, tmp_path / "exports"
    board.close()
    close_catalog(catalog)


def wait_for(is_so, timeout_s=120.0):
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def press(view, label):
    (button,) = view.keep.layout().select({"name": label})
    button._trigger_event(ButtonClick(button))


def test_an_export_has_numbers_pictures_page_and_the_recipe_that_makes_the_same_maps(
    kept, documents, no_pictures
):
    view, board, _, exports = kept
    press(view, "Export")
    wait_for(lambda: "Exported to" in board.now.note)
    (folder,) = exports.iterdir()
    assert str(folder) in board.now.note
    assert {p.name for p in folder.iterdir()} == {
        "maps.nxs",
        "maps.html",
        "csv",
        "pictures",
        "recipe",
    }
    changed = board.now.results[-1].maps
    np.testing.assert_array_equal(
        read_nexus(folder / "maps.nxs")["resolved_index"].values, changed.resolved_index
    )
    provenance = json.loads(read_nexus(folder / "maps.nxs").attrs["provenance"])
    recipe = Recipe.load(folder / "recipe")
    assert provenance["recipe_values"] == recipe.model_dump(mode="json")
    assert recipe.specimen.mask.parent == folder / "recipe"  # the drawn mask is gone with the page
    again = map_run(documents, recipe)
    np.testing.assert_array_equal(again.resolved_index, changed.resolved_index)
    np.testing.assert_array_equal(again.probability, changed.probability)


def test_changed_maps_can_be_stored_as_a_result_of_their_run(kept):
    view, board, catalog, _ = kept
    press(view, "Store in the catalogue")
    wait_for(lambda: "Stored as result" in board.now.note)
    changed = board.now.results[-1].maps
    stored = load_maps(catalog, changed.key.run_uids[0])
    np.testing.assert_array_equal(stored["resolved_index"].values, changed.resolved_index)
    provenance = json.loads(stored.attrs["provenance"])
    recipe = Recipe.from_values(provenance["recipe_values"])
    # the drawn mask is gone with the page, and a replay takes the recipe of the stored result
    assert recipe.specimen.mask.is_relative_to(catalog_folder(catalog))
    assert recipe.fingerprint == provenance["recipe_sha256"]


def test_the_recipe_of_stored_maps_is_found_in_a_catalogue_that_was_moved(kept, tmp_path):
    _, board, catalog, _ = kept
    uid = board.now.results[-1].maps.key.run_uids[0]
    there = json.loads(load_maps(catalog, uid).attrs["provenance"])["recipe_values"]
    folder = shutil.copytree(catalog_folder(catalog), tmp_path / "taken home")
    hidden = Path(there["specimen"]["mask"]).parent
    hidden.rename(tmp_path / "gone")
    moved = open_catalog(folder)
    try:
        provenance = json.loads(load_maps(moved, uid).attrs["provenance"])
    finally:
        close_catalog(moved)
        (tmp_path / "gone").rename(hidden)
    recipe = Recipe.from_values(provenance["recipe_values"])
    assert recipe.specimen.mask.is_relative_to(folder)
    assert recipe.references.is_relative_to(folder)
    assert recipe.fingerprint == provenance["recipe_sha256"]


def test_a_result_whose_references_are_gone_is_kept_with_a_warning(kept, tmp_path):
    maps = kept[1].now.newest.maps
    gone = {**maps.provenance["recipe_values"], "references": str(tmp_path / "gone.csv")}
    lost = replace(maps, provenance={**maps.provenance, "recipe_values": gone})
    assert "gone.csv is gone" in with_saved_recipe(lost, tmp_path / "recipe").warnings[-1]


def test_without_maps_or_a_folder_to_write_to_there_is_a_sentence(tmp_path):
    board = Board()
    view = View(board, folder=tmp_path / "file")
    (tmp_path / "file").write_text("not a folder")
    view.parts()
    press(view, "Export")
    assert "no maps to keep yet" in board.now.note
    assert not list(view.keep.layout().select({"name": "Store in the catalogue"}))
    board.on_maps(made_up.maps())
    view.tick()
    press(view, "Export")
    wait_for(lambda: "Not done (exporting the maps)" in board.now.note)
    board.close()
