from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("bokeh", reason="needs the extra stxm-live[web]")

from stxm_live.cli.watch import _show
from stxm_live.core.recipe import Recipe
from stxm_live.core.stack import Stack, StackKey
from stxm_live.dashboard.first_look_panel import FirstLookPanel
from stxm_live.dashboard.scan_state import headline, progress
from stxm_live.dashboard.scene import Scene, current_scene
from stxm_live.dashboard.state import Board
from stxm_live.dashboard.text import notes
from stxm_live.dashboard.view import View
from stxm_live.phase_mapping.exploration import explore_stack

ENERGIES = np.linspace(700.0, 712.0, 7)
RECIPE = Recipe(name="first").with_changes({"alignment.enabled": False})


@pytest.fixture(scope="module")
def stack():
    rng = np.random.default_rng(3)
    spectra = np.exp(-0.5 * ((ENERGIES - np.array([[704.0], [708.0]])) / 2) ** 2)
    od = np.zeros((7, 20, 24))
    od[:, 5:15, 4:12], od[:, 5:15, 12:20] = spectra[0][:, None, None], spectra[1][:, None, None]
    counts = rng.poisson(3000 * np.exp(-od)).astype(np.float32)
    return Stack.from_arrays(counts, ENERGIES)


@pytest.fixture(scope="module")
def found(stack):
    return explore_stack(stack, RECIPE, n_clusters=2)


@pytest.fixture
def board():
    board = Board()
    yield board
    board.close()


def named(panel, board, names):
    """Enter names, save, and return what the page says."""
    for spectrum, name in names.items():
        panel._fields[spectrum].value = name
    panel.save()
    board.close(timeout_s=120)  # the first picture loads what draws it
    return board.now.note


def test_two_named_clusters_become_a_recipe_that_the_mapper_gets(found, board, tmp_path):
    taken = []
    panel = FirstLookPanel(board, tmp_path, taken.append)
    panel.show(found)
    said = named(panel, board, {"0": "left <b>", "1": "right"})
    (folder,) = tmp_path.iterdir()
    assert taken == [Recipe.load(folder)]
    assert taken[0].reference_spectra.phase_names == ("left <b>", "right")
    assert str(folder) in said
    assert "from now on" in said


def test_without_a_mapper_the_page_says_how_to_use_what_was_saved(found, board, tmp_path):
    panel = FirstLookPanel(board, tmp_path)
    panel.show(found)
    assert "Recipe.load(" in named(panel, board, {"0": "a", "1": "b"})


@pytest.mark.parametrize(
    ("names", "words"),
    [({}, "two spectra"), ({"0": "a", "1": "a"}, "twice"), ({"0": "a;", "1": "b"}, "a sign")],
)
def test_names_that_cannot_be_saved_are_answered_in_words(found, board, tmp_path, names, words):
    taken = []
    panel = FirstLookPanel(board, tmp_path, taken.append)
    panel.show(found)
    assert words in named(panel, board, names)
    assert (taken, list(tmp_path.iterdir())) == ([], [])


def test_a_folder_that_cannot_be_written_is_named(found, board, tmp_path):
    (tmp_path / "file").write_text("")
    panel = FirstLookPanel(board, tmp_path / "file")
    panel.show(found)
    assert "file" in named(panel, board, {"0": "a", "1": "b"})


def test_components_can_be_named_instead_and_another_number_of_clusters_shown(found, board):
    panel = FirstLookPanel(board, ".")
    panel.show(found)
    assert list(panel._fields) == ["0", "1"]
    panel.kind.active = 1
    assert list(panel._fields) == ["nmf0", "nmf1"]
    panel.n.value = "3"
    board._worker.close(60)
    again = board.now.exploration
    assert len(again.clusters.spectra) == 3
    panel.show(again)
    assert list(panel._fields) == ["nmf0", "nmf1", "nmf2"]


def test_what_was_typed_stays_while_the_page_is_drawn_again(found, board):
    panel = FirstLookPanel(board, ".")
    panel.show(found)
    panel._fields["0"].value = "half a na"
    panel.show(found)
    assert panel._fields["0"].value == "half a na"


def test_error_bars_are_one_standard_error_up_and_down(found, board):
    panel = FirstLookPanel(board, ".")
    panel.show(found)
    bars = panel.spectra.errors.data
    std = np.concatenate([each.std for each in found.clusters.spectra])
    np.testing.assert_allclose(bars["high"] - bars["low"], 2 * std)
    assert panel.scree.floor.location == found.pca.noise_floor


def test_the_page_gets_a_tab_with_the_first_look_and_says_that_there_are_no_references(
    found, board
):
    view = View(board)
    tabs = view.parts()["tabs"]
    view.tick()
    assert all(tab.title != "First look" for tab in tabs.tabs)
    board.on_exploration(found)
    view.tick()
    view.tick()
    assert [tab.title for tab in tabs.tabs].count("First look") == 1
    assert tabs.tabs[tabs.active].title == "First look"
    assert "No references yet:</b> 2 clusters" in view.headline.text
    assert "cluster 0 50.0 %" in view.maps.legends["phases"].text


def test_a_first_look_is_shown_in_place_of_its_own_scan_only(found, board):
    own = SimpleNamespace(key=found.key, measured=np.zeros(0, bool))
    board.on_cube(own)
    assert board.now.is_scanning
    board.on_exploration(found)
    shown = current_scene(board.now)
    assert (shown.exploration, board.now.is_scanning) == (found, False)
    assert headline(shown, board.now)[1] == "idle"
    assert progress(shown, board.now) == (1.0, "finished, 7 energies")
    assert "No warnings" in notes(shown, board.now)
    board.on_cube(own)  # an image that came again
    assert not board.now.is_scanning
    board.on_cube(SimpleNamespace(key="another"))
    assert board.now.is_scanning


def test_why_there_are_no_clusters_is_said_in_words(found, board):
    board.on_error("run", ValueError("no specimen in the field"))
    scene = replace(Scene.of_exploration(found), key=StackKey(("run",)))
    said, kind = headline(scene, board.now)
    assert "No references yet, and no clusters:</b> no specimen in the field" in said
    assert kind == "poor"


def test_a_finished_run_is_watched_with_a_recipe_without_references(stack, board):
    _show(stack, RECIPE, board)
    assert board.now.exploration.key == stack.key
    assert board.now.results == ()
